"""The hop that a router takes from a packet, given back, so that a packet nobody rewrites leaves as it came.

Source: ip_decrease_ttl in include/net/ip.h; the checksum's arithmetic is RFC 1624.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["give_back", "make_passable"]

#: A router drops what arrives with less and answers with an ICMP error.
LEAST: Final = 2


def make_passable(ip: bytes) -> bytes:
    """Return the packet with a TTL or hop limit that survives one router; a wrong header checksum stays wrong."""
    if not ip:
        return ip
    if ip[0] >> 4 == 6:
        return ip if len(ip) < 40 or ip[7] >= LEAST else ip[:7] + bytes((LEAST,)) + ip[8:]
    if len(ip) < 20 or ip[8] >= LEAST:
        return ip
    return _with_ttl(ip, LEAST)


def give_back(ip: bytes, ttl: int | None = None) -> bytes:
    """Return a forwarded packet with the hop given back: one more, or the TTL or hop limit that *ttl* says."""
    if len(ip) >= 40 and ip[0] >> 4 == 6:
        return ip[:7] + bytes((ip[7] + 1 & 0xFF if ttl is None else ttl,)) + ip[8:]
    if len(ip) < 20:
        return ip
    return _with_ttl(ip, ip[8] + 1 & 0xFF if ttl is None else ttl)


def _with_ttl(ip: bytes, ttl: int) -> bytes:
    (checksum,) = struct.unpack_from(">H", ip, 10)
    # Sums of ones' complement: HC' = HC + m - m', where m is the 16-bit word that holds the TTL in its high byte.
    checksum = (checksum + (ip[8] - ttl << 8)) % 0xFFFF
    return ip[:8] + bytes((ttl, ip[9])) + struct.pack(">H", checksum) + ip[12:]
