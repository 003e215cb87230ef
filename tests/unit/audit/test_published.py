"""What DNAT publishes, and whose sources are translated."""

import ipaddress

from conntap.audit.published import asked_ports, dnats, hiding, published, translated
from conntap.rules.model import Chain, Condition, Place, Rule, RuleSet, Span, Translate

PLACE = Place("nft", "ip", "nat", "pre")
INSIDE = int(ipaddress.ip_address("10.0.5.21"))
ADDRESS = (Span(INSIDE, INSIDE),)
WEB = Condition(("dport",), (((Span(80, 80), Span(443, 443)),),))


def ports(*rules):
    chain = Chain(PLACE, "prerouting", "nat", -100, "accept", rules)
    return published(dnats(RuleSet({("nft", "ip", "nat", "pre"): chain})), INSIDE)


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


def test_ports_before_and_behind_dnat():
    new = Translate("dnat", ADDRESS, Span(8080, 8080))
    for port in (80, 443, 8080):
        assert translated([(rule(WEB), new)], (Span(port, port),)) == (Span(8080, 8080),)
    assert translated([(rule(WEB), new)], (Span(21, 21),)) == ()


def test_dnat_that_keeps_the_port():
    same = Translate("dnat", ADDRESS)
    assert translated([(rule(WEB), same)], (Span(400, 500),)) == (Span(443, 443),)
    assert translated([(rule(), same)], (Span(400, 500),)) == (Span(400, 500),)


def hidden(family, *conditions, hook="postrouting"):
    place = Place("nft", family, "nat", "post")
    chain = Chain(place, hook, "nat", 100, "accept", (Rule(place, conditions, (Translate("masquerade"),)),))
    return hiding(RuleSet({("nft", family, "nat", "post"): chain}))


def test_a_table_of_both_families_translates_both():
    assert (hidden("ip"), hidden("ip6"), hidden("inet")) == ({4}, {6}, {4, 6})


def test_unless_the_rule_is_for_one():
    assert hidden("inet", Condition(("nfproto",), (((Span(4, 4),),),))) == {4}
    assert hidden("inet", Condition(("saddr",), (((Span(1, 9),),),))) == {4}
    assert hidden("inet", Condition(("saddr",), (((Span(1 << 120, 1 << 121),),),))) == {6}


def test_a_chain_that_is_jumped_to_may_be_for_ipv4_alone():
    assert hidden("inet", hook="") == {4}
