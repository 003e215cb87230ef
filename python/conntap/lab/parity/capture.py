"""A capture file as packets with a side each, ready for a gateway: link layers off, padding cut, unfit packets out.

The side of a packet is LEFT when its source is a host that is said to be there, else when its source spoke first of
the two hosts that it joins.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conntap.lab.errors import LabError
from conntap.lab.parity.subject import LEFT, RIGHT, Packet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["Capture", "assign_sides", "read", "unforwardable"]

#: MTU of the gateway's devices. An IPv6 packet may have 40 bytes more.
LONGEST: Final = 65535

#: Link types of pcap. Source: https://www.tcpdump.org/linktypes.html
ETHERNET: Final = 1
RAW_IP: Final = (12, 14, 101, 228, 229)

_VLAN_TAGS: Final = (0x8100, 0x88A8, 0x9100)
_IP: Final = (0x0800, 0x86DD)


@dataclass(frozen=True, slots=True)
class Capture:
    """Packets, and why others of the file were left out: reason → how many."""

    packets: list[Packet] = field(default_factory=list[Packet])
    skipped: dict[str, int] = field(default_factory=dict[str, int])


def read(path: str | Path, *, left: Collection[bytes] = ()) -> Capture:
    """Read a pcap file.

    Args:
        path: the file; Ethernet (with VLAN tags) or raw IP.
        left: addresses of the hosts on the left, packed; empty for "who spoke first".

    Raises:
        LabError: this is no pcap file, or its link type is not known here.
    """
    return assign_sides(_records(Path(path)), left=left)


def assign_sides(records: Iterable[tuple[int, int, bytes]], *, left: Collection[bytes] = ()) -> Capture:
    """Make packets of (number, time in ns, bytes from the IP header on), leaving out what no router forwards."""
    found = Capture()
    spoke_first: dict[frozenset[bytes], bytes] = {}
    for number, time_ns, data in records:
        ip = _cut(data)
        reason = unforwardable(ip)
        if reason:
            found.skipped[reason] = found.skipped.get(reason, 0) + 1
            continue
        source, target = (ip[12:16], ip[16:20]) if ip[0] >> 4 == 4 else (ip[8:24], ip[24:40])
        first = spoke_first.setdefault(frozenset((source, target)), source)
        is_left = source in left if left else source == first
        found.packets.append(Packet(number, time_ns, LEFT if is_left else RIGHT, ip))
    return found


def unforwardable(ip: bytes) -> str:
    """Say why a router does not forward a packet, "" when it does.

    Such a packet has no end that a test could rely on: whether it reaches the tracker's last hook is the router's
    business. A wrong header checksum is not looked for: neither tracker gets to see such a packet.

    Source: ip_rcv_core in net/ipv4/ip_input.c; ip_route_input_slow in net/ipv4/route.c; ip6_rcv_core in
    net/ipv6/ip6_input.c; ip6_forward in net/ipv6/ip6_output.c.
    """
    if len(ip) > LONGEST:
        return "too long for a device"
    version = ip[0] >> 4 if ip else 0
    if version == 4 and len(ip) >= 20:
        header, (total,) = (ip[0] & 15) * 4, struct.unpack_from(">H", ip, 2)
        if header < 20 or total < header:
            return "with a bad IP header"
        if total > len(ip):
            return "cut short by the capture"
        return _unforwardable4(ip[12:16], ip[16:20])
    if version == 6 and len(ip) >= 40:
        (payload,) = struct.unpack_from(">H", ip, 4)
        if payload + 40 > len(ip):
            return "cut short by the capture"
        return _unforwardable6(ip[8:24], ip[24:40])
    return "not IP"


def _unforwardable4(source: bytes, target: bytes) -> str:
    nobody, everybody = bytes(4), b"\xff\xff\xff\xff"
    if source[0] >> 4 == 14 or source in (nobody, everybody):
        return "from an address that is no host's"
    if target[0] >> 4 == 14:
        return "to a multicast group"
    if target in (nobody, everybody):
        return "to an address that is no host's"
    return ""


def _unforwardable6(source: bytes, target: bytes) -> str:
    unspecified, loopback = bytes(16), bytes(15) + b"\x01"
    if source[0] == 0xFF or source in (unspecified, loopback):
        return "from an address that is no host's"
    if target[0] == 0xFF:
        return "to a multicast group"
    if target == loopback:
        return "to an address that is no host's"
    if any(address[0] == 0xFE and address[1] & 0xC0 == 0x80 for address in (source, target)):
        return "of one link alone"
    return ""


def _cut(data: bytes) -> bytes:
    """Cut what follows the datagram: an Ethernet frame is padded to 60 bytes."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        (total,) = struct.unpack_from(">H", data, 2)
        return data[:total] if total >= 20 else data
    if len(data) >= 40 and data[0] >> 4 == 6:
        (payload,) = struct.unpack_from(">H", data, 4)
        return data[: payload + 40]
    return data


def _records(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield the IP packets of a pcap file. Source: draft-ietf-opsawg-pcap."""
    data = path.read_bytes()
    order, unit = _MAGICS.get(data[:4], ("", 0))
    if not order or len(data) < 24:
        raise LabError(f"{path}: not a pcap file")
    (link,) = struct.unpack_from(order + "I", data, 20)
    at, number = 24, 0
    while at + 16 <= len(data):
        seconds, fraction, size, _ = struct.unpack_from(order + "IIII", data, at)
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        number += 1
        yield number, seconds * 1_000_000_000 + fraction * unit, _strip(frame, link & 0xFFFF, path)


_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}


def _strip(frame: bytes, link: int, path: Path) -> bytes:
    """Return what follows the link layer; nothing where that is not IP."""
    if link in RAW_IP:
        return frame
    if link != ETHERNET:
        raise LabError(f"{path}: link type {link} is not read here")
    at = 12
    while int.from_bytes(frame[at : at + 2], "big") in _VLAN_TAGS:
        at += 4
    return frame[at + 2 :] if int.from_bytes(frame[at : at + 2], "big") in _IP else b""
