"""Rules of nft's JSON: statements, and the order of things."""

from __future__ import annotations

import pytest

from conntap.rules.model import Assign, Change, Condition, Notrack, Span, Translate, Unread, Verdict, VerdictMap
from unit.rules.written import (
    ACCEPT,
    DPORT,
    DROP,
    IIFNAME,
    MARK,
    RETURN,
    ct,
    dport,
    forward,
    goto,
    jump,
    match,
    meta,
    payload,
    rules_of,
)

PLACE = {"family": "inet", "table": "t"}
HELPERS = [
    {"ct helper": {**PLACE, "name": "f", "type": "ftp", "protocol": "tcp", "l3proto": "ip"}},
    {"ct helper": {**PLACE, "name": "s", "type": "sip", "protocol": "udp", "l3proto": "inet"}},
]


def read(*parts, extra=()):
    return rules_of(HELPERS, list(extra), forward([*parts])).chains["nft", "inet", "t", "fwd"].rules


def statements(*parts, extra=()):
    [rule] = read(*parts, extra=extra)
    return list(rule.statements)


@pytest.mark.parametrize(
    ("part", "statement"),
    [
        (ACCEPT, Verdict("accept")),
        (DROP, Verdict("drop")),
        (RETURN, Verdict("return")),
        ({"continue": None}, Verdict("continue")),
        (jump("a"), Verdict("jump", "a")),
        (goto("a"), Verdict("goto", "a")),
        ({"reject": None}, Verdict("reject")),
        ({"reject": {"type": "tcp reset"}}, Verdict("reject")),
        ({"queue": {"num": 1, "flags": "bypass"}}, Verdict("queue")),
        ({"notrack": None}, Notrack()),
        ({"ct helper": "f"}, Assign("ftp", 6, 4)),
        ({"ct helper": "s"}, Assign("sip", 17, 0)),
        ({"mangle": {"key": MARK, "value": 16}}, Change("mark", 16)),
        ({"mangle": {"key": ct("mark"), "value": 0}}, Change("ct_mark", 0)),
        ({"mangle": {"key": ct("zone"), "value": 7}}, Change("ct_zone", 7)),
        ({"mangle": {"key": MARK, "value": {"|": [{"&": [MARK, 0xFF]}, 0x100]}}}, Change("mark", 0x100, 0xFF)),
        ({"mangle": {"key": MARK, "value": {"^": [MARK, 3]}}}, Change("mark", 3, 0xFFFFFFFF)),
        ({"mangle": {"key": ct("mark"), "value": MARK}}, Change("ct_mark", 0, 0xFFFFFFFF, "mark")),
        ({"mangle": {"key": MARK, "value": {"jhash": {"mod": 2}}}}, Change("mark")),
        ({"mangle": {"key": MARK, "value": {"<<": [MARK, 2]}}}, Change("mark")),
        ({"dnat": {"addr": "10.0.0.1", "port": 80}}, Translate("dnat", (Span(0x0A000001, 0x0A000001),), Span(80, 80))),
        ({"masquerade": None}, Translate("masquerade")),
        ({"redirect": {"port": {"range": [1, 9]}}}, Translate("redirect", (), Span(1, 9))),
        ({"mangle": {"key": payload("ip", "daddr"), "value": "10.0.0.1"}}, Unread("ip daddr set 10.0.0.1")),
        ({"synproxy": {"mss": 1460}}, Unread('{"synproxy":{"mss":1460}}')),
        ({"xt": {"type": "target", "name": "TPROXY"}}, Unread("xt target TPROXY")),
        ({"ct helper": "gone"}, Unread('ct helper set "gone" (there is no such object)')),
        ({"vmap": {"key": {"odd": 1}, "data": {"set": []}}}, Unread('{"odd":1} vmap {  }')),
    ],
)
def test_a_statement(part, statement):
    found = statements(part)
    if isinstance(statement, Unread) and "vmap" in statement.text:
        assert [type(one) for one in found] == [Unread]
    else:
        assert found == [statement]


