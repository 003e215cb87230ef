"""Which rules assign helpers, to what, and whether packets meet them."""

from __future__ import annotations

import pytest

from conntap.rules.assigned import assignments, untracked
from conntap.rules.model import Assign, Chain, Condition, Place, Rule, RuleSet, Span
from unit.rules.written import (
    ACCEPT,
    DPORT,
    DROP,
    IIFNAME,
    SADDR,
    STATE,
    chain,
    dport,
    forward,
    goto,
    jump,
    match,
    meta,
    payload,
    plain,
    rules_of,
    span,
)

PLACE = {"family": "inet", "table": "t"}
HELPERS = [
    {"ct helper": {**PLACE, "name": "f", "type": "ftp", "protocol": "tcp", "l3proto": "inet"}},
    {"ct helper": {**PLACE, "name": "f4", "type": "ftp", "protocol": "tcp", "l3proto": "ip"}},
    {"ct helper": {**PLACE, "name": "s", "type": "sip", "protocol": "udp", "l3proto": "inet"}},
]
FTP, SIP = {"ct helper": "f"}, {"ct helper": "s"}
NOTRACK = {"notrack": None}


def pre(*rules, prio=-150, hook="prerouting", name="pre"):
    return forward(*rules, name=name, hook=hook, prio=prio, policy="accept")


def found(*items):
    return assignments(rules_of(HELPERS, *items))


def told(one):
    return one.helper, one.l4proto, one.nfproto, plain(one.ports), one.reachable


def test_by_port():
    [one] = found(pre([dport(21), FTP]))
    assert told(one) == ("ftp", 6, 0, [(21, 21)], True)
    assert (one.hook, one.rule.place.handle, one.iifnames, one.saddrs, one.daddrs) == (
        "prerouting",
        1,
        None,
        None,
        None,
    )


def test_who_may_use_it():
    servers = {"set": ["192.0.2.1", {"prefix": {"addr": "198.51.100.0", "len": 24}}]}
    [one] = found(
        pre([match(IIFNAME, {"set": ["lan", "wg*"]}), match(payload("ip", "daddr"), servers), dport(21), FTP])
    )
    assert (one.iifnames, one.nfproto) == (("lan", "wg*"), 4)
    assert one.daddrs == (Span(0xC0000201, 0xC0000201), Span(0xC6336400, 0xC63364FF))


def test_what_is_asked_on_the_way_counts():
    inner = chain("inner", [match(SADDR, {"prefix": {"addr": "10.0.0.0", "len": 8}}), FTP])
    [one] = found(inner, pre([match(IIFNAME, "lan"), dport(span(20, 22)), jump("inner")]))
    assert (one.iifnames, plain(one.ports)) == (("lan",), [(20, 22)])
    assert one.saddrs == (Span(0x0A000000, 0x0AFFFFFF),)
    assert [condition.text for condition in one.conditions][-1] == "ip saddr 10.0.0.0/8"


def test_a_map_of_ports():
    entries = {"set": [[21, "f"], [5060, "s"]]}
    either = match(meta("l4proto"), {"set": ["tcp", "udp"]})
    both = found(pre([either, {"ct helper": {"map": {"key": payload("th", "dport"), "data": entries}}}]))
    assert [told(one) for one in both] == [("ftp", 6, 0, [(21, 21)], True), ("sip", 17, 0, [(5060, 5060)], True)]


def test_a_verdict_map_leads_there():
    inner = chain("inner", [FTP])
    [one] = found(inner, pre([{"vmap": {"key": DPORT, "data": {"set": [[21, jump("inner")], [22, ACCEPT]]}}}]))
    assert told(one) == ("ftp", 6, 0, [(21, 21)], True)


def test_an_object_of_one_version():
    [one] = found(pre([dport(21), {"ct helper": "f4"}]))
    assert told(one) == ("ftp", 6, 4, [(21, 21)], True)


