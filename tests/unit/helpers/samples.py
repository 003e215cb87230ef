"""The sample captures of tests/data/pcap, read by one helper and written as the kernel's transcripts are."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scapy.utils import RawPcapReader

import pcap_transcript
from conntap.helpers.base import GRE, ORIGINAL, REPLY, TCP, UDP, Drop, Expect, Helper, Policy, Tuple
from conntap.helpers.testing import FakeConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = Path(__file__).parents[2] / "data/pcap"
PROTOCOLS = {TCP: "tcp", UDP: "udp", GRE: "gre"}
DROPPED = "dropped"


class Read(NamedTuple):
    """What happens at one packet of a helper's connection: lines as in a transcript."""

    number: int
    lines: list[str]


def of_kernel(name: str, helper: type[Helper]) -> list[Read]:
    """What the kernel made of the packets that reach this helper."""
    sections = pcap_transcript.read((DIRECTORY / f"{name}.events.txt").read_text()).packets
    found = []
    for number, _, _, _ in _packets(name, helper):
        section = sections[number - 1]
        news = [line.split(maxsplit=2)[2] for line in section.lines if line.startswith("EXP NEW")]
        lines = [" ".join(word for word in line.split() if not word.startswith("id=")) for line in news]
        found.append(Read(number, lines if section.forwarded else [*lines, DROPPED]))
    return found


def of_helper(name: str, helper: type[Helper], *, seen_as: str | None = None) -> list[Read]:
    """What our helper makes of them; the world knows the client as *seen_as*."""
    connections: dict[Tuple, tuple[FakeConnection, Helper]] = {}
    found = []
    for number, flow, payload, seq in _packets(name, helper):
        direction = ORIGINAL if flow.dport == helper.port else REPLY
        key = flow if direction == ORIGINAL else flow.inverse()
        if seen_as and direction == REPLY:
            key = key._replace(src=next(known.src for known in connections if known.sport == key.sport))
        if key not in connections:
            connections[key] = (_connection(key, seen_as), helper())
        connection, reader = connections[key]
        connection.answered = connection.answered or direction == REPLY
        packet = connection.packet(
            payload, direction=direction, seq=seq, state="established" if connection.answered else "new"
        )
        before = len(connection.table)
        lines = []
        try:
            reader.packet(packet)
        except Drop:
            lines = [DROPPED]
        made = [_line(entry.wanted, key, helper) for entry in connection.table[before:]]
        found.append(Read(number, [*made, *lines]))
    return found


class _Connection(FakeConnection):
    answered = False


def _connection(flow: Tuple, seen_as: str | None) -> _Connection:
    reply = flow.inverse()._replace(dst=ip_address(seen_as)) if seen_as else None
    return _Connection(str(flow.src), flow.sport, str(flow.dst), flow.dport, l4proto=flow.l4proto, reply=reply)


def _packets(name: str, helper: type[Helper]) -> Iterator[tuple[int, Tuple, bytes, int]]:
    """Number, tuple, payload and sequence number of the packets to or from the helper's port, cut at the IP length."""
    with RawPcapReader(str(DIRECTORY / f"{name}.pcap")) as records:
        frames = [frame for frame, _ in records]
    for number, frame in enumerate(frames, start=1):
        packet = frame[14:]
        if packet[0] >> 4 == 4:
            size, length, l4proto, addresses = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big"), packet[9], 12
        else:
            size, length, l4proto, addresses = 40, 40 + int.from_bytes(packet[4:6], "big"), packet[6], 8
        if l4proto not in helper.l4protos:
            continue
        width = (size - addresses) // 2 if size == 40 else 4
        src, dst = (ip_address(packet[addresses + width * end :][:width]) for end in (0, 1))
        segment = packet[size:length]
        sport, dport = struct.unpack_from(">HH", segment)
        if helper.port not in (sport, dport):
            continue
        start, seq = ((segment[12] >> 4) * 4, int.from_bytes(segment[4:8], "big")) if l4proto == TCP else (8, 0)
        yield number, Tuple(src, dst, l4proto, sport, dport), segment[start:], seq


def _line(wanted: Expect, master: Tuple, helper: type[Helper]) -> str:
    """An expectation as a transcript shows it."""
    unspecified, everything = (
        ("0.0.0.0", "255.255.255.255") if wanted.dst.version == 4 else ("::", "ffff:" * 7 + "ffff")
    )
    proto = PROTOCOLS[wanted.l4proto]
    src, sport = wanted.src or unspecified, wanted.sport or 0
    masks = everything if wanted.src else unspecified, 0 if wanted.sport is None else 65535
    policy: Policy = helper.policies[wanted.expect_class]
    parts = [
        f"tuple[src={src} dst={wanted.dst} proto={proto} sport={sport} dport={wanted.dport}]",
        f"mask[src={masks[0]} dst={everything} proto={proto} sport={masks[1]} dport=65535]",
        f"master[src={master.src} dst={master.dst} {_ports(master)}]",
        f"timeout={policy.timeout} flags=0x0() class={wanted.expect_class} helper={helper.name}",
    ]
    if nat := wanted.nat:
        saved = f"src={unspecified} dst={unspecified} proto=tcp sport={nat.saved_port} dport=0"
        parts.insert(3, f"nat{{dir={nat.direction} [{saved}]}}")
        parts.append(f"fn={nat.function}")
    return " ".join(parts)


def _ports(flow: Tuple) -> str:
    return f"proto={PROTOCOLS[flow.l4proto]} sport={flow.sport} dport={flow.dport}"
