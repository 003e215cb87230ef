"""What is known of a packet without being said."""

from __future__ import annotations

import pytest

from conntap.rules.facts import WORDS, Facts, World
from conntap.rules.fits import ABSENT, Holding
from conntap.rules.model import FIELDS
from unit.rules.written import new


def facts(world=None, early=False, nft=True, **said):
    return Facts(new(**said), world or World(), early=early, nft=nft)


@pytest.mark.parametrize(
    ("said", "field", "known"),
    [
        ({}, "tcp_flags", "syn"),
        ({"ct_state": "established"}, "tcp_flags", None),
        ({"l4proto": 17}, "tcp_flags", None),
        ({}, "ct_direction", "original"),
        ({"ct_state": "established"}, "ct_direction", None),
        ({"l4proto": 1, "ct_state": "related"}, "ct_direction", None),  # an ICMP error goes either way
        ({"l4proto": 1, "ct_state": "related"}, "ct_protocol", None),
        ({"l4proto": 17, "ct_state": "related"}, "ct_protocol", 17),
        ({}, "fib_daddr_type", "unicast"),
        ({"hook": "input"}, "fib_daddr_type", "local"),
        ({"hook": "prerouting"}, "fib_daddr_type", None),
        ({}, "fib_saddr_oif", None),
        ({}, "pkttype", "host"),
        ({"daddr": 9}, "ct_original_daddr", 9),
        ({"daddr": 9, "ct_status": frozenset({"dnat"})}, "ct_original_daddr", None),
        ({"saddr": 9}, "ct_original_saddr", 9),
        ({"hook": "prerouting"}, "oifname", ""),
        ({"hook": "output"}, "iifname", ""),
        ({}, "iifname", None),
        ({"iifname": "lo"}, "iiftype", 772),
        ({}, "icmp_type", None),
        ({"more": {"icmp_type": 8}}, "icmp_type", 8),
        ({"ct_helper": ""}, "ct_helper", ABSENT),
        ({"ct_helper": "irc"}, "ct_helper", "irc"),
        ({"ct_helper": None}, "ct_helper", None),
        ({"ct_state": "invalid"}, "ct_mark", ABSENT),
        ({"ct_state": "untracked"}, "ct_helper", ABSENT),
        ({}, "ct_status", Holding(frozenset(), frozenset())),
    ],
)
def test_a_field(said, field, known):
    assert facts(**said)(field) == known


def test_of_an_old_connection_some_words_of_its_status_are_not_known():
    known = facts(ct_state="established")("ct_status")
    assert known == Holding(frozenset({"confirmed"}), frozenset({"seen-reply", "assured"}))
    assert facts(ct_state=None)("ct_status") is None


def test_iptables_sees_no_helper_as_a_helper_without_name():
    assert facts(nft=False)("ct_helper") == ""


class TestEarly:
    """Before connections are looked up."""

    def test_the_state_is_invalid_and_the_rest_is_not_there(self):
        early = facts(early=True)
        assert [early(field) for field in ("ct_state", "ct_mark", "ct_helper", "ct_status")] == ["invalid"] + [
            ABSENT
        ] * 3

    def test_after_notrack_it_is_untracked(self):
        assert facts(World(untracked=True))("ct_state") == "untracked"


def test_after_a_statement_that_is_not_understood_little_is_known():
    changed = facts(World(changed=True), saddr=1, iifname="lan", more={"icmp_type": 8})
    assert [changed(field) for field in ("saddr", "dport", "icmp_type", "mark")] == [None] * 4
    assert [changed(field) for field in ("iifname", "l4proto", "ct_state")] == ["lan", 6, "new"]


def test_every_field_has_words_for_reasons():
    assert set(WORDS) | {"nfproto"} == set(FIELDS)
