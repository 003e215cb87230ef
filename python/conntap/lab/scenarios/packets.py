"""Packets by hand: checksums, and raw sockets of one protocol."""

from __future__ import annotations

import socket

__all__ = ["crc32c", "internet_checksum", "raw_socket", "receive_payload"]

TIMEOUT_SECONDS = 5.0


def internet_checksum(data: bytes) -> int:
    """The one's complement sum of RFC 1071."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2]) for at in range(0, len(padded), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit: RFC 9260 appendix A."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F6_3B78 if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


def raw_socket(address: str, protocol: int) -> socket.socket:
    """An IPv4 raw socket of this host; while it is open the kernel does not call the protocol unreachable."""
    handle = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    handle.settimeout(TIMEOUT_SECONDS)
    handle.bind((address, 0))
    return handle


def receive_payload(handle: socket.socket) -> tuple[bytes, str]:
    """The next packet without its IP header, and its source."""
    packet, (source, _) = handle.recvfrom(65535)
    return packet[(packet[0] & 15) * 4 :], source
