"""Untracked packets, zones, and what is not understood (A018 to A020)."""

from conntap.audit.checks import tracking
from gateways import found, rules, view


def test_untracked_packets_from_outside():
    (one,) = tracking.untracked(view("notrack"))
    assert one.consequence.startswith("a stranger's packet that a rule takes out of tracking goes from wan to lan")
    assert [shown.what for shown in one.evidence] == ["udp dport 5000 notrack", "ct state untracked accept"]


def test_notrack_behind_the_lookup_does_nothing():
    assert not list(tracking.untracked(view("server")))


def test_two_interfaces_in_one_zone():
    (one,) = tracking.colliding_zones(view("server"))
    assert one.key == "zone 1"
    assert len(one.evidence) == 2


def test_half_of_a_rule_set_is_told_and_nothing_else_claimed():
    text = rules("router")
    half = {"nft.json": text[: len(text) // 2]}
    ids = found("router", **half)
    assert ids["A020"] == ["low"]
    (one,) = tracking.not_understood(view("router", **half))
    assert not one.certain


def test_a_match_that_is_not_known_is_told_with_its_rule():
    text = rules("good").replace(
        '{"match": {"op": "==", "left": {"ct": {"key": "helper"}}, "right": "ftp"}}',
        '{"xt": {"type": "match", "name": "bpf"}}',
    )
    assert text != rules("good")
    told = list(tracking.not_understood(view("good", **{"nft.json": text})))
    assert told
    assert all(one.evidence[0].place is not None and not one.certain for one in told)


def test_an_assignment_that_cannot_be_read_is_told():
    text = rules("good").replace(
        '{"ct helper": "ftp-std"}', '{"ct helper": {"map": {"key": {"jhash": {}}, "data": "@h"}}}'
    )
    assert text != rules("good")
    (one,) = tracking.unread_assignments(view("good", **{"nft.json": text}))
    assert (one.id, one.certain) == ("A020", False)
    assert "helper" in one.doubt
