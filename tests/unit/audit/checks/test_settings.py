"""Reverse path, INVALID, how careful TCP is tracked (A010 to A013)."""

import pytest

from conntap.audit.checks import settings
from conntap.audit.finding import Severity
from conntap.rules.model import Condition, Place, Rule, Span
from gateways import found, rules, view


@pytest.mark.parametrize(
    ("every", "own", "findings"), [(0, 0, 1), (1, 0, 0), (0, 2, 0), (0, 1, 0)], ids=["off", "all", "loose", "own"]
)
def test_the_kernel_takes_the_larger_of_both(every, own, findings):
    text = f"net.ipv4.conf.all.rp_filter = {every}\nnet.ipv4.conf.wan.rp_filter = {own}\n"
    assert len(list(settings.reverse_path(view("good", sysctl=text)))) == findings


def test_nothing_is_said_of_settings_that_are_not_known():
    assert not list(settings.reverse_path(view("good")))
    assert not list(settings.loose(view("good")))
    assert not list(settings.liberal(view("good")))


def test_a_fib_rule_is_a_reverse_path_check():
    off = "net.ipv4.conf.all.rp_filter = 0\nnet.ipv4.conf.wan.rp_filter = 0\n"
    check = (
        '{"rule": {"family": "inet", "table": "fw", "chain": "pre", "handle": 99, "expr": [{"match": {"op": "==", '
        '"left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": false}}, {"drop": null}]}}'
    )
    text = rules("good").replace("\n]}", f",\n{check}\n]}}")
    checked = view("good", sysctl=off, **{"nft.json": text})
    assert not list(settings.reverse_path(checked))


def test_invalid_is_worse_from_outside():
    (one,) = settings.invalid_accepted(view("router"))
    assert one.severity is Severity.LOW
    assert not list(settings.invalid_accepted(view("good")))
    text = (
        rules("good")
        .replace('"right": "invalid"', '"right": "untracked"')
        .replace('{"drop": null}', '{"accept": null}')
    )
    assert [one.severity for one in settings.invalid_accepted(view("good", **{"nft.json": text}))] == [Severity.LOW]


def test_how_tcp_is_tracked():
    text = "net.netfilter.nf_conntrack_tcp_loose = 1\nnet.netfilter.nf_conntrack_tcp_be_liberal = 1\n"
    assert found("good", sysctl=text) == {"A012": ["info"], "A013": ["low"]}
    assert not found("good", sysctl=text.replace("= 1", "= 0"))


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ((), True),
        ((Condition(("iifname",), ((("w*",),),)),), True),
        ((Condition(("iifname",), ((("lan",),),)),), False),
        ((Condition(("iifname",), ((("wan",),),), negated=True),), False),
        ((Condition(("iifname",), ((("lan",),),), negated=True),), True),
        ((Condition(("nfproto",), (((Span(6, 6),),),)),), False),
        ((Condition(("nfproto", "iifname"), (((Span(4, 4),), ("wan",)),)),), True),
    ],
)
def test_rules_that_packets_of_ipv4_from_outside_meet(conditions, met):
    assert settings.meets(Rule(Place("nft", "inet", "fw", "pre"), conditions), "wan") is met
