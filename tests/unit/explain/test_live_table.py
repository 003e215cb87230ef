"""Tables by their keys, masters looked up one by one, rules that cannot be read."""

from __future__ import annotations

from conntap.errors import NotFoundError
from conntap.explain.live_table import gateway_of, masters_of
from conntap.explain.live_words import key_of
from conntap.gateway.state import Gateway
from live_stories import expectation, flow, live


class Table:
    """Answers `get` as the kernel's table does."""

    def __init__(self, *, there: bool) -> None:
        self.there = there
        self.asked: list[dict[str, object]] = []

    def get(self, **fields: object) -> object:
        self.asked.append(fields)
        if not self.there:
            raise NotFoundError("looking up a flow", 2, "no such entry")
        return flow()


def test_each_master_is_asked_for_once() -> None:
    table = Table(there=True)
    found = masters_of(table, [expectation(), expectation()])  # type: ignore[arg-type]
    assert list(found) == [key_of(expectation().master)]
    assert table.asked == [
        {"orig_src": "192.0.2.1", "orig_dst": "192.0.2.10", "orig_sport": 41_021, "orig_dport": 21, "l4proto": 6}
    ]


def test_a_master_that_has_gone_is_left_out() -> None:
    assert masters_of(Table(there=False), [expectation()]) == {}  # type: ignore[arg-type]


def test_flows_are_found_by_their_original_tuple() -> None:
    tables = live(flows=[flow()], expectations=[expectation()])
    found = tables.flow(flow().original)
    assert found is not None
    assert found.id == flow().id
    assert tables.flow(flow().reply) is None
    assert tables.children(flow()) == tables.expected_by(flow()) == []


def test_rules_that_cannot_be_read_say_why_once() -> None:
    why = "not installed: 'nft' (package nftables)"
    assert gateway_of(Gateway({}, {"nft.json": why, "iptables-save": why})) == (None, why)
    there = Gateway({"nft.json": '{"nftables": []}'})
    assert gateway_of(there) == (there, "")
