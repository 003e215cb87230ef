"""A rule set, whoever wrote it."""

from __future__ import annotations

from conntap.rules.model import Chain, Place, RuleSet


def chain(name, family="inet", **base):
    return Chain(Place("nft", family, "t", name), **base)


def ruleset(*chains):
    return RuleSet({(one.place.source, one.place.family, one.place.table, one.place.chain): one for one in chains})


def test_a_packet_meets_base_chains_of_its_version_by_priority():
    rules = ruleset(
        chain("late", hook="forward", priority=10),
        chain("four", "ip", hook="forward", priority=-5),
        chain("six", "ip6", hook="forward", priority=-6),
        chain("other", hook="input"),
        chain("inner"),
        chain("bridged", "bridge", hook="forward"),
    )
    assert [one.place.chain for one in rules.base("forward", 4)] == ["four", "late"]
    assert [one.place.chain for one in rules.base("forward", 6)] == ["six", "late"]


def test_two_are_joined_as_where_both_programs_are_used():
    both = RuleSet(ruleset(chain("a")).chains, ("broken",)) | ruleset(chain("b"))
    assert ([key[3] for key in both.chains], both.faults) == (["a", "b"], ("broken",))
    assert not both.memory


def test_a_place_says_where_to_look():
    assert str(Place("nft", "inet", "fw", "forward", handle=7)) == "nft: table inet fw, chain forward, handle 7"
    assert str(Place("iptables", "ip", "filter", "INPUT", line=9)) == "iptables: table ip filter, chain INPUT, line 9"
