"""Addresses are read from the payload as it is now, and only those of the connection's own family."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from conntap.helpers.h323_address import Endpoint, h225, h245
from conntap.helpers.h323_per import Value
from conntap.helpers.testing import FakeConnection

FAMILIES = {"10.0.1.2": "10.0.2.2", "2001:db8:1::2": "2001:db8:2::2"}


def value(place: int, *path: str) -> Value:
    """A value that is found by *path*."""
    found = Value(number=place)
    for name in reversed(path):
        found = Value(chosen=name, parts={name: found})
    return found


@pytest.mark.parametrize(
    ("read", "path"),
    [
        (h225, {4: ("ipAddress", "ip"), 6: ("ip6Address", "ip")}),
        (h245, {4: ("unicastAddress", "iPAddress", "network"), 6: ("unicastAddress", "iP6Address", "network")}),
    ],
)
@pytest.mark.parametrize("address", FAMILIES)
def test_an_address_is_followed_by_its_port(read, path, address):
    packet = FakeConnection(address, 1, FAMILIES[address], 2).packet(b"xyz" + ip_address(address).packed + b"\x06\xb8")
    version = ip_address(address).version
    assert read(packet, value(3, *path[version])) == Endpoint(ip_address(address), 1720, 3)
    assert read(packet, value(3, *path[10 - version])) is None


def test_a_multicast_address_is_nobodys():
    packet = FakeConnection("10.0.1.2", 1, "10.0.2.2", 2).packet(bytes(9))
    assert h245(packet, value(0, "multicastAddress", "iPAddress", "network")) is None


def test_what_is_missing_has_no_address():
    packet = FakeConnection("10.0.1.2", 1, "10.0.2.2", 2).packet(bytes(9))
    assert h225(packet, None) is None
    assert h225(packet, Value(chosen="netBios")) is None


def test_a_rewritten_address_is_read_as_it_is_now():
    packet = FakeConnection("10.0.1.2", 1, "10.0.2.2", 2).packet(bytes.fromhex("0a00010206b8"))
    packet.mangle(0, 6, bytes.fromhex("0a00020106b9"))
    assert h225(packet, value(0, "ipAddress", "ip")) == Endpoint(ip_address("10.0.2.1"), 1721, 0)