class TestReach:
    @pytest.mark.parametrize("verdict", [ACCEPT, DROP, {"return": None}, goto("other")])
    def test_what_stands_before_takes_its_ports(self, verdict):
        other = chain("other")
        [one] = found(other, pre([dport(21), verdict], [dport(span(21, 22)), FTP]))
        assert told(one) == ("ftp", 6, 0, [(22, 22)], True)

    def test_behind_all_it_is_never_met(self):
        [one] = found(pre([ACCEPT], [dport(21), FTP]))
        assert told(one) == ("ftp", 6, 0, [(21, 21)], False)
        assert one.why == "no packet gets to it: rules before it decide, or its conditions have nothing in common"

    def test_behind_a_rule_that_cannot_be_told_it_is(self):
        [one] = found(pre([match(IIFNAME, "lan"), ACCEPT], [dport(21), FTP]))
        assert one.reachable

    def test_an_earlier_chain_may_drop(self):
        [one] = found(pre([dport(21), DROP], prio=-300, name="raw"), pre([dport(21), FTP]))
        assert not one.reachable

    def test_another_chain_of_an_earlier_hook_does_not_matter(self):
        assert found(pre([DROP], name="out", hook="output"), pre([dport(21), FTP]))[0].reachable

    def test_for_another_state_it_is_never_met(self):
        [one] = found(pre([match(STATE, "established", "in"), dport(21), FTP]))
        assert not one.reachable

    def test_before_connections_are_looked_up_it_does_nothing(self):
        [one] = found(pre([dport(21), FTP], prio=-300))
        assert not one.reachable
        assert "before connections are looked up" in one.why

    def test_what_is_not_tracked_gets_no_helper(self):
        [one] = found(pre([dport(21), NOTRACK], prio=-300, name="raw"), pre([dport(21), FTP]))
        assert not one.reachable
        assert "notrack" in one.why

    def test_a_helper_of_another_transport(self):
        [one] = found(pre([dport(21), SIP]))
        assert (one.reachable, one.why) == (False, "its helper is of another transport than its conditions")

    def test_a_helper_of_another_version(self):
        [one] = found(pre([match(meta("nfproto"), "ipv6"), dport(21), {"ct helper": "f4"}]))
        assert (one.reachable, one.why) == (False, "its helper is of another IP version than its conditions")

    def test_a_chain_that_nothing_jumps_to_is_no_way(self):
        assert found(chain("alone", [dport(21), FTP])) == []

    def test_chains_in_a_circle(self):
        parts = [chain("a", [jump("b")], [dport(21), FTP]), chain("b", [jump("a")])]
        assert [one.reachable for one in found(*parts, pre([jump("a")]))] == [True]


def test_iptables_says_it_before_connections_are_looked_up():
    place = Place("iptables", "ip", "raw", "PREROUTING", line=5, text="-p tcp --dport 21 -j CT --helper ftp")
    asked = (
        Condition(("l4proto",), (((Span(6, 6),),),), text="-p tcp"),
        Condition(("dport",), (((Span(21, 21),),),), text="--dport 21"),
    )
    chain_ = Chain(place, "prerouting", "raw", -300, rules=(Rule(place, asked, (Assign("ftp"),)),))
    [one] = assignments(RuleSet({("iptables", "ip", "raw", "PREROUTING"): chain_}))
    assert told(one) == ("ftp", 6, 4, [(21, 21)], True)


class TestUntracked:
    def test_by_port_and_transport(self):
        [one] = untracked(rules_of(pre([match(payload("udp", "dport"), 53), NOTRACK], prio=-300)))
        assert ({key: plain(spans) for key, spans in one.ports.items()}, one.nfproto, one.hook) == (
            {17: [(53, 53)]},
            0,
            "prerouting",
        )

    def test_of_one_version(self):
        [one] = untracked(rules_of(pre([match(meta("nfproto"), "ipv6"), NOTRACK], prio=-300)))
        assert (one.nfproto, sorted(one.ports)) == (6, [6, 17])

    def test_afterwards_it_does_nothing(self):
        assert untracked(rules_of(pre([NOTRACK], prio=0))) == []

    def test_what_is_never_met_is_left_out(self):
        assert untracked(rules_of(pre([ACCEPT], [NOTRACK], prio=-300))) == []
