"""Packets through rule sets: what is accepted, dropped, and what cannot be told."""

from __future__ import annotations

from conntap.rules.follow import follow
from unit.rules.written import (
    ACCEPT,
    DROP,
    IIFNAME,
    RETURN,
    SADDR,
    STATE,
    chain,
    dport,
    forward,
    goto,
    jump,
    match,
    new,
    plain,
    rules_of,
    span,
)

ALL = [(0, 65535)]


def asked(*items, **said):
    """(accepted, dropped, unsure) of a new TCP packet in the forward hook."""
    answer = follow(rules_of(*items), new(**said))
    return plain(answer.accepted), plain(answer.dropped), plain(answer.unsure)


class TestPorts:
    def test_a_rule_splits_them_and_the_policy_takes_the_rest(self):
        assert asked(forward([dport(span(1000, 2000)), ACCEPT])) == (
            [(1000, 2000)],
            [(0, 999), (2001, 65535)],
            [],
        )

    def test_the_first_rule_that_fits_decides(self):
        rules = forward([dport(22), DROP], [dport(span(20, 30)), ACCEPT], policy="drop")
        assert asked(rules)[0] == [(20, 21), (23, 30)]

    def test_another_transport_is_another_packet(self):
        assert asked(forward([dport(22), ACCEPT]), l4proto=17) == ([], ALL, [])


class TestChains:
    def test_an_accept_ends_its_own_base_chain_only(self):
        first = forward([ACCEPT], name="first", prio=-10)
        second = forward([dport(22), ACCEPT], name="second", prio=10)
        assert asked(first, second) == ([(22, 22)], [(0, 21), (23, 65535)], [])

    def test_a_drop_ends_all(self):
        assert asked(forward([DROP], name="first", prio=-10), forward([ACCEPT], name="second")) == ([], ALL, [])

    def test_a_jump_comes_back_and_a_goto_does_not(self):
        inner = chain("inner", [dport(22), ACCEPT])
        after = [dport(80), ACCEPT]
        assert asked(inner, forward([jump("inner")], after))[0] == [(22, 22), (80, 80)]
        assert asked(inner, forward([goto("inner")], after))[0] == [(22, 22)]

    def test_return_goes_on_where_the_jump_was(self):
        inner = chain("inner", [dport(22), RETURN], [ACCEPT])
        assert asked(inner, forward([jump("inner")])) == ([(0, 21), (23, 65535)], [(22, 22)], [])

    def test_no_base_chain_lets_everything_through(self):
        assert asked(chain("alone", [DROP])) == (ALL, [], [])

    def test_chains_in_a_circle_are_told(self):
        answer = follow(rules_of(chain("a", [jump("b")]), chain("b", [jump("a")]), forward([jump("a")])), new())
        assert plain(answer.unsure) == ALL
        assert "chains jump in a circle: a → b → a" in answer.reasons[0]

    def test_a_chain_that_is_missing_is_told(self):
        answer = follow(rules_of(forward([dport(22), jump("gone")])), new())
        assert plain(answer.unsure) == [(22, 22)]
        assert "there is no chain 'gone'" in answer.reasons[0]


class TestUnsure:
    def test_a_rule_that_cannot_be_told_makes_its_ports_unsure(self):
        rules = forward([match(SADDR, "10.0.0.1"), dport(22), ACCEPT])
        answer = follow(rules_of(rules), new())
        assert plain(answer.unsure) == [(22, 22)]
        [reason] = answer.reasons
        assert "it depends on the source address" in reason
        assert "handle 1" in reason

    def test_if_the_rest_accepts_too_it_is_accepted_all_the_same(self):
        assert asked(forward([match(SADDR, "10.0.0.1"), ACCEPT], policy="accept")) == (ALL, [], [])

    def test_if_the_rest_drops_too_it_is_dropped(self):
        assert asked(forward([match(IIFNAME, "lan"), DROP], policy="drop")) == ([], ALL, [])

    def test_a_later_chain_that_drops_leaves_no_doubt(self):
        first = forward([match(SADDR, "10.0.0.1"), ACCEPT], name="first", prio=-1)
        assert asked(first, forward([DROP], name="second")) == ([], ALL, [])

    def test_by_chance(self):
        answer = follow(rules_of(forward([{"limit": {"rate": 5, "per": "second"}}, ACCEPT])), new())
        assert plain(answer.unsure) == ALL
        assert "`limit rate 5/second` fits some packets" in answer.reasons[0]

    def test_a_statement_that_is_not_understood(self):
        answer = follow(rules_of(forward([dport(22), {"frobnicate": {"x": 1}}, ACCEPT])), new())
        assert (plain(answer.unsure), plain(answer.dropped)) == ([(22, 22)], [(0, 21), (23, 65535)])
        assert '`{"frobnicate":{"x":1}}` is not understood' in answer.reasons[0]


class TestStates:
    def test_words(self):
        rules = forward([match(STATE, ["established", "related"], "in"), ACCEPT])
        assert [asked(rules, ct_state=state)[0] for state in ("new", "related", "established")] == [[], ALL, ALL]

    def test_a_verdict_map(self):
        entries = [["established", ACCEPT], ["related", jump("inner")], ["invalid", DROP]]
        rules = forward([{"vmap": {"key": STATE, "data": {"set": entries}}}], [dport(80), ACCEPT])
        inner = chain("inner", [dport(span(1024, 65535)), ACCEPT])
        assert asked(rules, inner, ct_state="related")[0] == [(80, 80), (1024, 65535)]
        assert asked(rules, inner, ct_state="new")[0] == [(80, 80)]
