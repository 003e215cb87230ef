"""The NetBIOS name service helper: answers to a broadcast may come for three seconds."""

from __future__ import annotations

from ipaddress import IPv4Interface

from hypothesis import given

from conntap.helpers.base import UDP, Policy
from conntap.helpers.netbios_ns import NetbiosNs
from conntap.helpers.testing import FakeConnection
from unit.helpers.noise import conversations, hold

HERE = IPv4Interface("192.168.9.1/24")


def test_answers_come_from_port_137_of_the_network():
    """As the kernel says: src=192.168.9.255/24:137, dst=192.168.9.1:137, PERMANENT."""
    asked = FakeConnection("192.168.9.1", 137, "192.168.9.255", 137, l4proto=UDP)
    NetbiosNs().packet(asked.packet(b"whatever", state="new", local_network=HERE))
    (entry,) = asked.table
    assert (entry.wanted.src_prefix, entry.wanted.sport, entry.wanted.dport) == (24, 137, 137)
    assert asked.log == [("refresh", 3)]


def test_the_timeout_is_a_parameter():
    assert NetbiosNs.policies_for({}) == (Policy("answers", 1, 3),)
    assert NetbiosNs.policies_for({"timeout": 9}) == (Policy("answers", 1, 9),)
    asked = FakeConnection("192.168.9.1", 137, "192.168.9.255", 137, l4proto=UDP)
    NetbiosNs({"timeout": 9}).packet(asked.packet(b"", local_network=HERE))
    assert asked.log == [("refresh", 9)]


@given(conversations(b"\0"))
def test_noise_does_no_harm(steps):
    assert hold(NetbiosNs, steps) == []
