"""One packet in one line, for a person who looks for it in a capture."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.subject import LEFT

if TYPE_CHECKING:
    from conntap.lab.parity.subject import Packet

__all__ = ["describe", "one_line"]

_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_NAMES: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 33: "DCCP", 47: "GRE", 50: "ESP", 51: "AH"}
_NAMES6: Final = {58: "ICMPv6", 132: "SCTP", 136: "UDP-Lite"}
#: IPv6 headers before the last: hop-by-hop, routing, destination options.
_EXTENSIONS: Final = (0, 43, 60)


def one_line(packet: Packet) -> str:
    """Return direction, addresses, protocol and what tells this packet from its neighbours. Never raises."""
    way = "left → right" if packet.side == LEFT else "right → left"
    return f"{way}  {describe(packet.ip)}"


def describe(ip: bytes) -> str:
    """Return what `one_line` says, without a direction. Never raises."""
    if len(ip) >= 20 and ip[0] >> 4 == 4:
        source, target = str(ipaddress.IPv4Address(ip[12:16])), str(ipaddress.IPv4Address(ip[16:20]))
        identity, fragment = struct.unpack_from(">HH", ip, 4)
        if fragment & 0x3FFF:
            more = "+" if fragment & 0x2000 else ""
            return f"{source} > {target}  fragment id {identity} at {(fragment & 0x1FFF) * 8}{more}, {len(ip)} bytes"
        return _transport(source, target, ip[9], ip[(ip[0] & 15) * 4 :])
    if len(ip) >= 40 and ip[0] >> 4 == 6:
        source, target = str(ipaddress.IPv6Address(ip[8:24])), str(ipaddress.IPv6Address(ip[24:40]))
        protocol, at = ip[6], 40
        while protocol in _EXTENSIONS and at + 2 <= len(ip):
            protocol, at = ip[at], at + ip[at + 1] * 8 + 8
        if protocol == 44:
            return f"{source} > {target}  fragment, {len(ip)} bytes"
        return _transport(source, target, protocol, ip[at:])
    return f"{len(ip)} bytes that are no IP packet"


def _transport(source: str, target: str, protocol: int, data: bytes) -> str:
    name = _NAMES.get(protocol) or _NAMES6.get(protocol) or f"protocol {protocol}"
    if protocol == 6 and len(data) >= 20:
        sport, dport, seq, ack, offset, flags, window = struct.unpack_from(">HHIIBBH", data)
        words = ",".join(word for bit, word in enumerate(_FLAGS) if flags >> bit & 1) or "no flags"
        size = max(0, len(data) - (offset >> 4) * 4)
        ends = f"{source}:{sport} > {target}:{dport}"
        return f"{ends}  TCP {words} seq {seq} ack {ack} win {window}, {size} bytes of data"
    if protocol in (17, 33, 132, 136) and len(data) >= 4:
        sport, dport = struct.unpack_from(">HH", data)
        return f"{source}:{sport} > {target}:{dport}  {name}, {len(data)} bytes"
    if protocol in (1, 58) and len(data) >= 2:
        return f"{source} > {target}  {name} type {data[0]} code {data[1]}, {len(data)} bytes"
    return f"{source} > {target}  {name}, {len(data)} bytes"
