"""Rule sets as nft prints them, whole, in part, and damaged."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.errors import UsageError
from conntap.rules.assigned import assignments, untracked
from conntap.rules.follow import follow
from conntap.rules.nft import read_nft
from conntap.rules.packet import Asked
from unit.rules.written import ACCEPT, DROP, chain, dport, forward, match, meta, new, payload, plain, rules_of, text_of

PLACE = {"family": "inet", "table": "t"}


@pytest.fixture(scope="module")
def every(root):
    return (root / "tests/data/rules/everything.nft.json").read_text()


def test_what_nft_prints_is_read_without_fault(every):
    rules = read_nft(every)
    assert not rules.faults
    assert [
        (one.place.family, one.place.chain, one.hook, one.kind, one.priority, one.policy)
        for one in rules.chains.values()
    ] == [
        ("ip", "prerouting", "prerouting", "filter", -300, "accept"),
        ("inet", "ssh", "", "", 0, "accept"),
        ("inet", "other", "", "", 0, "accept"),
        ("inet", "pre", "prerouting", "filter", -150, "accept"),
        ("inet", "forward", "forward", "filter", 5, "drop"),
        ("inet", "in", "input", "filter", 0, "accept"),
        ("ip", "pre", "prerouting", "nat", -100, "accept"),
        ("ip", "post", "postrouting", "nat", 100, "accept"),
        ("inet", "pre", "prerouting", "nat", -101, "accept"),
        ("netdev", "ing", "ingress", "filter", 0, "accept"),
        ("arp", "in", "input", "filter", 0, "accept"),
        ("bridge", "in", "forward", "filter", 0, "accept"),
    ]
    assert sum(len(one.rules) for one in rules.chains.values()) == sum('"rule"' in line for line in every.split("}, {"))


def test_the_rules_of_a_table_that_sleeps_are_not_followed():
    table = [{"table": {"family": "inet", "name": "t", "flags": ["dormant"]}}]
    assert plain(follow(rules_of(table, forward([DROP])), new()).accepted) == [(0, 65535)]


def test_a_flag_of_a_table_that_is_not_known():
    """nft 1.0.6 prints a wrong word for `dormant`: whether the table sleeps cannot be told."""
    table = [{"table": {"family": "inet", "name": "t", "flags": "ftp"}}]
    assert rules_of(table).faults == ('table inet t: its flag is not understood: "ftp"',)
    assert rules_of([{"table": {"family": "inet", "name": "t", "flags": ["owner"]}}]).faults == ()


@pytest.mark.parametrize(
    ("prio", "number"), [(5, 5), ("filter", 0), ("filter + 10", 10), ("dstnat - 1", -101), ("-7", -7)]
)
def test_priorities_of_other_versions(prio, number):
    rules = rules_of(forward(prio=prio))
    assert (rules.chains["nft", "inet", "t", "fwd"].priority, rules.faults) == (number, ())


def test_elements_that_are_listed_apart():
    named = {"set": {**PLACE, "name": "s", "type": "inet_service", "elem": [22]}}
    more = {"element": {**PLACE, "name": "s", "elem": [80]}}
    rules = rules_of([named, more], forward([dport("@s"), ACCEPT]))
    assert plain(follow(rules, new()).accepted) == [(22, 22), (80, 80)]


def test_a_set_that_a_rule_adds_to_grows_whatever_its_flags_say():
    """nft 1.0.6 does not print `dynamic`."""
    named = {"set": {**PLACE, "name": "s", "type": "ipv4_addr"}}
    adds = {"set": {"op": "add", "elem": payload("ip", "saddr"), "set": "@s"}}
    rules = rules_of([named], chain("adds", [adds]), forward([match(payload("ip", "saddr"), "@s"), DROP]))
    assert rules.chains["nft", "inet", "t", "fwd"].rules[0].conditions[-1].grows


class TestFaults:
    @pytest.mark.parametrize(
        ("item", "words"),
        [
            ({"frobnicator": {"x": 1}}, "item 2 is not understood: frobnicator"),
            (7, "item 2 is not one of a rule set: 7"),
            ({"rule": 5}, 'item 2 is not one of a rule set: {"rule":5}'),
            ({"rule": {**PLACE, "expr": []}}, "a rule of no chain"),
            ({"rule": {**PLACE, "chain": "gone", "expr": []}}, "rules of a chain that is not there"),
            ({"chain": {"family": "odd", "name": "c"}}, "item 2 is no chain"),
            (
                {"chain": {**PLACE, "name": "c", "hook": "sideways", "prio": 0}},
                'its hook is not understood: "sideways"',
            ),
            (
                {"chain": {**PLACE, "name": "c", "hook": "input", "prio": "odd"}},
                'its priority is not understood: "odd"',
            ),
            ({"chain": {**PLACE, "name": "c", "hook": "input", "prio": True}}, "its priority is not understood: true"),
            ({"chain": {**PLACE, "name": "c", "hook": "input", "prio": 0, "policy": "maybe"}}, "its policy is not"),
        ],
    )
    def test_what_is_broken_is_told_and_nothing_is_sure_then(self, item, words):
        rules = rules_of([item])
        [fault] = rules.faults
        assert words in fault
        answer = follow(rules, new())
        assert plain(answer.unsure) == [(0, 65535)]
        assert fault in answer.reasons

    def test_of_other_families_nothing_matters(self):
        odd = {"chain": {"family": "netdev", "table": "t", "name": "c", "hook": "egress", "prio": "odd"}}
        stray = {"rule": {"family": "arp", "table": "t", "chain": "gone", "expr": []}}
        assert not rules_of([odd, stray]).faults

    def test_of_half_a_text_the_first_half_is_read(self):
        text = text_of(forward([dport(22), ACCEPT], [dport(80), ACCEPT]))
        rules = read_nft(text[:-20])
        assert len(rules.chains["nft", "inet", "t", "fwd"].rules) == 1
        [fault] = rules.faults
        assert "line 1: the text breaks off or is damaged behind its item 3" in fault

    @pytest.mark.parametrize(
        "text",
        [
            *("", "table ip t {}", "[]", "{}", "null", '{"nftables": 7}', '{"nftables": null}', "[" * 100_000),
            *('"nftables"', '{"other": [{"nftables": 1', "\x00\xff\x01 rubbish", "*filter\n:INPUT ACCEPT\nCOMMIT\n"),
        ],
    )
    def test_what_is_no_rule_set_is_refused(self, text):
        with pytest.raises(UsageError, match="no rule set of nft") as caught:
            read_nft(text)
        assert "nft -j list ruleset" in caught.value.hint

    def test_nesting_without_end(self):
        with pytest.raises(UsageError, match="brackets within brackets without end"):
            read_nft('{"nftables": [{"rule": {"expr": ' + "[" * 100_000)
        inner = {"payload": {"protocol": "tcp", "field": "dport"}}
        for _ in range(400):
            inner = {"|": [inner, 1]}
        rules = rules_of(forward([match(inner, 5), ACCEPT]))
        assert plain(follow(rules, new()).unsure) == [(0, 65535)]


def ask(rules):
    """Nothing that is read breaks what stands on it."""
    for hook in ("forward", "input", "prerouting"):
        follow(rules, Asked(hook, 4, saddr=1))
    assignments(rules)
    untracked(rules)


def read(text):
    try:
        rules = read_nft(text)
    except UsageError:
        return
    ask(rules)


@given(st.data())
def test_damaged_texts_are_read_or_refused_in_words(root, data):
    """Characters changed, left out, put in: a rule set with faults, or a UsageError."""
    text = list((root / "tests/data/rules/everything.nft.json").read_text())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from(["", '"', "}", "[", "x", "\x00", "9", "null", "{}", ","]))
    read("".join(text))


JUNK = (
    *("null", "true", "-1", "1180591620717411303424", "1.5", '""', '"@"', '"@gone"', '"*"', "[]", "{}", "[[]]"),
    *('{"set": 1}', '{"set": []}', '{"range": [1]}', '{"concat": []}', '{"map": {}}', '{"&": []}', '{"|": [1]}'),
)


@given(st.randoms(use_true_random=False))
def test_values_of_the_wrong_type_are_read_all_the_same(root, chance):
    """Any part of the JSON replaced by something else that is JSON."""
    items = json.loads((root / "tests/data/rules/everything.nft.json").read_text())
    for _ in range(20):
        swap(items["nftables"], chance)
    read(json.dumps(items))


def swap(value, chance: random.Random) -> None:
    """Replace something below."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.8:
            value = value[key]
            continue
        value[key] = json.loads(chance.choice(JUNK))
        return


def test_an_interface_by_number_is_one_that_is_gone():
    rules = rules_of(forward([match(meta("iif"), "77"), ACCEPT]))
    assert '`iif "77"` is not understood' in follow(rules, new(iifname="lan")).reasons[0]
