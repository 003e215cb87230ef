"""A proof as text, and what is said when rules and kernel differ; on a proof made by hand."""

from __future__ import annotations

import pytest

from conntap.audit.finding import Reach
from conntap.lab.prove.agree import agree
from conntap.lab.prove.model import Cell, Proof, Row, Step, Way
from conntap.lab.prove.picture import picture

WAY = Way("wan", "lan", 4, "10.0.0.8", "198.51.100.9", "203.0.113.66", "203.0.113.99")
TRACE = (
    Step("table inet fw, chain pre", "accept", "policy"),
    Step("nft: …, handle 9", "accept", "ct state related accept"),
)
EXPECTED = "irc: anybody to 198.18.1.1 tcp/22"


def lured(who, port, outcome, **more):
    trace = TRACE if outcome == "open" else ()
    return Cell(who, "DCC offer in a form", 6, port, outcome, "", EXPECTED, trace, **more)


@pytest.fixture
def proof():
    honest = Cell("friend", "DCC offer", 6, 40001, "works", "", EXPECTED, (), "session")
    cells = (honest, lured("server", 22, "closed"), lured("third", 22, "open"), lured("third", 45678, "open"))
    return Proof((Row("irc", 6, 6667, WAY, cells),), cannot=("something",))


def test_matrix_and_how_it_was_reached(proof):
    assert picture(proof) == [
        "from wan to lan, IPv4",
        "  helper        honest session  server, low port  server, high  third, low  third, high",
        "  irc tcp/6667  works           closed            -             OPEN        OPEN",
        "",
        f"203.0.113.99 reached 10.0.0.8 tcp/22, tcp/45678: DCC offer in a form ({EXPECTED})",
        "    nft: …, handle 9: accept    ct state related accept",
        "not shown: something",
    ]


def test_nothing_to_play():
    assert picture(Proof()) == ["no helper is assigned to connections from the inside: there is nothing to play"]


@pytest.mark.parametrize(
    ("ports", "by", "said"),
    [
        # The third party's ports are as the kernel found them, but then the server's port 22 is said to be open, too.
        (((1, 65535),), "stranger", ["server, port 22: open, closed"]),
        (((1024, 65535),), "stranger", ["third, port 22: closed, open"]),
        (((1024, 65535),), "server", ["third, port 22: closed, open", "third, port 45678: closed, open"]),
    ],
)
def test_where_rules_and_kernel_differ(proof, ports, by, said):
    found = agree([Reach("irc", 4, 6, "wan", "lan", ports, by)], proof)
    words = {True: "open, closed", False: "closed, open"}
    assert [f"{one.cell.who}, port {one.cell.port}: {words[one.said]}" for one in found] == said
    assert all(str(one).startswith("irc from wan to lan, IPv4, ") for one in found)


def test_a_parameter_of_the_machine_is_not_compared(proof):
    unsaid = Proof(proof.rows, cannot=("nf_conntrack_irc.ports is 1 there and 2 here",))
    assert agree([], unsaid) == []
