"""The fake connection does what it says, so that a helper tried on it can be trusted."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap.helpers.base import GRE, REPLY, TCP, UDP, Expect, Refused, Tuple
from conntap.helpers.testing import FakeConnection

CLIENT, SERVER = ip_address("10.0.1.2"), ip_address("10.0.2.2")


def connection(**more: object) -> FakeConnection:
    return FakeConnection("10.0.1.2", 40000, "10.0.2.2", 21, **more)


def test_a_packet_has_the_tuples_of_its_direction():
    packet = connection().packet(b"x", direction=REPLY)
    assert packet.tuple == Tuple(SERVER, CLIENT, TCP, 21, 40000)
    assert packet.inverse == Tuple(CLIENT, SERVER, TCP, 40000, 21)
    assert not packet.natted


def test_a_connection_is_translated_where_the_answer_goes_elsewhere():
    seen = Tuple(SERVER, ip_address("10.0.2.1"), TCP, 21, 40000)
    assert connection(reply=seen).packet(b"").natted


def test_expectations_are_found_newest_first_and_by_what_matches():
    fake = connection()
    packet = fake.packet(b"")
    first = packet.expect(Expect(dst=CLIENT, dport=1, l4proto=TCP, src=SERVER))
    second = packet.expect(Expect(dst=CLIENT, dport=2, l4proto=TCP, inactive=True))
    assert packet.expectations() == [second, first]
    assert packet.find(Tuple(SERVER, CLIENT, TCP, 9, 1)) is first
    assert packet.find(Tuple(CLIENT, CLIENT, TCP, 9, 1)) is None
    assert packet.find(Tuple(CLIENT, CLIENT, TCP, 9, 2)) is second
    first.remove()
    assert packet.expectations() == [second]


def test_a_refreshed_expectation_has_its_time_and_may_become_active():
    fake = connection()
    made = fake.packet(b"").expect(Expect(dst=CLIENT, dport=1, l4proto=UDP, inactive=True))
    assert not fake.table[0].active
    made.refresh(60, activate=True)
    assert (fake.table[0].active, fake.table[0].left) == (True, 60)


def test_refusals_come_in_the_order_that_was_given():
    fake = connection()
    fake.refuse = [None, "busy"]
    packet = fake.packet(b"")
    packet.expect(Expect(dst=CLIENT, dport=1, l4proto=UDP))
    with pytest.raises(Refused, match="busy"):
        packet.expect(Expect(dst=CLIENT, dport=2, l4proto=UDP))
    assert [entry.wanted.dport for entry in fake.table] == [1]


def test_a_mangled_payload_is_what_the_helper_reads_on():
    fake = connection()
    packet = fake.packet(b"one two")
    packet.mangle(0, 3, b"three")
    packet.mangle(6, 3, b"2", adjust=False)
    assert packet.payload == b"three 2"
    assert fake.log == [("adjust", 2)]


def test_wishes_are_noted():
    fake = connection()
    packet = fake.packet(b"")
    packet.refresh(9)
    packet.adjust_sequence(-1)
    packet.set_dport(5)
    assert not packet.kill(fake.original)
    assert fake.log == [("refresh", 9), ("adjust", -1), ("set_dport", 5), ("kill", fake.original)]


def test_one_gre_pair_is_kept_and_only_receivers_keys_are_compared():
    packet = connection().packet(b"")
    forth = Tuple(CLIENT, SERVER, GRE, 1, 2)
    assert packet.map_gre(forth, forth.inverse())
    assert packet.map_gre(forth, forth.inverse())
    assert packet.map_gre(forth._replace(sport=9), forth.inverse())
    assert not packet.map_gre(forth._replace(dport=9), forth.inverse())
    assert packet.map_gre(forth, forth.inverse())
    assert not packet.map_gre(forth, forth.inverse()._replace(dport=9))
    assert packet.map_gre(forth._replace(dport=9), forth.inverse()._replace(dport=9))
    packet.unmap_gre()
    assert packet.map_gre(forth, forth.inverse())
