"""Ways through a rule set, held against an interpreter that knows one packet at a time."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from conntap.rules.follow import follow
from conntap.rules.model import Span
from unit.rules.interpreter import NAMES, PORTS, SOURCES, STATES, Interpreter, rulesets
from unit.rules.written import (
    ACCEPT,
    DROP,
    MARK,
    SADDR,
    STATE,
    chain,
    dport,
    forward,
    jump,
    match,
    new,
    plain,
    rules_of,
    span,
)

RANGE = (Span(PORTS[0], PORTS[-1]),)


def ports_of(spans):
    return {port for one in spans for port in range(one.first, one.last + 1)}


def asked(name, source, state, l4proto):
    address = None if source is None else int(IPv4Address(source))
    return new(iifname=name, saddr=address, ct_state=state, l4proto=l4proto, dports=RANGE)


packets = st.tuples(st.sampled_from(NAMES), st.sampled_from(SOURCES), st.sampled_from(STATES), st.sampled_from([6, 17]))


@settings(max_examples=300)
@given(rulesets(), packets)
def test_what_is_known_whole_is_followed_as_one_packet_after_another(parts, packet):
    name, source, state, l4proto = packet
    answer = follow(rules_of(*parts), asked(*packet))
    told = {"l4proto": "tcp" if l4proto == 6 else "udp", "iifname": name, "saddr": source, "ct_state": state}
    accepted = {port for port in PORTS if Interpreter(parts, {**told, "dport": port}).accepted()}
    event(f"{len(answer.accepted) + len(answer.dropped)} spans")
    assert (ports_of(answer.accepted), ports_of(answer.dropped)) == (accepted, set(PORTS) - accepted)
    assert not answer.unsure
    assert not answer.reasons


@settings(max_examples=200)
@given(rulesets(), packets)
def test_what_is_not_said_never_makes_a_wrong_answer(parts, packet):
    """Whatever the source and the interface are, a port called accepted is accepted, one called dropped is not."""
    _, _, state, l4proto = packet
    answer = follow(rules_of(*parts), asked(None, None, state, l4proto))
    assert ports_of(answer.accepted) | ports_of(answer.dropped) | ports_of(answer.unsure) == set(PORTS)
    assert bool(answer.unsure) == bool(answer.reasons)
    protocol = "tcp" if l4proto == 6 else "udp"
    for name in NAMES:
        for source in SOURCES:
            told = {"l4proto": protocol, "iifname": name, "saddr": source, "ct_state": state}
            accepted = {port for port in PORTS if Interpreter(parts, {**told, "dport": port}).accepted()}
            assert ports_of(answer.accepted) <= accepted
            assert not ports_of(answer.dropped) & accepted


@settings(max_examples=150)
@given(rulesets(), packets)
def test_every_port_has_a_step_that_says_why(parts, packet):
    answer = follow(rules_of(*parts), asked(*packet))
    for verdict, spans in (("accept", answer.accepted), ("drop", answer.dropped)):
        told = {port for step in answer.steps if step.verdict == verdict for port in ports_of(step.ports)}
        assert told == ports_of(spans)


class TestMarks:
    def test_a_mark_set_for_some_ports_is_kept_apart(self):
        rules = forward(
            [dport(span(20, 29)), {"mangle": {"key": MARK, "value": 5}}],
            [match(MARK, 5), ACCEPT],
        )
        assert plain(follow(rules_of(rules), new()).accepted) == [(20, 29)]

    def test_prerouting_comes_before_forward(self):
        pre = forward(
            [dport(22), {"mangle": {"key": MARK, "value": 5}}], name="pre", hook="prerouting", policy="accept"
        )
        rules = rules_of(pre, forward([match(MARK, 5), ACCEPT]))
        assert plain(follow(rules, new()).accepted) == [(22, 22)]
        assert plain(follow(rules, new(more={"mark": 5})).accepted) == [(0, 65535)]

    def test_the_mark_of_an_older_connection_is_not_known(self):
        sets = forward([{"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}}], name="pre", hook="postrouting")
        rules = rules_of(sets, forward([match({"ct": {"key": "mark"}}, 1), ACCEPT]))
        assert plain(follow(rules, new()).dropped) == [(0, 65535)]
        assert plain(follow(rules, new(ct_state="established")).unsure) == [(0, 65535)]

    def test_bits_and_copies(self):
        ctmark = {"ct": {"key": "mark"}}
        rules = forward(
            [{"mangle": {"key": MARK, "value": 0x10}}],
            [{"mangle": {"key": MARK, "value": {"|": [{"&": [MARK, 0xF0]}, 3]}}}],
            [{"mangle": {"key": ctmark, "value": MARK}}],
            [match({"&": [ctmark, 0xFF]}, 0x13), dport(22), ACCEPT],
        )
        assert plain(follow(rules_of(rules), new()).accepted) == [(22, 22)]

    def test_a_mark_that_may_be_set_is_the_reason(self):
        rules = forward(
            [match(SADDR, "10.0.0.1"), {"mangle": {"key": MARK, "value": 5}}],
            [match(MARK, 5), ACCEPT],
        )
        answer = follow(rules_of(rules), new())
        assert plain(answer.unsure) == [(0, 65535)]
        assert answer.reasons == ("it depends on the source address (nft: table inet t, chain fwd, handle 1)",)

    def test_many_marks_on_ways_that_cannot_be_told_are_no_more_told_apart(self):
        unknown = match({"payload": {"protocol": "ip", "field": "ttl"}}, 64)
        sets = [[unknown, {"mangle": {"key": MARK, "value": {"|": [MARK, 1 << bit]}}}] for bit in range(12)]
        answer = follow(rules_of(forward(*sets, [match(MARK, 1 << 11), ACCEPT])), new())
        assert plain(answer.unsure) == [(0, 65535)]


class TestBeforeConnectionsAreLookedUp:
    @pytest.mark.parametrize(("prio", "dropped"), [(-300, [(0, 65535)]), (-150, [])])
    def test_there_every_packet_is_invalid(self, prio, dropped):
        rules = forward([match(STATE, "invalid", "in"), DROP], hook="prerouting", prio=prio, policy="accept")
        assert plain(follow(rules_of(rules), new(hook="prerouting")).dropped) == dropped

    def test_notrack_counts_there_alone(self):
        for prio, accepted in ((-300, [(0, 65535)]), (-150, [])):
            raw = forward([{"notrack": None}], hook="output", prio=prio, name="raw", policy="accept")
            out = forward([match(STATE, "untracked", "in"), ACCEPT], hook="output", name="out")
            assert plain(follow(rules_of(raw, out), new(hook="output")).accepted) == accepted


class TestNat:
    def test_a_translation_ends_its_chain(self):
        nat = forward(
            [dport(80), {"dnat": {"addr": "10.0.0.2"}}], [DROP], hook="prerouting", kind="nat", policy="accept"
        )
        answer = follow(rules_of(nat), new(hook="prerouting"))
        assert plain(answer.accepted) == [(80, 80)]

    def test_later_packets_of_a_connection_do_not_meet_it(self):
        nat = forward([DROP], hook="prerouting", kind="nat", policy="accept")
        assert not follow(rules_of(nat), new(hook="prerouting", ct_state="established")).dropped


def test_chains_that_double_and_double_are_followed_once_each():
    parts = [chain(f"c{at}", [jump(f"c{at + 1}")], [jump(f"c{at + 1}")]) for at in range(60)]
    parts.append(chain("c60", [dport(22), ACCEPT]))
    assert plain(follow(rules_of(*parts, forward([jump("c0")])), new()).accepted) == [(22, 22)]


def test_too_many_chains_in_each_other_are_told():
    parts = [chain(f"c{at}", [jump(f"c{at + 1}")]) for at in range(3000)]
    answer = follow(rules_of(*parts, chain("c3000", [ACCEPT]), forward([jump("c0")])), new())
    assert plain(answer.unsure) == [(0, 65535)]
    assert "more than 100 chains" in answer.reasons[0]


def test_a_queue_is_a_program_that_decides():
    answer = follow(rules_of(forward([dport(22), {"queue": {"num": 0}}])), new())
    assert plain(answer.unsure) == [(22, 22)]
    assert "a program decides" in answer.reasons[0]
