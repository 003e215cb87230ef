"""A capture file as packets with a side each, ready for a gateway: unfit packets are left out and counted.

The side of a packet is LEFT when its source is a host that is said to be there, else when its source spoke first of
the two hosts that it joins.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import RecordingError
from conntap.files import LINKTYPE_NETLINK, open_files
from conntap.lab.parity.subject import LEFT, RIGHT, Packet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

__all__ = ["Capture", "assign_sides", "read", "unforwardable"]

#: MTU of the gateway's devices. An IPv6 packet may have 40 bytes more.
LONGEST: Final = 65535

#: Packets taken from the reader at a time, and bytes given to it.
AT_ONCE: Final = 1024
CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Capture:
    """Packets, and why others of the file were left out: reason → how many."""

    packets: list[Packet] = field(default_factory=list[Packet])
    skipped: dict[str, int] = field(default_factory=dict[str, int])


def read(path: str | Path, *, left: Collection[bytes] = ()) -> Capture:
    """Read a capture.

    Args:
        path: pcap or pcapng, plain, gzip or zstd, of any link type that `conntap replay` reads.
        left: addresses of the hosts on the left, packed; empty for "who spoke first".

    Raises:
        OSError: the file cannot be opened.
        RecordingError: this is no capture of packets.
    """
    return assign_sides(_records(path), left=left)


def assign_sides(records: Iterable[tuple[int, int, bytes, str]], *, left: Collection[bytes] = ()) -> Capture:
    """Make packets of what no router would refuse.

    Args:
        records: number, time in ns, bytes from the IP header on, and why there are none.
        left: as in `read`.
    """
    found = Capture()
    spoke_first: dict[frozenset[bytes], bytes] = {}
    for number, time_ns, ip, why in records:
        reason = why or unforwardable(ip)
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


def _records(path: str | Path) -> Iterator[tuple[int, int, bytes, str]]:
    """Yield the packets of a file: number, time in ns, bytes from the IP header on, and why there are none."""
    (file,) = open_files([path])
    if file.linktype == LINKTYPE_NETLINK:
        file.close()
        raise RecordingError(f"{path} is a recording of events, not of packets")
    reader, source = _core.BarePackets(), file.open()
    word, any_there = "", False
    try:
        while word != "end":
            packets, word, text = reader.take(AT_ONCE)
            for number, time_ns, ip, why in packets:
                any_there = True
                yield number, time_ns, ip, why and _reason(why)
            if word == "fault" and not any_there:
                raise RecordingError(f"{path} {text}")
            if word == "fault":
                yield 0, 0, b"", "stretches that are no packets"
            elif word == "need" and (data := source.read(CHUNK)):
                reader.feed(data)
            elif word == "need":
                reader.finish()
    finally:
        source.close()


def _reason(counter: str) -> str:
    """The words for a counter of the reader."""
    return _REASONS.get(counter, counter.removeprefix("packet_").replace("_", " "))


_REASONS: Final = {
    "packet_not_ip": "not IP",
    "packet_not_ip_llc": "not IP",
    "packet_cut": "cut short by the capture",
    "packet_unknown_linktype": "of a link type that is not read",
}
