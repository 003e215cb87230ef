"""Questions and answers."""

from __future__ import annotations

from dataclasses import fields

from conntap.rules.follow import follow
from conntap.rules.model import ANY_PORT, RuleSet
from conntap.rules.packet import Answer, Asked


def test_a_question_is_about_the_first_packet_of_a_tcp_connection_to_any_port():
    asked = Asked("forward", 4)
    assert (asked.l4proto, asked.ct_state, asked.dports) == (6, "new", (ANY_PORT,))


def test_where_no_rule_is_everything_is_accepted_and_the_answer_says_no_more():
    answer = follow(RuleSet(), Asked("forward", 4))
    assert answer == Answer((ANY_PORT,), (), (), ())


def test_a_fault_of_the_rule_set_makes_every_answer_unsure():
    answer = follow(RuleSet(faults=("line 3 is broken",)), Asked("forward", 4))
    assert (answer.accepted, answer.unsure, answer.reasons) == ((), (ANY_PORT,), ("line 3 is broken",))


def test_every_field_is_explained():
    for kind in (Asked, Answer):
        assert kind.__doc__ is not None
        assert all(one.name in kind.__doc__ for one in fields(kind))
