"""Which rule assigns a helper, and which lets the expected connection in."""

from __future__ import annotations

from typing import Any

import pytest

from conntap.explain.live_rules import Ends, assigned_by, entrance, interface_to, is_local
from conntap.rules.iptables import read_iptables
from live_stories import (
    FTP_OBJECT,
    FTP_RULES,
    SET_FTP,
    TABLE,
    chain,
    dport,
    gateway,
    iifname,
    match,
    related,
    rule,
)

CONTROL = Ends("192.0.2.1", "203.0.113.5", 6, 40_001, 21)


def assigned(*items: dict[str, Any], helper: str = "ftp", iif: str | None = "lan", ends: Ends = CONTROL) -> list[tuple]:
    rules = gateway([TABLE, FTP_OBJECT, *items]).rules
    return [(one.place.handle, one.certain) for one in assigned_by(rules, helper, ends, iif, local=False)]


PRE = chain("pre", "prerouting")


def test_the_rule_that_fits() -> None:
    assert assigned(PRE, rule("pre", dport(22), SET_FTP, handle=6), rule("pre", dport(21), SET_FTP, handle=7)) == [
        (7, True)
    ]


def test_no_rule_fits() -> None:
    wanted = rule("pre", iifname("wan"), dport(21), SET_FTP)
    assert assigned(PRE, wanted) == []
    assert assigned(PRE, wanted, helper="sip", iif="wan") == []


def test_where_the_interface_is_not_known_it_may() -> None:
    assert assigned(PRE, rule("pre", iifname("lan"), dport(21), SET_FTP), iif=None) == [(5, False)]


def test_the_first_that_certainly_does_ends_the_search() -> None:
    unsure = rule("pre", match({"meta": {"key": "skuid"}}, 1000), dport(21), SET_FTP, handle=6)
    assert assigned(
        PRE, unsure, rule("pre", dport(21), SET_FTP, handle=7), rule("pre", dport(21), SET_FTP, handle=8)
    ) == [(6, False), (7, True)]


def test_behind_an_accept_nothing_is_assigned() -> None:
    assert assigned(PRE, rule("pre", dport(21), "accept", handle=4), rule("pre", dport(21), SET_FTP)) == []


def test_a_jump_is_followed() -> None:
    jump = rule("pre", iifname("lan"), {"jump": {"target": "sub"}}, handle=3)
    assert assigned(PRE, jump, chain("sub", ""), rule("sub", dport(21), SET_FTP, handle=9)) == [(9, True)]
    assert assigned(PRE, jump, chain("sub", ""), rule("sub", dport(21), SET_FTP, handle=9), iif="wan") == []


def test_chains_that_jump_in_a_circle_end() -> None:
    circle = rule("pre", {"jump": {"target": "sub"}})
    assert assigned(PRE, circle, chain("sub", ""), rule("sub", {"jump": {"target": "sub"}})) == []


def test_iptables_assigns_by_a_template() -> None:
    save = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i lan -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n"
    rules = read_iptables(save, 4)
    [found] = assigned_by(rules, "ftp", CONTROL, "lan", local=False)
    assert (found.certain, found.place.source, found.place.line) == (True, "iptables", 3)
    assert assigned_by(rules, "ftp", CONTROL, "wan", local=False) == []


def test_routes_tell_interfaces() -> None:
    there = gateway(FTP_RULES)
    assert interface_to(there, "192.0.2.1", 4) == "lan"
    assert interface_to(there, "192.0.2.10", 4) == "dmz"  # the longer prefix
    assert interface_to(there, "8.8.8.8", 4) == interface_to(there, None, 4) == "wan"
    assert interface_to(there, "2001:db8::1", 6) is None
    assert is_local(there, "198.51.100.100")
    assert not is_local(there, "198.51.100.101")


def enter(*items: dict[str, Any], dst: str = "192.0.2.1", helper: str = "ftp") -> Any:
    expected = Ends("203.0.113.9", "198.51.100.100", 6, None, 51_201)
    return entrance(gateway([TABLE, *items]), expected, Ends("203.0.113.9", dst, 6, None, 51_201), helper, natted=True)


FWD = chain("fwd", "forward", policy="drop")


def test_the_rule_that_lets_it_in() -> None:
    found = enter(FWD, rule("fwd", related(), "accept", handle=9))
    assert (found.verdict, found.hook, found.iifname, found.oifname) == ("accepted", "forward", "wan", "lan")
    assert [place.handle for place in found.by] == [9]


def test_the_rule_that_drops_it() -> None:
    found = enter(FWD, rule("fwd", dport(51_201), "drop", handle=4), rule("fwd", related(), "accept", handle=9))
    assert found.verdict == "dropped"
    assert [place.handle for place in found.by] == [4]


def test_a_policy_drops_it_without_a_rule() -> None:
    found = enter(FWD)
    assert (found.verdict, found.by) == ("dropped", ())


def test_to_the_gateway_itself_it_is_input() -> None:
    found = enter(chain("inp", "input"), dst="198.51.100.100")
    assert (found.hook, found.oifname, found.verdict, found.by) == ("input", None, "accepted", ())


def test_what_is_not_understood_is_unsure() -> None:
    found = enter(FWD, rule("fwd", {"quantum": 1}, related(), "accept", handle=9))
    assert found.verdict == "unsure"
    assert found.answer.reasons


@pytest.mark.parametrize("helper", ["ftp", "sip"])
def test_without_a_chain_nothing_filters(helper: str) -> None:
    found = enter(helper=helper)
    assert (found.chains, found.verdict) == (0, "accepted")
