"""Packets as no honest program sends them, written by hand and sent through a raw socket."""

from __future__ import annotations

import socket
import struct

ADDRESS = socket.inet_aton("127.0.0.1")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def checksum(data: bytes) -> int:
    """RFC 1071."""
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def tcp(
    flags: int,
    *,
    sport: int,
    dport: int,
    seq: int = 0,
    ack: int = 0,
    data: bytes = b"",
    doff: int = 5,
    bad: bool = False,
    src: bytes = ADDRESS,
    dst: bytes = ADDRESS,
) -> bytes:
    """A TCP segment, usually from 127.0.0.1 to itself, with its IP header."""
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, doff << 4, flags, 1000, 0, 0) + data
    pseudo = src + dst + struct.pack(">BBH", 0, 6, len(head))
    right = checksum(pseudo + head)
    return ip(6, head[:16] + struct.pack(">H", right ^ 0x5555 if bad else right) + head[18:], src=src, dst=dst)


def ip(protocol: int, body: bytes, *, src: bytes = ADDRESS, dst: bytes = ADDRESS) -> bytes:
    """An IPv4 packet; the kernel writes the header's checksum."""
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0, src, dst) + body


def send(*packets: bytes) -> None:
    """Send them from the calling thread's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for packet in packets:
            raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
