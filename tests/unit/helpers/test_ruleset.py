"""Helper assignments out of rule sets as nft 1.0 prints them."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from conntap.errors import UsageError
from conntap.helpers.assign import Assignment
from conntap.helpers.ruleset import from_ruleset

TCP, UDP = 6, 17

OBJECTS = [
    {"ct helper": {"family": "inet", "table": "t", "name": "f", "type": "ftp", "protocol": "tcp", "l3proto": "inet"}},
    {"ct helper": {"family": "inet", "table": "t", "name": "s", "type": "sip", "protocol": "udp", "l3proto": "inet"}},
    {"ct helper": {"family": "inet", "table": "t", "name": "f6", "type": "ftp", "protocol": "tcp", "l3proto": "ip6"}},
    {"ct helper": {"family": "inet", "table": "t", "name": "i", "type": "irc", "protocol": "tcp", "l3proto": "inet"}},
    {"ct helper": {"family": "inet", "table": "t", "name": "x", "type": "nosuch", "protocol": "tcp"}},
    {"set": {"family": "inet", "table": "t", "name": "ports", "elem": [21, {"range": [2100, 2101]}]}},
    {"set": {"family": "inet", "table": "t", "name": "endless", "elem": ["@endless"]}},
]


DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}


def match(protocol, field, right, op="=="):
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}


def mapped(key, *pairs):
    return {"ct helper": {"map": {"key": key, "data": {"set": list(pairs)}}}}


def meta(key, right):
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": right}}


def text_of(*rules, objects=OBJECTS, family="inet"):
    place = {"family": family, "table": "t"}
    base = {"chain": {**place, "name": "c", "type": "filter", "hook": "prerouting", "prio": 0, "policy": "accept"}}
    listed = [
        {"rule": {**place, "chain": "c", "handle": number, "expr": list(rule)}}
        for number, rule in enumerate(rules, start=1)
    ]
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, base, *objects, *listed]})


def read(*expr):
    """(helper, protocol, port, family) of one rule, and what is told of it."""
    found = from_ruleset(text_of(expr))
    return [tuple(rule) for rule in found.assignments], list(found.faults)


class TestPorts:
    def test_one(self):
        assert read(match("tcp", "dport", 21), {"ct helper": "f"}) == ([("ftp", TCP, 21, 0)], [])

    def test_a_set_with_a_range(self):
        found, _ = read(match("tcp", "dport", {"set": [21, {"range": [30, 31]}]}), {"ct helper": "f"})
        assert [port for _, _, port, _ in found] == [21, 30, 31]

    def test_a_named_set(self):
        found, _ = read(match("tcp", "dport", "@ports"), {"ct helper": "f"})
        assert [port for _, _, port, _ in found] == [21, 2100, 2101]

    @pytest.mark.parametrize(
        ("op", "ports"),
        [("<", (1, 21)), ("<=", (1, 22)), (">", (65_500, 65_536)), (">=", (65_499, 65_536)), ("in", None)],
    )
    def test_comparisons(self, op, ports):
        port = 21 if ports is None or ports[0] == 1 else 65_499
        found, _ = read(match("tcp", "dport", port, op), {"ct helper": "f"})
        assert [number for _, _, number, _ in found] == ([port] if ports is None else list(range(*ports)))

    def test_all_but_one(self):
        found, _ = read(match("tcp", "dport", 21, "!="), {"ct helper": "f"})
        assert [port for _, _, port, _ in found] == [*range(1, 21), *range(22, 65_536)]

    def test_a_map_from_ports_to_helpers(self):
        assert read(mapped(DPORT, [21, "f"], [22, "f6"])) == ([("ftp", TCP, 21, 0), ("ftp", TCP, 22, 6)], [])

    def test_any_transport_is_that_of_the_object(self):
        both = meta("l4proto", {"set": ["tcp", "udp"]})
        assert read(both, match("th", "dport", 5060), {"ct helper": "s"}) == ([("sip", UDP, 5060, 0)], [])


class TestConditions:
    @pytest.mark.parametrize(
        ("condition", "family"),
        [(meta("nfproto", "ipv4"), 4), (meta("nfproto", "ipv6"), 6), (match("ip6", "nexthdr", "tcp"), 6)],
    )
    def test_an_ip_version_is_kept(self, condition, family):
        assert read(condition, match("tcp", "dport", 21), {"ct helper": "f"}) == ([("ftp", TCP, 21, family)], [])

    def test_a_helper_that_reads_one_version_gets_that(self):
        assert read(match("tcp", "dport", 6667), {"ct helper": "i"}) == ([("irc", TCP, 6667, 4)], [])

    def test_what_the_object_does_not_fit_assigns_nothing_as_in_the_kernel(self):
        for rule in (
            (match("udp", "dport", 21), {"ct helper": "f"}),
            (meta("nfproto", "ipv4"), match("tcp", "dport", 21), {"ct helper": "f6"}),
            (meta("nfproto", "ipv6"), match("tcp", "dport", 6667), {"ct helper": "i"}),
        ):
            with pytest.raises(UsageError, match="no helper is assigned"):
                read(*rule)

    def test_the_state_does_not_matter(self):
        state = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}
        assert read(state, match("tcp", "dport", 21), {"counter": {}}, {"ct helper": "f"}) == (
            [("ftp", TCP, 21, 0)],
            [],
        )

    def test_other_conditions_are_told(self):
        inside = match("ip", "saddr", {"prefix": {"addr": "10.0.0.0", "len": 8}})
        found, faults = read(meta("iifname", "lan"), inside, match("tcp", "dport", 21), {"ct helper": "f"})
        assert found == [("ftp", TCP, 21, 4)]
        assert faults == ['rule with handle 1: not looked at: `iifname "lan"`, `ip saddr 10.0.0.0/8`']


def test_each_assignment_is_told_once():
    rule = (match("tcp", "dport", 21), {"ct helper": "f"})
    assert from_ruleset(text_of(rule, rule)).assignments == (Assignment("ftp", TCP, 21),)


def test_a_rule_that_is_never_met_is_told():
    behind = [[{"drop": None}], [match("tcp", "dport", 21), {"ct helper": "f"}]]
    with pytest.raises(UsageError, match="rule with handle 2: no packet gets to it"):
        from_ruleset(text_of(*behind))


def test_matching_on_a_helper_assigns_none():
    asks = {"match": {"op": "==", "left": {"ct": {"key": "helper"}}, "right": "ftp"}}
    with pytest.raises(UsageError, match="no rule says"):
        read(asks, {"accept": None})


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ([{"ct helper": "f"}], "names no destination port"),
        ([match("tcp", "sport", 21), {"ct helper": "f"}], "names no destination port"),
        ([match("tcp", "dport", "@nosuch"), {"ct helper": "f"}], "is not understood"),
        ([match("tcp", "dport", "ssh"), {"ct helper": "f"}], "is not understood"),
        ([match("tcp", "dport", True), {"ct helper": "f"}], "is not understood"),
        ([match("tcp", "dport", -1), {"ct helper": "f"}], "is not understood"),
        ([match("tcp", "dport", {"range": [9, 1]}), {"ct helper": "f"}], "is not understood"),
        ([match("tcp", "dport", "@endless"), {"ct helper": "f"}], "`tcp dport @endless` is not understood"),
        ([match("tcp", "dport", 21), {"ct helper": "gone"}], "there is no such object"),
        ([match("tcp", "dport", 21), {"ct helper": "x"}], "no helper is called 'nosuch'"),
        (
            [{"ct helper": {"map": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["lan", "f"]]}}}}],
            "names no destination port",
        ),
        (
            [{"ct helper": {"map": {"key": match("tcp", "dport", 0)["match"]["left"], "data": {"set": [[1, 2, 3]]}}}}],
            "map { 1,2,3 }` cannot be read",
        ),
    ],
)
def test_a_rule_that_cannot_be_followed_is_told_and_the_others_count(rule, what):
    good = [match("tcp", "dport", 21), {"ct helper": "f"}]
    found = from_ruleset(text_of(rule, good))
    assert found.assignments == (Assignment("ftp", TCP, 21),)
    [fault] = found.faults
    assert fault.startswith("rule with handle 1: ")
    assert what in fault
    with pytest.raises(UsageError, match="no helper is assigned: rule with handle 1"):
        from_ruleset(text_of(rule))


@pytest.mark.parametrize(
    "text",
    ["", "table ip t {}", "[]", "{}", "null", '{"nftables": 7}', '{"nftables": [7, null, {"rule": 1}]}', "[" * 9999],
)
def test_anything_else_is_no_rule_set(text):
    with pytest.raises(UsageError) as caught:
        from_ruleset(text)
    assert caught.value.hint


@pytest.mark.lab
def test_it_reads_what_nft_prints(netns):
    """The example of nft(8), and a map."""
    nft = shutil.which("nft") or pytest.skip("needs the program nft")
    rules = """
    table inet t {
      ct helper f { type "ftp" protocol tcp; }
      ct helper s { type "sip" protocol udp; }
      chain c {
        type filter hook prerouting priority filter;
        tcp dport { 21, 2121 } ct helper set "f"
        ct helper set udp dport map { 5060 : "s" }
      }
    }
    """
    inside = ["nsenter", "-t", str(netns), "-n", nft]
    done = subprocess.run([*inside, "-f", "-"], input=rules, text=True, capture_output=True)
    if done.returncode:
        pytest.skip("the kernel has no ct helper objects in nf_tables")
    listed = subprocess.run([*inside, "-j", "list", "ruleset"], text=True, capture_output=True, check=True).stdout
    assert from_ruleset(listed).assignments == (
        Assignment("ftp", TCP, 21),
        Assignment("ftp", TCP, 2121),
        Assignment("sip", UDP, 5060),
    )
