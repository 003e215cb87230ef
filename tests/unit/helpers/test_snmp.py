"""The SNMP helper: answers to a broadcast, and addresses within messages where the client is translated.

Which messages pass and which are dropped was seen on kernel 6.18.44.
"""

from __future__ import annotations

from ipaddress import IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, UDP, Drop, Policy
from conntap.helpers.snmp import Snmp
from conntap.helpers.testing import FakeConnection
from unit.helpers.noise import connection, conversations, hold

INSIDE, OUTSIDE = bytes([10, 0, 1, 2]), bytes([10, 0, 2, 1])


def value(identifier: int, *parts: bytes) -> bytes:
    contents = b"".join(parts)
    return bytes([identifier, len(contents)]) + contents


def number(of: int) -> bytes:
    return value(2, bytes([of]))


def binding(*values: bytes) -> bytes:
    return value(0x30, value(6, b"\x2b\x06"), *values)


def message(*bindings: bytes, version: int = 1, pdu: int = 0xA2, behind: bytes = b"") -> bytes:
    numbers = number(1) + number(0) + number(0)
    return value(0x30, number(version), value(4, b"public"), value(pdu, numbers, value(0x30, *bindings)), behind)


ADDRESS = binding(value(0x40, INSIDE))
NOTHING = binding(value(5))


def passed(payload: bytes, *, direction: int = ORIGINAL, client_port: int = 40000) -> bytes:
    """How it leaves a gateway that translates the client."""
    translated = FakeConnection("10.0.1.2", client_port, "10.0.2.2", 161, l4proto=UDP)
    translated.reply = FakeConnection("10.0.2.1", client_port, "10.0.2.2", 161, l4proto=UDP).original.inverse()
    packet = translated.packet(payload, direction=direction)
    Snmp().packet(packet)
    return packet.payload


def test_answers_to_a_broadcast_come_for_thirty_seconds():
    asked = FakeConnection("192.168.9.1", 40161, "192.168.9.255", 161, l4proto=UDP)
    Snmp().packet(asked.packet(b"", state="new", local_network=IPv4Interface("192.168.9.1/24")))
    assert [(entry.wanted.sport, entry.wanted.dport) for entry in asked.table] == [(161, 40161)]
    assert asked.log == [("refresh", 30)]


def test_the_timeout_is_a_parameter():
    assert Snmp.policies_for({}) == (Policy("answers", 1, 30),)
    assert Snmp.policies_for({"timeout": 9}) == (Policy("answers", 1, 9),)


@pytest.mark.parametrize("direction", [ORIGINAL, REPLY])
@pytest.mark.parametrize("version", [0, 1])
def test_the_client_s_address_becomes_what_the_world_sees_whoever_says_it(direction, version):
    sent = message(ADDRESS, NOTHING, ADDRESS, version=version)
    assert passed(sent, direction=direction) == sent.replace(INSIDE, OUTSIDE)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(message(binding(value(0x40, b"\x0a\0\1\3"))), id="another address"),
        pytest.param(message(binding(value(4, INSIDE))), id="a string"),
        pytest.param(message(binding()), id="no value"),
        pytest.param(value(0x30, number(1), value(4)), id="no PDU"),
        pytest.param(message(NOTHING) + b"rest", id="more behind it"),
        pytest.param(b"\x30\x81" + message(NOTHING)[1:], id="a longer length"),
        pytest.param(b"\x10" + message(NOTHING)[1:], id="an identifier without the constructed bit"),
    ],
)
def test_what_passes_unchanged(sent):
    assert passed(sent) == sent


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(message(NOTHING, version=3), id="SNMPv3"),
        pytest.param(message(NOTHING, pdu=0xA4), id="a trap of version 1"),
        pytest.param(message(), id="no bindings"),
        pytest.param(message(NOTHING, behind=b"rest"), id="more within it"),
        pytest.param(message(NOTHING)[:-1], id="cut off"),
        pytest.param(message(binding(value(0x40, b"\0" * 5))), id="an address of five bytes"),
        pytest.param(message(binding(value(0x45, b"a"))), id="an unknown type"),
        pytest.param(message(binding(value(5), value(5))), id="two values"),
        pytest.param(b"\x30\x80" + message(NOTHING)[2:] + b"\0\0", id="an indefinite length"),
        pytest.param(value(0x30, value(2, b"\0\1"), value(4)), id="a long version"),
    ],
)
def test_what_is_no_message_is_dropped(sent):
    with pytest.raises(Drop):
        passed(sent)


def test_who_asks_from_the_agents_port_is_not_looked_at():
    assert passed(b"anything", client_port=161) == b"anything"
    assert passed(b"anything", direction=REPLY, client_port=162) == b"anything"


def test_a_translated_server_changes_nothing():
    translated = connection(Snmp)
    translated.reply = translated.reply._replace(src=translated.original.src)
    Snmp().packet(translated.packet(b"anything"))


@given(conversations(message(ADDRESS), b"\x30", b"\x80", ADDRESS, b"\x02\x01\x01", b"\x04\x00"), st.booleans())
def test_noise_does_no_harm(steps, natted):
    assert hold(Snmp, steps, natted=natted) == []


def test_the_longest_packets_are_read_in_one_pass():
    bindings = binding(value(5)) * 7000
    pdu = number(1) * 3 + b"\x30\x82" + len(bindings).to_bytes(2, "big") + bindings
    inner = number(1) + value(4) + b"\xa0\x82" + len(pdu).to_bytes(2, "big") + pdu
    sent = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner
    assert passed(sent) == sent
