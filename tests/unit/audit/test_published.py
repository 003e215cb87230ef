"""Ports that DNAT publishes."""

import ipaddress

from conntap.audit.published import asked_ports, published
from conntap.rules.model import Chain, Condition, Place, Rule, RuleSet, Span, Translate

PLACE = Place("nft", "ip", "nat", "pre")
INSIDE = int(ipaddress.ip_address("10.0.5.21"))
ADDRESS = (Span(INSIDE, INSIDE),)
WEB = Condition(("dport",), (((Span(80, 80), Span(443, 443)),),))


def ports(*rules):
    chain = Chain(PLACE, "prerouting", "nat", -100, "accept", rules)
    return published(RuleSet({("nft", "ip", "nat", "pre"): chain}), INSIDE)


def rule(*conditions, new=None, addr=ADDRESS, kind="dnat"):
    return Rule(PLACE, conditions, (Translate(kind, addr, new),))


def test_the_new_port_is_published_not_the_one_asked_for():
    assert ports(rule(WEB, new=Span(8080, 8080))) == (Span(8080, 8080),)


def test_without_a_new_port_the_ports_asked_for_are():
    assert ports(rule(WEB)) == (Span(80, 80), Span(443, 443))


def test_a_rule_that_names_no_port_publishes_none():
    assert ports(rule()) == ()


def test_other_hosts_and_source_translation_publish_nothing():
    assert ports(rule(WEB, addr=(Span(INSIDE + 1, INSIDE + 9),)), rule(WEB, kind="snat")) == ()


def test_ports_of_a_concatenation():
    both = Condition(("daddr", "dport"), (((Span(5, 5),), (Span(80, 80),)), ((Span(6, 6),), (Span(443, 443),))))
    assert asked_ports(rule(both)) == [Span(80, 80), Span(443, 443)]


def test_ports_that_it_must_not_be_are_not_asked_for():
    assert asked_ports(rule(Condition(("dport",), (((Span(22, 22),),),), negated=True))) == []
