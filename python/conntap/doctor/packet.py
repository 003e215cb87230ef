"""The ends of a logged packet: addresses, protocol and ports out of its first bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Final

__all__ = ["PROTOCOLS", "Ends", "ends"]

#: Names of protocols as people type them.
PROTOCOLS: Final = {
    "icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "icmpv6": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip
NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
WITH_PORTS: Final = frozenset({6, 17, 33, 132, 136})
#: Extension headers of IPv6 that tell their own length in units of 8 bytes.
SKIPPED: Final = frozenset({0, 43, 60})
FRAGMENT: Final = 44
TCP_FLAGS: Final = "FSRPAUEC"


@dataclass(frozen=True, slots=True)
class Ends:
    """Who sent it to whom; ports and TCP flags where they are there."""

    src: str
    dst: str
    protocol: int
    sport: int | None = None
    dport: int | None = None
    flags: str = ""

    @property
    def name(self) -> str:
        """The protocol's name, or its number."""
        return NAMES.get(self.protocol, f"protocol {self.protocol}")

    def __str__(self) -> str:
        return f"{self.name} {_end(self.src, self.sport)} → {_end(self.dst, self.dport)}"


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ends(packet: bytes) -> Ends | None:
    """Read them; None where the packet is too short or of no IP version. Never raises."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        at = (packet[0] & 15) * 4
        src, dst = inet_ntop(AF_INET, packet[12:16]), inet_ntop(AF_INET, packet[16:20])
        first = struct.unpack_from(">H", packet, 6)[0] & 0x1FFF == 0
        return _with_ports(packet, at, packet[9], src, dst, first=first)
    if version == 6 and len(packet) >= 40:
        src, dst = inet_ntop(AF_INET6, packet[8:24]), inet_ntop(AF_INET6, packet[24:40])
        protocol, at, first = packet[6], 40, True
        while protocol in SKIPPED and at + 2 <= len(packet):
            protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
        if protocol == FRAGMENT and at + 8 <= len(packet):
            first = struct.unpack_from(">H", packet, at + 2)[0] & 0xFFF8 == 0
            protocol, at = packet[at], at + 8
        return _with_ports(packet, at, protocol, src, dst, first=first)
    return None


def _with_ports(packet: bytes, at: int, protocol: int, src: str, dst: str, *, first: bool) -> Ends:
    if protocol not in WITH_PORTS or not first or at < 20 or at + 4 > len(packet):
        return Ends(src, dst, protocol)
    sport, dport = struct.unpack_from(">HH", packet, at)
    flags = ""
    if protocol == 6 and at + 14 <= len(packet):
        flags = "".join(letter for bit, letter in enumerate(TCP_FLAGS) if packet[at + 13] >> bit & 1)
    return Ends(src, dst, protocol, sport, dport, flags)
