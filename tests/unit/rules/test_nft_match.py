"""What rules ask, as conditions: by the text of the rule set that nft printed, which has one rule of every kind."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest

from conntap.rules.model import Span
from conntap.rules.nft import read_nft
from unit.rules.written import ACCEPT, ct, forward, match, meta, payload, rules_of


@pytest.fixture(scope="module")
def every(root):
    rules = read_nft((root / "tests/data/rules/everything.nft.json").read_text())
    assert not rules.faults
    return {rule.place.text: rule for chain in rules.chains.values() for rule in chain.rules}


def values(condition):
    return [
        [value if isinstance(value, str) else (value.first, value.last) for value in row[0]] for row in condition.rows
    ]


def ip(text):
    return int(IPv4Address(text))


CASES = {
    'iif "lo" accept': ("iifname", [["lo"]]),
    'iifname { "eth0", "eth1" } accept': ("iifname", [["eth0", "eth1"]]),
    "iifname @ifs accept": ("iifname", [["eth0", "wg*"]]),
    "meta iiftype ether accept": ("iiftype", [[(1, 1)]]),
    "meta nfproto ipv4 accept": ("nfproto", [[(4, 4)]]),
    "meta mark 1 accept": ("mark", [[(1, 1)]]),
    "meta pkttype broadcast drop": ("pkttype", [["broadcast"]]),
    "ip protocol { tcp, udp } accept": ("l4proto", [[(6, 6), (17, 17)]]),
    "ip saddr 10.1.0.0/16 accept": ("saddr", [[(ip("10.1.0.0"), ip("10.1.255.255"))]]),
    "tcp dport >= 1024 accept": ("dport", [[(1024, 65535)]]),
    "tcp dport < 1024 accept": ("dport", [[(0, 1023)]]),
    "tcp sport 1024-65535 accept": ("sport", [[(1024, 65535)]]),
    "icmp type { echo-reply, echo-request } accept": ("icmp_type", [[(0, 0), (8, 8)]]),
    "ct state established,related accept": ("ct_state", [["established", "related"]]),
    "ct state { new, untracked } counter accept": ("ct_state", [["new", "untracked"]]),
    "ct state != new drop": ("ct_state", [["invalid", "established", "related", "untracked"]]),
    "ct state ! invalid accept": ("ct_state", [["established", "related", "new", "untracked"]]),
    "ct status dnat accept": ("ct_status", [["dnat"]]),
    'ct helper "ftp" accept': ("ct_helper", [["ftp"]]),
    "ct zone 5 accept": ("ct_zone", [[(5, 5)]]),
    "ct direction original accept": ("ct_direction", [["original"]]),
    "ct original ip saddr 10.0.0.1 accept": ("ct_original_saddr", [[(ip("10.0.0.1"), ip("10.0.0.1"))]]),
    "ct protocol tcp accept": ("ct_protocol", [[(6, 6)]]),
    "tcp flags syn / syn,ack drop": ("tcp_flags", [["syn / ack,syn"]]),
    "tcp flags syn,ack accept": ("tcp_flags", [["ack,syn"]]),
    "tcp flags { syn | ack, syn } accept": ("tcp_flags", [["== ack,syn", "== syn"]]),
    "fib daddr type { broadcast, multicast } drop": ("fib_daddr_type", [["broadcast", "multicast"]]),
    "fib saddr . iif oif missing drop": ("fib_saddr_oif", [["missing"]]),
    "fib saddr . mark . iif oif 0 drop": ("fib_saddr_oif", [["missing"]]),
}


@pytest.mark.parametrize("text", CASES)
def test_one_field(every, text):
    field, wanted = CASES[text]
    [condition] = [one for one in every[text].conditions if one.fields == (field,)]
    assert sorted(map(sorted, values(condition))) == sorted(map(sorted, wanted))
    assert not condition.negated


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("tcp dport != 22 accept", {"l4proto": 6}),
        ("ip saddr 10.1.0.0/16 accept", {"nfproto": 4}),
        ("ip6 saddr fe80::/10 accept", {"nfproto": 6}),
        ("icmp type echo-request accept", {"nfproto": 4, "l4proto": 1}),
        ("icmpv6 type nd-neighbor-solicit accept", {"nfproto": 6, "l4proto": 58}),
        ("ip ttl < 5 accept", {"nfproto": 4}),
        ("ip saddr . tcp dport @pairs accept", {"nfproto": 4, "l4proto": 6}),
    ],
)
def test_what_a_header_takes_for_granted_is_a_condition_of_its_own(every, text, taken):
    found = {
        one.fields[0]: one.rows[0][0][0].first for one in every[text].conditions if one.fields in {(f,) for f in taken}
    }
    assert found == taken


def test_negations_and_masks(every):
    assert every["tcp dport != 22 accept"].conditions[-1].negated
    for text, mask, value in (
        ("ct mark & 255 == 1 accept", 255, 1),
        ("meta mark & 3 == 1 accept", 3, 1),
        ("tcp dport & 1 == 1 accept", 1, 1),
        ("ip saddr & 0.0.0.255 == 0.0.0.1 accept", 255, 1),
    ):
        condition = every[text].conditions[-1]
        assert (condition.mask, condition.rows) == (mask, (((Span(value, value),),),))


def test_some_bits_and_not_the_others(every):
    parts = every["ct status dnat / expected,dnat accept"].conditions
    assert [(one.rows[0][0], one.negated) for one in parts] == [(("dnat",), False), (("expected",), True)]


def test_concatenations(every):
    condition = every["ip saddr . tcp dport @ipairs accept"].conditions[-1]
    assert condition.fields == ("saddr", "dport")
    assert condition.rows == (((Span(ip("10.0.0.0"), ip("10.0.0.255")),), (Span(22, 25),)),)


def test_a_set_that_grows_says_so(every):
    condition = every["ip saddr @dyn drop"].conditions[-1]
    assert (condition.grows, condition.rows) == (True, ())


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ct expiration > 10 accept",
            "ct bytes > 1000 accept",
            "ip ttl < 5 accept",
            "ether saddr aa:bb:cc:dd:ee:ff accept",
        ),
        *("meta skuid 1000 accept", "osf name Linux accept", "tcp option maxseg size 500 accept"),
        "icmp type echo-request icmp code host-unreachable accept",
    ],
)
def test_what_is_not_understood_is_a_condition_that_says_so(every, text):
    condition = every[text].conditions[-1]
    assert (condition.fields, condition.chance) == ((), False)
    assert condition.text in text


@pytest.mark.parametrize(
    "text", ["numgen random mod 10 < 3 accept", "jhash ip saddr mod 2 0 accept", "meta hour 10:00-12:00 accept"]
)
def test_what_is_by_chance_says_so(every, text):
    assert every[text].conditions[-1].chance


def only(*parts, extra=()):
    [rule] = rules_of(list(extra), forward([*parts, ACCEPT])).chains["nft", "inet", "t", "fwd"].rules
    return rule.conditions


@pytest.mark.parametrize(
    ("op", "right", "words"),
    [
        ("in", "new", {"new"}),
        ("==", {"|": ["established", "related"]}, set()),
        ("!=", {"|": ["established", "related"]}, {"new", "established", "related", "invalid", "untracked"}),
        ("!", ["new", "invalid"], {"established", "related", "untracked"}),
        ("!=", {"set": ["new", "related"]}, {"established", "invalid", "untracked"}),
    ],
)
def test_a_packet_has_one_state(op, right, words):
    [condition] = only(match(ct("state"), right, op))
    assert {word for row in condition.rows for word in row[0]} == words


@pytest.mark.parametrize(
    ("left", "op", "right"),
    [
        (ct("status"), "==", "snat"),
        (ct("status"), "in", "frozen"),
        (ct("state"), "in", "odd"),
        (ct("state"), "in", 7),
        (ct("state"), "<", "new"),
        (payload("tcp", "dport"), "~", 5),
        (payload("tcp", "dport"), ">", "ssh"),
        (payload("tcp", "dport"), "==", "@gone"),
        ({"&": [ct("status"), ["snat", "dnat"]]}, "!=", "dnat"),
        ({"&": [payload("tcp", "dport")]}, "==", 1),
        ({"&": [payload("tcp", "dport"), "x"]}, "==", 1),
        ({"&": [meta("iifname"), 1]}, "==", "lan"),
        ({"concat": [meta("iifname"), {"odd": 1}]}, "==", {"set": []}),
        ({"concat": [meta("iifname"), meta("mark")]}, "==", {"set": [{"concat": ["lan"]}]}),
        ({"concat": []}, "==", 1),
        ({"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "==", "eth0"),
        ({"fib": {"result": "oif", "flags": ["saddr"]}}, "==", True),
        ({"ct": {"key": "saddr", "dir": "reply"}}, "==", "10.0.0.1"),
        ({"ct": {"key": "saddr", "dir": "original"}}, "==", "10.0.0.1"),
        (meta("iif"), "==", "77"),
        (None, "==", None),
        ({}, "==", 5),
        ([], "==", 5),
        ("x", None, {}),
    ],
)
def test_anything_else_is_not_understood(left, op, right):
    condition = only({"match": {"left": left, "op": op, "right": right}})[-1]
    assert condition.fields == ()
    assert condition.text


def test_an_empty_span_fits_nothing():
    condition = only(match(payload("tcp", "dport"), 65535, ">"))[-1]
    assert (condition.fields, condition.rows) == (("dport",), ())


def test_elements_that_time_out_are_not_counted_on():
    items = [{"elem": {"val": 22, "expires": 5, "timeout": 60}}, {"elem": {"val": 80, "comment": "web"}}]
    named = {"set": {"family": "inet", "table": "t", "name": "s", "type": "inet_service", "elem": items}}
    condition = only(match(payload("tcp", "dport"), "@s"), extra=[named])[-1]
    assert (condition.grows, values(condition)) == (True, [[(80, 80)]])


def test_the_data_are_what_nft_printed(root):
    """The file of the tests is of nft itself, whose version it says."""
    [head, *_] = json.loads((root / "tests/data/rules/everything.nft.json").read_text())["nftables"]
    assert head["metainfo"]["version"] == "1.0.6"