@pytest.mark.parametrize(
    "part",
    [
        {"counter": {"packets": 0, "bytes": 0}},
        {"counter": "named"},
        {"log": {"prefix": "x", "flags": "all"}},
        {"log": None},
        {"flow": {"op": "add", "flowtable": "@ft"}},
        {"set": {"op": "add", "elem": payload("ip", "saddr"), "set": "@s"}},
        {"set": {"op": "update", "elem": payload("ip", "saddr"), "set": "@s", "stmt": [{"counter": {}}]}},
        {"ct timeout": "long"},
        {"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}},
        {"mangle": {"key": payload("ip", "dscp"), "value": "cs1"}},
        {"mangle": {"key": meta("priority"), "value": "1:2"}},
    ],
)
def test_what_lets_a_packet_go_on_is_no_statement(part):
    [rule] = read(part, ACCEPT)
    assert (rule.conditions, rule.statements) == ((), (Verdict("accept"),))


@pytest.mark.parametrize(
    "part",
    [
        {"limit": {"rate": 5, "per": "second"}},
        {"limit": "named"},
        {"quota": {"val": 10, "val_unit": "mbytes"}},
        {"ct count": {"val": 5}},
        {"meter": {"key": payload("ip", "saddr"), "name": "m", "stmt": {"limit": {"rate": 5, "per": "second"}}}},
        {"set": {"op": "add", "elem": 1, "set": "@s", "stmt": [{"limit": {"rate": 5, "per": "second"}}]}},
    ],
)
def test_limits_are_conditions_by_chance(part):
    [rule] = read(part, ACCEPT)
    [condition] = rule.conditions
    assert (condition.fields, condition.chance) == ((), True)


@pytest.mark.parametrize(
    ("part", "conditions", "unread"),
    [
        ({"xt": {"type": "match", "name": "recent"}}, 1, 0),
        ({"xt": None}, 1, 1),  # either of them
        ({"accept": None, "drop": None}, 1, 1),
        ({}, 1, 1),
        (7, 1, 1),
    ],
)
def test_what_is_not_understood_at_all(part, conditions, unread):
    [rule] = read(part, ACCEPT)
    assert [one.fields for one in rule.conditions] == [()] * conditions
    assert sum(isinstance(one, Unread) for one in rule.statements) == unread


class TestOrder:
    def test_a_statement_before_a_condition_acts_without_it(self):
        """`meta mark set 1 tcp dport 22 accept`: every packet gets the mark."""
        first, second = read({"mangle": {"key": MARK, "value": 1}}, dport(22), ACCEPT)
        assert (first.conditions, first.statements) == ((), (Change("mark", 1),))
        assert [one.fields for one in second.conditions] == [("l4proto",), ("dport",)]
        assert first.place == second.place

    def test_what_a_statement_changes_is_not_asked_again(self):
        [rule] = read(match(MARK, 0), {"mangle": {"key": MARK, "value": 1}}, match(IIFNAME, "lan"), ACCEPT)
        assert [one.fields for one in rule.conditions] == [("mark",)]
        assert [type(one) for one in rule.statements] == [Change, Condition, Verdict]

    def test_a_condition_is_asked_once(self):
        [rule] = read(dport(22), match(payload("tcp", "sport"), 1), ACCEPT)
        assert [one.fields for one in rule.conditions] == [("l4proto",), ("dport",), ("sport",)]


class TestMaps:
    def test_verdicts(self):
        entries = [[22, jump("a")], [{"range": [100, 200]}, DROP], ["*", {"continue": None}]]
        [rule] = read({"vmap": {"key": DPORT, "data": {"set": entries}}})
        [mapped] = rule.statements
        assert isinstance(mapped, VerdictMap)
        assert mapped.fields == ("dport",)
        assert mapped.entries == (
            (((Span(22, 22),),), Verdict("jump", "a")),
            (((Span(100, 200),),), Verdict("drop")),
            (((Span(0, 65535),),), Verdict("continue")),
        )
        assert [one.text for one in rule.conditions] == ["meta l4proto tcp"]

    def test_what_fits_any_is_asked_last(self):
        [mapped] = statements({"vmap": {"key": IIFNAME, "data": {"set": [["*", DROP], ["lan", ACCEPT]]}}})
        assert isinstance(mapped, VerdictMap)
        assert [row[0] for row, _ in mapped.entries] == [("lan",), ("*",)]

    def test_one_with_a_name_that_rules_add_to_grows(self):
        named = {"map": {**PLACE, "name": "m", "type": "ipv4_addr", "map": "verdict", "flags": ["dynamic"], "elem": []}}
        [mapped] = statements({"vmap": {"key": payload("ip", "saddr"), "data": "@m"}}, extra=[named])
        assert isinstance(mapped, VerdictMap)
        assert (mapped.grows, mapped.entries) == (True, ())

    def test_helpers(self):
        found = statements({"ct helper": {"map": {"key": DPORT, "data": {"set": [[21, "f"], [5060, "s"]]}}}})
        assert found == [
            Assign(keys=("dport",), by=((((Span(21, 21),),), "ftp", 6, 4), (((Span(5060, 5060),),), "sip", 17, 0))),
        ]

    def test_helpers_by_protocol_and_port(self):
        both = {"concat": [payload("ip", "protocol"), DPORT]}
        found = statements({"ct helper": {"map": {"key": both, "data": {"set": [[{"concat": ["tcp", 21]}, "f"]]}}}})
        assert found == [Assign(keys=("l4proto", "dport"), by=((((Span(6, 6),), (Span(21, 21),)), "ftp", 6, 4),))]

    def test_a_translation_by_map_holds_for_its_keys_alone(self):
        [rule] = read(
            {"dnat": {"addr": {"map": {"key": DPORT, "data": {"set": [[80, "10.0.0.1"], [81, "10.0.0.2"]]}}}}}
        )
        condition = rule.conditions[-1]
        assert (condition.fields, len(condition.rows)) == (("dport",), 2)
        assert rule.statements == (Translate("dnat"),)

    def test_a_translation_of_one_version_is_for_that(self):
        [rule] = read({"dnat": {"family": "ip6", "addr": "2001:db8::1"}})
        assert [one.text for one in rule.conditions] == ["meta nfproto ipv6"]
