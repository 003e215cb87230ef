"""Every helper's sessions on the real kernel: honest ones work, luring opens a door where rules let it only."""

from __future__ import annotations

import pytest

from conntap.lab.prove import prove
from proof_rules import ERRORS, EVERYTHING, HELPERS, NAT, gateway_of, processors, rules, sides_of

#: Helper, transport → who reaches the inside host where RELATED is accepted: at ports below 1024, and at others.
OPEN = {
    ("ftp", 6): {"server": (True, True), "third": (False, False)},
    ("irc", 6): {"server": (True, True), "third": (True, True)},
    ("tftp", 17): {"server": (None, True), "third": (None, False)},
    ("sip", 17): {"server": (None, True), "third": (None, False)},
    ("sip", 6): {"server": (None, True), "third": (None, False)},
    ("RAS", 17): {"server": (True, True), "third": (False, False)},
    ("Q.931", 6): {"server": (True, True), "third": (False, False)},
}


@pytest.fixture(scope="module", params=["", NAT], ids=["routed", "masqueraded"])
def everything(request):
    gateway = gateway_of(rules(EVERYTHING, more=request.param))
    return prove(gateway, sides_of(gateway))


@pytest.fixture(scope="module")
def nothing():
    gateway = gateway_of(rules(ERRORS))
    return prove(gateway, sides_of(gateway))


def row_of(proof, helper, l4proto, nfproto=4):
    (row,) = [row for row in proof.rows if (row.helper, row.l4proto, row.way.nfproto) == (helper, l4proto, nfproto)]
    return row


@pytest.mark.parametrize(("helper", "l4", "port"), HELPERS, ids=lambda value: str(value))
def test_an_honest_session_makes_its_expectation_and_works(everything, helper, l4, port):
    """Nothing but RELATED lets the second connection in: it works by the helper."""
    row = row_of(everything, helper, 6 if l4 == "tcp" else 17)
    honest = [cell for cell in row.cells if cell.kind == "session"]
    assert honest
    assert row.port == port
    assert [(cell.outcome, cell.expectation.split(":")[0]) for cell in honest] == [("works", helper)] * len(honest)


@pytest.mark.parametrize(("helper", "l4proto"), OPEN)
def test_luring_opens_where_related_is_accepted(everything, helper, l4proto):
    row = row_of(everything, helper, l4proto)
    for who, ports in OPEN[helper, l4proto].items():
        found = tuple(row.outcome(who, low=low) for low in (True, False))
        assert found == tuple(None if one is None else "open" if one else "closed" for one in ports), who


@pytest.mark.parametrize(("helper", "l4proto"), [key for key in OPEN if key[0] != "irc"])
def test_the_same_of_ipv6(everything, helper, l4proto):
    row = row_of(everything, helper, l4proto, nfproto=6)
    assert row.works
    assert row.outcome("server", low=False) == "open"
    assert row.outcome("third", low=False) == "closed"


def test_fragments_do_not_lure(everything):
    """Linux puts a datagram together before a helper reads it, so a command at a fragment's begin is none."""
    cells = [
        cell for row in everything.rows for cell in row.cells if "fragment" in cell.session and row.way.nfproto == 4
    ]
    assert cells
    assert {(cell.outcome, cell.why) for cell in cells} == {("closed", "no expectation was made")}


def test_nothing_is_open_where_only_errors_are_related(nothing):
    """And the sessions whose second connection needs RELATED fail: what is closed is closed by the rules."""
    assert nothing.open == ()
    assert {row.works for row in nothing.rows} == {False}
    dropped = [cell for row in nothing.rows for cell in row.cells if cell.why == "the rules dropped it"]
    assert {cell.session for cell in dropped} >= {
        "DCC offer in a form that a page sends",
        "PORT in a form that a page sends",
    }
    assert {(cell.trace[-1].where, cell.trace[-1].text) for cell in dropped} == {
        ("table inet fw, chain forward", "policy")
    }


def test_servers_that_are_not_known_lure_nobody():
    """The helper is for one server only: its own sessions work, and a lured host's text is never read."""
    gateway = gateway_of(rules(EVERYTHING, servers="192.0.2.80"))
    proof = prove(gateway, sides_of(gateway), ports=(22, 45678))
    assert {row.way.friend for row in proof.rows if row.way.nfproto == 4} == {"192.0.2.80"}
    assert all(row.works for row in proof.rows)
    assert {cell.session for _, cell in proof.open} == {"DCC offer with the honest server"}


def test_the_trace_names_the_rule_that_let_it_in(everything):
    """With the handle and the text that the gateway's own listing has."""
    (cell,) = [
        cell
        for row, cell in everything.open
        if row.helper == "irc" and cell.who == "third" and cell.port == 22 and cell.kind == "lured"
    ]
    assert cell.expectation.startswith("irc: anybody to ")
    step = [step for step in cell.trace if step.text != "policy"][-1]
    assert step.where.startswith("nft: table inet fw, chain forward, handle ")
    assert (step.verdict, step.text) == ("accept", "ct state related accept")


def test_what_is_open_without_a_helper_is_told_apart():
    """A gateway that lets everybody in: that is no helper's doing."""
    gateway = gateway_of(rules('iifname "wan" accept'))
    proof = prove(gateway, sides_of(gateway), helpers=["irc"])
    (row,) = proof.rows
    assert row.outcome("third", low=True) == "anyway"
    assert proof.open == ()


def test_limits_of_ports_are_met_exactly():
    gateway = gateway_of(rules("ct state related tcp dport 1024-65535 accept"))
    proof = prove(gateway, sides_of(gateway), helpers=["irc"], ports=(1, 1023, 1024, 65535))
    assert {cell.port for _, cell in proof.open if cell.kind == "lured"} == {1024, 65535}


def test_the_thread_keeps_its_processors():
    before = processors()
    gateway = gateway_of(rules(ERRORS))
    prove(gateway, sides_of(gateway), helpers=["irc"])
    assert processors() == before
