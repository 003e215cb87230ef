"""Packets as bytes, fast: IPv4, IPv6 and what travels in them, with right checksums unless a lie is asked for.

Addresses are packed (4 or 16 bytes), so that the length of the source says which IP version is meant. A one's
complement sum is the number that the bytes spell, modulo 65535 (RFC 1071 section 1: the order of additions does not
matter), which Python's integers do in one step.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "ACK",
    "AH",
    "CWR",
    "DCCP",
    "ECE",
    "ESP",
    "FIN",
    "FRAGMENT",
    "GRE",
    "ICMP",
    "ICMP6",
    "PSH",
    "RST",
    "SCTP",
    "SYN",
    "TCP",
    "UDP",
    "UDPLITE",
    "URG",
    "chunk",
    "crc32c",
    "gre",
    "icmp",
    "internet_checksum",
    "ip",
    "pptp_gre",
    "sctp",
    "tcp",
    "udp",
    "udplite",
]

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
DCCP: Final = 33
FRAGMENT: Final = 44
GRE: Final = 47
ESP: Final = 50
AH: Final = 51
ICMP6: Final = 58
SCTP: Final = 132
UDPLITE: Final = 136

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16
URG: Final = 32
ECE: Final = 64
CWR: Final = 128

_IPV4: Final = struct.Struct("!BBHHHBBH4s4s").pack
_IPV6: Final = struct.Struct("!IHBB16s16s").pack
_TCP: Final = struct.Struct("!HHIIBBHHH").pack
_FOUR: Final = struct.Struct("!HHHH").pack


def internet_checksum(data: bytes, extra: int = 0) -> int:
    """The checksum of RFC 1071 over *data*; *extra* is added first (a pseudo header's sum)."""
    number = int.from_bytes(data)
    if len(data) & 1:
        number <<= 8
    number += extra
    return -number % 65535 if number else 0xFFFF


def _pseudo(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    return int.from_bytes(source) + int.from_bytes(destination) + protocol + length


def ip(
    source: bytes,
    destination: bytes,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ident: int = 0,
    fragment: int = 0,
    tos: int = 0,
    options: bytes = b"",
) -> bytes:
    """An IP packet, of the version that the addresses have.

    *fragment* is IPv4's word of flags and offset. *options* are IPv4's, or IPv6 extension headers whose last one
    names *protocol* itself; then *protocol* is the first header's number. IPv6 has no use for *ident* and *fragment*.
    """
    if len(source) == 16:
        return _IPV6(0x6000_0000 | tos << 20, len(options) + len(payload), protocol, ttl, source, destination) + (
            options + payload if options else payload
        )
    size = 20 + len(options)
    header = _IPV4(0x40 | size >> 2, tos, size + len(payload), ident, fragment, ttl, protocol, 0, source, destination)
    if options:
        header += options
    return header[:10] + internet_checksum(header).to_bytes(2) + header[12:] + payload


def tcp(
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    numbers: tuple[int, int],
    flags: int,
    window: int,
    payload: bytes = b"",
    *,
    options: bytes = b"",
    doff: int | None = None,
    urgent: int = 0,
    spoil: int = 0,
) -> bytes:
    """A TCP segment. *numbers* are sequence and acknowledgement; *doff* lies.

    *spoil* is ⊕ed into the checksum.
    """
    if doff is None:
        doff = 5 + (len(options) >> 2)
    header = _TCP(
        *ports, numbers[0] & 0xFFFF_FFFF, numbers[1] & 0xFFFF_FFFF, doff << 4, flags, window & 0xFFFF, 0, urgent
    )
    segment = header + options + payload
    total = internet_checksum(segment, _pseudo(source, destination, TCP, len(segment))) ^ spoil
    return segment[:16] + total.to_bytes(2) + segment[18:]


def udp(
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    payload: bytes = b"",
    *,
    length: int | None = None,
    checksum: int | None = None,
    spoil: int = 0,
) -> bytes:
    """A UDP datagram. *length* lies about the length, *checksum* replaces the sum, *spoil* is ⊕ed into it.

    With a shorter *length* the sum covers only what the length claims, as a receiver would count it.
    """
    said = 8 + len(payload) if length is None else length
    bare = _FOUR(*ports, said, 0) + payload
    if checksum is None:
        counted = bare[:said] if 8 <= said < len(bare) else bare
        checksum = internet_checksum(counted, _pseudo(source, destination, UDP, said)) or 0xFFFF
    return bare[:6] + (checksum ^ spoil).to_bytes(2) + bare[8:]


def udplite(
    source: bytes,
    destination: bytes,
    ports: tuple[int, int],
    payload: bytes = b"",
    *,
    coverage: int = 0,
    checksum: int | None = None,
    spoil: int = 0,
    pseudo: int = UDPLITE,
) -> bytes:
    """A UDP-Lite datagram (RFC 3828). *coverage* 0 is the whole; a wrong one is written as it is.

    *pseudo* is the protocol number in the pseudo header: 136, or 17 as Linux checks it (see `udp.Udp`).
    """
    bare = _FOUR(*ports, coverage, 0) + payload
    if checksum is None:
        covered = bare[:coverage] if 8 <= coverage <= len(bare) else bare
        checksum = internet_checksum(covered, _pseudo(source, destination, pseudo, len(bare))) or 0xFFFF
    return bare[:6] + (checksum ^ spoil).to_bytes(2) + bare[8:]


def icmp(
    source: bytes, destination: bytes, kind: int, code: int, rest: bytes, payload: bytes = b"", *, spoil: int = 0
) -> bytes:
    """An ICMP or, between IPv6 addresses, ICMPv6 message; *rest* are bytes 4 to 7."""
    body = bytes((kind, code, 0, 0)) + rest + payload
    extra = _pseudo(source, destination, ICMP6, len(body)) if len(source) == 16 else 0
    return body[:2] + (internet_checksum(body, extra) ^ spoil).to_bytes(2) + body[4:]


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F6_3B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC: Final = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), RFC 9260 appendix A."""
    crc, table = 0xFFFF_FFFF, _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF_FFFF


def chunk(kind: int, flags: int = 0, body: bytes = b"", *, length: int | None = None) -> bytes:
    """An SCTP chunk, padded to four bytes; *length* lies."""
    said = 4 + len(body) if length is None else length
    return struct.pack("!BBH", kind, flags, said) + body + bytes(-len(body) % 4)


def sctp(ports: tuple[int, int], tag: int, chunks: bytes, *, spoil: int = 0) -> bytes:
    """An SCTP packet. The sum is CRC-32C, least significant byte first."""
    bare = struct.pack("!HHII", *ports, tag & 0xFFFF_FFFF, 0) + chunks
    return bare[:8] + struct.pack("<I", crc32c(bare) ^ spoil) + chunks


def gre(
    protocol: int, payload: bytes, *, key: int | None = None, number: int | None = None, checksum: bool = False
) -> bytes:
    """GRE version 0 (RFC 2784, 2890)."""
    word = (0x8000 if checksum else 0) | (0x2000 if key is not None else 0) | (0x1000 if number is not None else 0)
    options = bytes(4) if checksum else b""
    for value in (key, number):
        if value is not None:
            options += value.to_bytes(4)
    bare = struct.pack("!HH", word, protocol) + options + payload
    return bare[:4] + internet_checksum(bare).to_bytes(2) + bare[6:] if checksum else bare


def pptp_gre(
    call: int, payload: bytes, *, number: int | None = 0, acknowledged: int | None = None, protocol: int = 0x880B
) -> bytes:
    """GRE version 1 as PPTP uses it (RFC 2637 section 4.1); *call* is the receiver's call id."""
    word = 0x2001 | (0x1000 if number is not None else 0) | (0x80 if acknowledged is not None else 0)
    options = b"".join(value.to_bytes(4) for value in (number, acknowledged) if value is not None)
    return struct.pack("!HHHH", word, protocol, len(payload), call) + options + payload
