"""Only rules that could fit are looked at, and none is left out."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from conntap.rules import index
from conntap.rules.facts import Facts, World
from conntap.rules.fits import holds
from conntap.rules.index import Indexed, places
from conntap.rules.model import Span
from conntap.rules.spans import ALL_PORTS, bits_of
from unit.rules.interpreter import NAMES, SOURCES, STATES, matches
from unit.rules.written import ACCEPT, DROP, chain, dport, forward, jump, match, meta, new, payload, rules_of


def indexed(*rules):
    return Indexed(rules_of(forward(*rules)).chains["nft", "inet", "t", "fwd"])


def facts(**said):
    return Facts(new(**said), World(), early=False, nft=True)


@settings(max_examples=100)
@given(
    st.lists(st.lists(matches, max_size=3), min_size=1, max_size=30),
    st.tuples(st.sampled_from([None, *NAMES]), st.sampled_from([None, *SOURCES]), st.sampled_from(STATES)),
    st.sampled_from([ALL_PORTS, bits_of((Span(3, 6),))]),
)
def test_a_rule_is_left_out_only_if_it_cannot_fit(rules, packet, ports):
    name, source, state = packet
    known = facts(iifname=name, saddr=None if source is None else int(IPv4Address(source)), ct_state=state)
    found = indexed(*([*rule, ACCEPT] for rule in rules))
    alive, unsure = found.alive(known, ports)
    for at, rule in enumerate(found.chain.rules):
        maybe = ports
        for condition in rule.conditions:
            certain, possible = holds(condition, known)
            maybe &= certain | possible
        assert alive >> at & 1 or not maybe
        if alive >> at & 1 and not unsure >> at & 1:
            assert all(holds(one, known)[0] for one in rule.conditions if one not in found.left[at])


def test_what_does_nothing_is_not_looked_at():
    found = indexed([dport(22), {"counter": {}}], [ACCEPT], [{"continue": None}])
    assert list(places(found.alive(facts(), ALL_PORTS)[0], 0)) == [1]


def test_many_rules_for_other_ports_are_left_out_at_once(monkeypatch):
    monkeypatch.setattr(index, "MANY", 1)
    found = indexed(*([dport(port), ACCEPT] for port in range(10)))
    assert list(places(found.alive(facts(), bits_of((Span(3, 4),)))[0], 0)) == [3, 4]
    assert list(places(found.alive(facts(), ALL_PORTS)[0], 7)) == [7, 8, 9]


def test_answers_are_kept_and_forgotten(monkeypatch):
    monkeypatch.setattr(index, "KEPT", 2)
    found = indexed([match(payload("ip", "saddr"), "10.0.0.1"), ACCEPT], [match(meta("mark"), 1), DROP])
    for source in (1, int(IPv4Address("10.0.0.1")), 3, int(IPv4Address("10.0.0.1"))):
        alive, _ = found.alive(facts(saddr=source), ALL_PORTS)
        assert (alive & 1 == 1) == (source > 3)


def test_effects():
    found = Indexed(
        rules_of(chain("c", [ACCEPT], [{"reject": None}], [jump("x")], [{"notrack": None}, ACCEPT])).chains[
            "nft", "inet", "t", "c"
        ]
    )
    assert found.effects == ["accept", "drop", "other", "other"]
    assert found.noted == {3}
