"""Findings are made of answers, one for each rule that lets something in."""

from dataclasses import replace

from conntap.audit.finder import by_rule, key_of
from conntap.rules.model import Condition, Place, Rule, Span
from conntap.rules.packet import Answer, Step

PLACE = Place("nft", "inet", "fw", "forward", handle=7, text="ct state related counter packets 5 bytes 300 accept")
RULE = Rule(PLACE, (Condition(("ct_state",), ((("related",),),)),))
ALL = (Span(1, 65535),)


def accepted(*steps):
    return Answer(ALL, (), (), steps)


def test_answers_of_one_rule_are_one_group():
    step = Step("accept", ALL, "forward", RULE)
    groups = by_rule([(accepted(step), 4, 6, "wan", "lan"), (accepted(step), 6, 17, "wan", "lan")])
    (group,) = groups
    assert group.where == [(4, "wan", "lan"), (6, "wan", "lan")]
    assert group.l4protos == [6, 17]
    assert group.certain


def test_a_policy_beside_the_rule_is_not_blamed():
    groups = by_rule(
        [(accepted(Step("accept", ALL, "raw", None), Step("accept", ALL, "forward", RULE)), 4, 6, "a", "b")]
    )
    assert [group.step.rule for group in groups] == [RULE]


def test_what_is_dropped_is_no_group():
    assert not by_rule([(Answer((), ALL, (), (Step("drop", ALL, "forward", RULE),)), 4, 6, "a", "b")])


def test_doubt_is_kept():
    answer = Answer((), (), ALL, (Step("unsure", ALL, "forward", RULE, "why"),), ("why",))
    (group,) = by_rule([(answer, 4, 6, "a", "b")])
    assert not group.certain
    assert group.doubts == ["why"]


def test_keys_have_no_handle_and_no_counters():
    assert key_of(RULE) == "nft/inet/fw/forward/ct state related counter accept"
    assert key_of(replace(RULE, place=replace(PLACE, handle=8, line=3))) == key_of(RULE)
    assert key_of(None, "ftp", chain="forward") == "forward/ftp"
