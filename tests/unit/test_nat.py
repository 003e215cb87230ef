"""NAT rules as people write them, and the faults that they are told."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap import Filter
from conntap.errors import FilterError, UsageError
from conntap.nat import NatRule, dnat, masquerade, redirect, snat


def span(first: str, last: str | None = None):
    return ip_address(first), ip_address(last or first)


@pytest.mark.parametrize(
    ("text", "addresses", "ports"),
    [
        ("to 203.0.113.1", span("203.0.113.1"), None),
        ("to 203.0.113.1-203.0.113.9", span("203.0.113.1", "203.0.113.9"), None),
        ("to 203.0.113.1:1024", span("203.0.113.1"), (1024, 1024)),
        ("to 203.0.113.1-203.0.113.9:1024-65535", span("203.0.113.1", "203.0.113.9"), (1024, 65535)),
        ("to 2001:db8::1", span("2001:db8::1"), None),
        ("to [2001:db8::1]:1024-65535", span("2001:db8::1"), (1024, 65535)),
        ("to [2001:db8::1-2001:db8::f]", span("2001:db8::1", "2001:db8::f"), None),
    ],
)
def test_a_target_is_written_as_nft_writes_it(text, addresses, ports):
    rule = snat(text)
    assert (rule.addresses, rule.ports, rule.family) == (addresses, ports, addresses[0].version)
    assert rule.where is None


def test_the_words_in_front_are_a_filter():
    rule = dnat("tcp and dst 203.0.113.1 and dport 8080 to 10.0.0.2:80")
    assert str(rule.where) == "tcp and dst 203.0.113.1 and dport 8080"
    assert (rule.source, rule.addresses, rule.ports) == (False, span("10.0.0.2"), (80, 80))


def test_a_filter_may_say_to_as_well():
    assert snat("dnat to 10.0.0.2 to 203.0.113.1").where == Filter("dnat to 10.0.0.2")


def test_persistent_is_said_behind_the_target():
    assert snat("to 203.0.113.1-203.0.113.9 persistent").persistent
    assert not snat("to 203.0.113.1").persistent


def test_redirect_is_destination_nat():
    assert redirect("udp and dport 53 to 192.168.1.1:5353") == dnat("udp and dport 53 to 192.168.1.1:5353")


def test_masquerade_translates_what_comes_from_private_addresses():
    assert str(masquerade("203.0.113.1").where).startswith("src 10.0.0.0/8 or src 172.16.0.0/12")
    assert str(masquerade("2001:db8::1").where) == "src fc00::/7"
    assert masquerade("203.0.113.1:1024-2047").ports == (1024, 2047)


def test_masquerade_with_a_filter_translates_what_that_says():
    assert masquerade("src 10.9.0.0/16 to 203.0.113.1") == snat("src 10.9.0.0/16 to 203.0.113.1")


@pytest.mark.parametrize(
    "text",
    [
        "", "to", "to ", "src 10.0.0.0/8", "to :80", "to eth0", "to 1.2.3", "to 1.2.3.4:http", "to 1.2.3.4:1-2-3",
        "to 1.2.3.4-2001:db8::1", "to [1.2.3.4-2001:db8::1]", "to 203.0.113.9-203.0.113.1", "to 1.2.3.4 random",
        "to 1.2.3.4:0", "to 1.2.3.4:70000", "to 1.2.3.4:2000-1000", "to 1.2.3.4:٣", "to 1.2.3.4:99999999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [snat, dnat, redirect, masquerade])
def test_a_rule_at_fault_is_refused_with_what_to_say(kind, text):
    with pytest.raises(UsageError) as caught:
        kind(text)
    assert caught.value.hint


def test_a_fault_of_the_filter_points_at_the_word():
    with pytest.raises(FilterError) as caught:
        snat("src 10.0.0.0/8 and dprot 80 to 203.0.113.1")
    assert caught.value.text[caught.value.at :].startswith("dprot")


def test_rules_are_values():
    rule = snat("to 203.0.113.1")
    assert rule == NatRule(source=True, family=4, addresses=span("203.0.113.1"))
    assert rule != dnat("to 203.0.113.1")
    with pytest.raises(AttributeError):
        rule.family = 6
