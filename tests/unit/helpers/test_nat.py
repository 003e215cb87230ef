"""Ports of translated connections: the announced one, or the next that is free."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap.helpers.base import TCP, Drop, Expect, Refused
from conntap.helpers.nat import ATTEMPTS, announce, expect_at_free_port
from conntap.helpers.testing import FakeConnection, FakePacket


def translated() -> FakeConnection:
    return FakeConnection("10.0.1.2", 40000, "10.0.2.2", 21)


def wanted(port: int) -> Expect:
    return Expect(dst=ip_address("10.0.2.1"), dport=port, l4proto=TCP)


def test_the_announced_port_is_taken_where_it_is_free():
    assert expect_at_free_port(translated().packet(b""), wanted(5000)).wanted == wanted(5000)


def test_ports_are_tried_upwards():
    busy = translated()
    busy.refuse = ["busy", "busy"]
    assert expect_at_free_port(busy.packet(b""), wanted(5000)).wanted == wanted(5002)


@pytest.mark.parametrize(("first", "tried"), [(5000, 1 + ATTEMPTS), (65530, 5), (65534, 1), (65535, 1)])
def test_so_many_are_tried(first, tried):
    busy = translated()
    busy.refuse = ["busy"] * 1000
    with pytest.raises(Drop, match="in use"):
        expect_at_free_port(busy.packet(b""), wanted(first))
    assert len(busy.refuse) == 1000 - tried


@pytest.mark.parametrize("why", ["already", "full"])
def test_another_reason_ends_the_search(why):
    refusing = translated()
    refusing.refuse = ["busy", why]
    with pytest.raises(Refused, match=why):
        expect_at_free_port(refusing.packet(b""), wanted(5000))
    assert refusing.table == []


def test_port_0_drops_but_stays_expected():
    """The kernel takes the port that it found for "none"."""
    odd = translated()
    with pytest.raises(Drop):
        expect_at_free_port(odd.packet(b""), wanted(0))
    assert [entry.wanted.dport for entry in odd.table] == [0]


def test_the_payload_names_the_port_that_was_found():
    busy = translated()
    busy.refuse = ["busy"]
    packet = busy.packet(b"PORT=9999;")
    announce(packet, wanted(9999), 5, 4, lambda port: b"%d" % port)
    assert packet.payload == b"PORT=10000;"
    assert busy.log == [("adjust", 1)]


def test_nothing_is_expected_where_the_packet_cannot_grow():
    class Full(FakePacket):
        def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
            raise Drop("too long")

    full = translated()
    with pytest.raises(Drop, match="too long"):
        announce(Full(full, b"1", 0, "established", 0, None), wanted(5000), 0, 1, lambda port: b"%d" % port)
    assert full.table == []
