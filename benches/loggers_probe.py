"""One ping and one IPv6 datagram, so that a log can be asked what it knows of them."""

from __future__ import annotations

import socket

__all__ = ["PING", "SIX", "probe"]

#: Where they go.
PING, SIX = "198.18.7.7", "2001:db8:9::77"


def checksum(data: bytes) -> int:
    """RFC 1071, for an even number of bytes."""
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def probe() -> None:
    """Send them; nobody answers."""
    request = bytes([8, 0, 0, 0, 0x12, 0x34, 0, 1])
    request = request[:2] + checksum(request).to_bytes(2, "big") + request[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(request, (PING, 0))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six:
        six.sendto(b"x", (SIX, 4242))
