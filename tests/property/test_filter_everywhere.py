"""The same filter gives the same rows wherever it runs: in the kernel's dump, in a socket filter, or here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conntap
from conntap.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

SETTLE_SECONDS = 0.03


def entries() -> Iterator[dict[str, object]]:
    """A table with something of everything: families, protocols, marks, zones, status, NAT."""
    for number in range(1, 61):
        v6 = number % 3 == 0
        fields: dict[str, object] = {
            "orig_src": f"2001:db8::{number % 5}" if v6 else f"10.0.{number % 4}.{number % 7}",
            "orig_dst": "2001:db8:1::9" if v6 else f"198.51.100.{number % 3}",
            "l4proto": (6, 17, 132, 47, 58 if v6 else 1, 253)[number % 6],
            "timeout": 600,
            "mark": number % 5,
        }
        if fields["l4proto"] in (1, 58):
            fields |= {"orig_icmp_type": 128 if v6 else 8, "orig_icmp_code": 0, "orig_icmp_id": number}
        elif fields["l4proto"] != 253:
            fields |= {"orig_sport": 1000 + number, "orig_dport": (22, 80, 443)[number % 3]}
        if fields["l4proto"] == 253:
            fields["orig_src"] = f"2001:db8:2::{number}" if v6 else f"10.9.0.{number}"
        if number % 4 == 0:
            fields["zone"] = number % 3 + 1
        elif number % 7 == 0:
            fields["orig_zone"] = 9
        if number % 2:
            fields["status"] = 0x8 | 0x2 | (0x4 if number % 5 == 0 else 0)
        if fields["l4proto"] == 6:
            fields["tcp_state"] = number % 9 + 1
        if number % 10 == 1 and not v6:
            fields["nat_src"] = ("203.0.113.7", None)
        yield fields


def namespace() -> Iterator[conntap.Conntrack]:
    from conntap.lab import Host

    host = Host("filters", first=None)
    host.sysctl({"netfilter/nf_conntrack_events": 1})
    with conntap.open(host.pid) as ct:
        yield ct
    host.close()


handle = pytest.fixture(scope="module", name="handle")(namespace)
changing = pytest.fixture(scope="module", name="changing")(namespace)


WORDS = st.sampled_from(
    [
        "tcp",
        "udp",
        "sctp",
        "gre",
        "icmp",
        "icmp6",
        "proto 253",
        "ip",
        "ip6",
        "src 10.0.0.0/16",
        "src 10.0.1.1",
        "dst 198.51.100.2",
        "src 2001:db8::2",
        "host 10.0.2.2",
        "net 2001:db8::/32",
        "dport 22",
        "dport 80,443",
        "sport 1001-1030",
        "port 22",
        "reply dport 1007",
        "mark 3",
        "mark 1/1",
        "mark 0",
        "zone 0",
        "zone 2",
        "orig zone 9",
        "assured",
        "replied",
        "unreplied",
        "snat",
        "nat",
        "dnat",
        "state established",
        "state syn_sent,close",
        "timeout > 1",
        "mark > 2",
        "nat to 203.0.113.7",
        "reply src 198.51.100.1",
    ]
)
FILTERS = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) and ({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) or ({pair[1]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=5,
)


def add(handle: conntap.Conntrack, fields: dict[str, object]) -> None:
    """Create an entry, or change the one there is; two portless ones may share their answers, then one is enough."""
    with suppress(KernelError):
        handle.create(replace=True, **fields)


def names(flows: object) -> list[str]:
    return sorted(repr((flow.family, flow.original, flow.zone)) for flow in flows)


@pytest.fixture(scope="module")
def table(handle: conntap.Conntrack) -> list[object]:
    for fields in entries():
        add(handle, fields)
    rows = list(handle.flows())
    assert len(rows) > 40
    return rows


@settings(max_examples=60)
@given(text=FILTERS)
def test_the_same_rows_by_kernel_and_here(handle, table, text):
    where = conntap.Filter(text)
    assert names(handle.flows(where)) == names(row for row in table if where.matches(row)), where.explain()


@settings(max_examples=8)
@given(text=FILTERS, kinds=st.sampled_from(["", "new and ", "destroy and ", "new, update and "]))
def test_the_same_events_by_socket_filter_and_here(changing, text, kinds):
    text = f"{kinds}({text})"
    with changing.events(text) as there, changing.events(text, kernel_filter=False) as here:
        for fields in list(entries())[:20]:
            add(changing, fields)
        changing.update("sport 1001-1010", mark=3)
        seen = [
            [
                (event.kind, event.message())
                for batch in iter(lambda s=source: s.receive(SETTLE_SECONDS), None)
                for event in batch.events()
            ]
            for source in (there, here)
        ]
    assert seen[0] == seen[1]
