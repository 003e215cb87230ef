"""Names of what packets of the smaller protocols are: ICMP kinds, SCTP chunks, GRE calls."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from conntap.explain.story import endpoint

__all__ = ["PROTOCOLS", "SCTP_STATES", "TCP_STATES", "gre", "icmp", "protocol_name", "sctp"]

#: Source: nf_conntrack_tcp.h, by number.
TCP_STATES: Final = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip

#: Source: nf_conntrack_sctp.h, by number.
SCTP_STATES: Final = (
    "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED",
)  # fmt: skip

#: Number → name, as the kernel and IANA spell them.
PROTOCOLS: Final = {
    1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 89: "ospf",
    132: "sctp", 136: "udplite",
}  # fmt: skip

#: Source: RFC 792, 950, 1256 and the IANA registry of ICMP parameters.
ICMP: Final = {
    0: "echo reply", 3: "unreachable", 4: "source quench", 5: "redirect", 8: "echo request",
    9: "router advertisement", 10: "router solicitation", 11: "time exceeded", 12: "parameter problem",
    13: "timestamp request", 14: "timestamp reply", 15: "information request", 16: "information reply",
    17: "address mask request", 18: "address mask reply",
}  # fmt: skip
UNREACHABLE: Final = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "fragmentation needed", 5: "source route failed", 9: "network prohibited", 10: "host prohibited",
    13: "prohibited by a filter",
}  # fmt: skip

#: Source: RFC 4443, 2710, 4861, 3810.
ICMP6: Final = {
    1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request",
    129: "echo reply", 130: "multicast query", 131: "multicast report", 132: "multicast done",
    133: "router solicitation", 134: "router advertisement", 135: "neighbour solicitation",
    136: "neighbour advertisement", 137: "redirect", 143: "multicast report",
}  # fmt: skip
UNREACHABLE6: Final = {
    0: "no route", 1: "prohibited by a filter", 2: "beyond scope", 3: "address unreachable", 4: "port unreachable",
}  # fmt: skip

#: Source: RFC 9260, 4820, 4895, 3758, 6525.
CHUNKS: Final = {
    0: "DATA", 1: "INIT", 2: "INIT ACK", 3: "SACK", 4: "HEARTBEAT", 5: "HEARTBEAT ACK", 6: "ABORT", 7: "SHUTDOWN",
    8: "SHUTDOWN ACK", 9: "ERROR", 10: "COOKIE ECHO", 11: "COOKIE ACK", 12: "ECNE", 13: "CWR", 14: "SHUTDOWN COMPLETE",
    15: "AUTH", 64: "I-DATA", 128: "ASCONF ACK", 130: "RE-CONFIG", 132: "PAD", 192: "FORWARD TSN", 193: "ASCONF",
}  # fmt: skip
#: A packet of SCTP may hold thousands of chunks.
CHUNKS_SHOWN: Final = 4

#: ICMP and ICMPv6 messages that quote the packet which they are about.
QUOTING: Final = {1: frozenset({3, 4, 5, 11, 12}), 58: frozenset({1, 2, 3, 4, 137})}


def protocol_name(number: int) -> str:
    """Name a protocol; an unknown one by its number."""
    return PROTOCOLS.get(number, f"protocol {number}")


def icmp(l4proto: int, kind: int, code: int, payload: bytes) -> str:
    """Say what an ICMP or ICMPv6 message is, and what an error is about."""
    if l4proto == 1:
        name = UNREACHABLE.get(code) if kind == 3 else ICMP.get(kind)
    else:
        name = UNREACHABLE6.get(code) if kind == 1 else ICMP6.get(kind)
    said = name or f"{'ICMP' if l4proto == 1 else 'ICMPv6'} type {kind} code {code}"
    # A redirect of ICMPv6 holds two addresses first, and its quote in an option.
    if kind in QUOTING[l4proto] and (l4proto, kind) != (58, 137) and (about := quoted(payload)):
        said += f" about {about}"
    return said


def quoted(payload: bytes) -> str:
    """Name the packet that an ICMP error quotes; "" where it cannot be read."""
    version = payload[0] >> 4 if payload else 0
    if version == 4 and len(payload) >= 20:
        header, l4proto = (payload[0] & 15) * 4, payload[9]
        src, dst = ip_address(payload[12:16]), ip_address(payload[16:20])
    elif version == 6 and len(payload) >= 40:
        header, l4proto = 40, payload[6]
        src, dst = ip_address(payload[8:24]), ip_address(payload[24:40])
    else:
        return ""
    ports = payload[header : header + 4]
    if l4proto in (6, 17, 132, 136) and len(ports) == 4:
        sport, dport = int.from_bytes(ports[:2]), int.from_bytes(ports[2:])
        return f"{protocol_name(l4proto)} {endpoint(str(src), sport)} → {endpoint(str(dst), dport)}"
    return f"{protocol_name(l4proto)} {src} → {dst}"


def sctp(payload: bytes) -> str:
    """Name the chunks of an SCTP packet; *payload* begins with its checksum."""
    names: list[str] = []
    at = 4
    while at + 4 <= len(payload):
        kind, length = payload[at], int.from_bytes(payload[at + 2 : at + 4])
        if len(names) == CHUNKS_SHOWN:
            names.append("…")
            break
        names.append(CHUNKS.get(kind, f"chunk {kind}"))
        if length < 4:
            break
        at += (length + 3) & ~3
    return ", ".join(names) or "no chunk"


def gre(payload: bytes) -> str:
    """Say which call a GRE packet of PPTP belongs to, or what another one carries. Source: RFC 2637, 2784."""
    if len(payload) < 4:
        return "GRE"
    version, carries = payload[1] & 7, int.from_bytes(payload[2:4])
    if version == 1 and len(payload) >= 8:
        return f"GRE call 0x{int.from_bytes(payload[6:8]):x}"
    return f"GRE of type 0x{carries:04x}"
