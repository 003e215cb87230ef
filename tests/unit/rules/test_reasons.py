"""Why it cannot be told, in words for people."""

from __future__ import annotations

import pytest

from conntap.rules.follow import follow
from unit.rules.written import (
    ACCEPT,
    DPORT,
    IIFNAME,
    MARK,
    SADDR,
    ct,
    dport,
    forward,
    match,
    meta,
    new,
    payload,
    rules_of,
)

PLACE = {"family": "inet", "table": "t"}
GROWING = {"set": {**PLACE, "name": "s", "type": "ipv4_addr", "flags": ["dynamic"], "elem": ["10.0.0.1"]}}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([match(SADDR, "10.0.0.1"), ACCEPT], "it depends on the source address"),
        ([match(IIFNAME, "lan"), ACCEPT], "it depends on the interface it comes in by"),
        ([match(ct("direction"), "reply"), ACCEPT], "it depends on the direction within the connection"),
        ([match(payload("ip", "ttl"), 5), ACCEPT], "`ip ttl 5` is not understood"),
        (
            [{"limit": {"rate": 5, "per": "second"}}, ACCEPT],
            "`limit rate 5/second` fits some packets and others that look the same do not",
        ),
        (
            [match({"concat": [SADDR, DPORT]}, {"set": [{"concat": ["10.0.0.1", 22]}]}), ACCEPT],
            "it depends on the source address",
        ),
        (
            [{"vmap": {"key": IIFNAME, "data": {"set": [["lan", ACCEPT]]}}}],
            "it depends on the interface it comes in by",
        ),
        (
            [match(payload("tcp", "sport"), 5), {"mangle": {"key": MARK, "value": 1}}, ACCEPT],
            "it depends on the source port",
        ),
        ([{"odd": 1}, ACCEPT], '`{"odd":1}` is not understood'),
    ],
)
def test_a_reason(parts, reason):
    answer = follow(rules_of(forward(parts)), new(ct_state="established"))
    assert answer.reasons[0] == f"{reason} (nft: table inet t, chain fwd, handle 1)"


def test_a_set_that_grows():
    rules = rules_of([GROWING], forward([match(SADDR, "@s"), ACCEPT]))
    [reason] = follow(rules, new(saddr=1)).reasons
    assert reason.startswith("`ip saddr @s` asks for a set that changes while packets pass")


def test_a_map_that_grows():
    named = {"map": {**PLACE, "name": "m", "type": "inet_service", "map": "verdict", "flags": ["dynamic"]}}
    rules = rules_of([named], forward([{"vmap": {"key": DPORT, "data": "@m"}}]))
    assert "`tcp dport vmap @m` asks for a map that changes" in follow(rules, new()).reasons[0]


def test_after_a_statement_that_is_not_understood():
    rules = rules_of(forward([{"odd": 1}], [dport(22), ACCEPT]))
    reasons = follow(rules, new()).reasons
    assert reasons[0].startswith('`{"odd":1}` is not understood')
    assert reasons[1].startswith("a statement that is not understood may have changed the destination port")


def test_reasons_that_do_not_matter_in_the_end_are_not_told():
    """Port 22 is accepted whether the first rule fits or not."""
    rules = rules_of(forward([match(SADDR, "10.0.0.1"), dport(22), ACCEPT], [dport(22), ACCEPT]))
    assert not follow(rules, new()).reasons


def test_each_once():
    limit = {"limit": {"rate": 5, "per": "second"}}
    rules = rules_of(forward([limit, meta_port(22), ACCEPT], [limit, meta_port(23), ACCEPT]))
    assert len(follow(rules, new()).reasons) == 2


def meta_port(port):
    return match(payload("th", "dport"), port)


def test_interfaces_are_asked_by_name():
    assert follow(rules_of(forward([match(meta("oif"), "lan"), ACCEPT])), new(oifname="lan")).accepted
