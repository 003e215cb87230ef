"""The three helpers of H.323 together: the samples, and messages that nobody would send."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapReader

import pcap_transcript
from conntap.helpers.base import ORIGINAL, REPLY, TCP, UDP, Drop, Helper
from conntap.helpers.h323 import H245, Q931, Ras
from conntap.helpers.testing import FakeConnection
from unit.helpers.h323_cases import describe, payloads

SAMPLES = Path(__file__).parents[2] / "data/pcap"
ADDRESSES = {4: ("10.0.1.2", "10.0.2.2", "10.0.2.1"), 6: ("2001:db8:1::2", "2001:db8:2::2", "2001:db8:2::1")}
ALL = (Ras, Q931, H245)
# The most that one segment can announce: two ways, two channels, thirty times, and twice four tunnelled messages.
MOST = 600


def payloads_between(name: str, client: tuple[str, int], server: tuple[str, int]) -> list[tuple[int, int, bytes]]:
    """Packet number, direction and payload of one IPv4 connection of a sample."""
    found = []
    with RawPcapReader(str(SAMPLES / f"{name}.pcap")) as frames:
        for number, (frame, _) in enumerate(frames, start=1):
            packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
            sport, dport = struct.unpack_from(">HH", packet, 20)
            ends = [(".".join(map(str, packet[at : at + 4])), port) for at, port in ((12, sport), (16, dport))]
            begins = 20 + ((packet[32] >> 4) * 4 if packet[9] == TCP else 8)
            if ends in ([client, server], [server, client]):
                found.append((number, ORIGINAL if ends[0] == client else REPLY, packet[begins:]))
    return found


@pytest.mark.parametrize(
    ("name", "helper", "l4proto", "client", "server"),
    [
        ("h323_q931", Q931, TCP, ("10.0.1.2", 45000), ("10.0.2.2", 1720)),
        ("h323_ras", Ras, UDP, ("10.0.1.2", 1719), ("10.0.2.2", 1719)),
    ],
)
def test_the_samples_are_read_as_the_kernel_reads_them(name, helper, l4proto, client, server):
    sections = pcap_transcript.read((SAMPLES / f"{name}.events.txt").read_text()).packets
    connection = FakeConnection(*client, *server, l4proto=l4proto)
    reader = helper()
    announced = 0
    for number, direction, payload in payloads_between(name, client, server):
        before = len(connection.table)
        reader.packet(connection.packet(payload, direction=direction))
        news = [line for line in sections[number - 1].lines if line.startswith("EXP NEW")]
        made = [describe(entry.wanted) for entry in connection.table[before:]]
        assert len(made) == len(news)
        for told, line in zip(made, news):
            proto = {TCP: "tcp", UDP: "udp"}[told["l4proto"]]
            assert f"tuple[src={told['src']} dst={told['dst']} proto={proto} sport=0 dport={told['dport']}]" in line
            assert ("PERMANENT" in line) == told["permanent"]
        announced += len(made)
    assert announced == 1


def test_the_samples_registration_lasts_as_long_as_the_kernels():
    connection = FakeConnection("10.0.1.2", 1719, "10.0.2.2", 1719, l4proto=UDP)
    reader = Ras()
    for _, direction, payload in payloads_between("h323_ras", ("10.0.1.2", 1719), ("10.0.2.2", 1719)):
        reader.packet(connection.packet(payload, direction=direction))
    assert connection.log == [("refresh", 300)]
    assert connection.table[0].left is None  # the kernel does not find the expectation that it means to prolong


def hold(helper: type[Helper], steps: list[tuple[int, bytes]], family: int, *, natted: bool) -> None:
    """Anything but Drop is the helper's fault, and so is a payload that becomes longer."""
    client, server, outside = ADDRESSES[family]
    port = helper.port or 11000
    reply = FakeConnection(outside if natted else client, 40000, server, port, l4proto=helper.l4protos[0])
    connection = FakeConnection(client, 40000, server, port, l4proto=helper.l4protos[0], reply=reply.original.inverse())
    reader = helper()
    for direction, payload in steps:
        packet = connection.packet(payload, direction=direction)
        before = len(connection.table)
        try:
            reader.packet(packet)
        except Drop:
            continue
        finally:
            assert len(connection.table) - before <= MOST
            assert len(packet.payload) == len(payload)
    assert all(0 <= entry.wanted.dport < 1 << 16 for entry in connection.table)


@st.composite
def mutated(draw: st.DrawFn, messages: list[bytes]) -> bytes:
    """A message with octets changed, put in or left out, and in a TPKT whose length is right again."""
    message = bytearray(draw(st.sampled_from(messages)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(message)))
        message[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    if message[:2] == b"\x03\x00" and len(message) >= 4 and draw(st.booleans()):
        message[2:4] = struct.pack(">H", len(message))
    return bytes(message)


@pytest.mark.parametrize("helper", ALL)
@given(data=st.data(), family=st.sampled_from([4, 6]), natted=st.booleans())
def test_no_message_does_worse_than_be_dropped(helper, data, family, natted):
    payload = mutated(payloads(helper)) | st.binary(max_size=200)
    hold(helper, data.draw(st.lists(st.tuples(st.sampled_from([0, 1]), payload), max_size=6)), family, natted=natted)


@pytest.mark.parametrize("helper", ALL)
def test_no_beginning_of_a_message_does_worse_than_be_dropped(helper):
    for message in payloads(helper):
        for end in range(len(message)):
            cut = (
                message[:2] + struct.pack(">H", end) + message[4:end]
                if end >= 4 and helper is not Ras
                else message[:end]
            )
            hold(helper, [(0, cut), (1, cut)], 4, natted=True)


def test_the_helpers_are_three_with_the_names_that_rules_say():
    assert [(helper.name, helper.port, helper.l4protos) for helper in ALL] == [
        ("RAS", 1719, (UDP,)),
        ("Q.931", 1720, (TCP,)),
        ("H.245", 0, (TCP,)),
    ]


@pytest.mark.parametrize(("helper", "most"), [(Ras, 32), (Q931, 20), (H245, 18)])
def test_expectations_live_four_minutes(helper, most):
    assert [(policy.max_expected, policy.timeout) for policy in helper.policies] == [(most, 240)]
