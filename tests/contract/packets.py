"""Packets for the contracts: sample captures taken apart, and captures put together in any form."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scapy.utils import RawPcapReader

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTORY = Path(__file__).parent.parent / "data/pcap"
ETHERNET = 1


class Frame(NamedTuple):
    """One frame on the wire.

    Attributes:
        time_us: microseconds since the epoch.
        data: from the Ethernet header on.
        lost: frames that were dropped before it.
    """

    time_us: int
    data: bytes
    lost: int = 0


def frames_of(name: str) -> list[Frame]:
    """The frames of a sample, by name."""
    with RawPcapReader(str(DIRECTORY / f"{name}.pcap")) as reader:
        return [Frame(meta.sec * 1_000_000 + meta.usec, data) for data, meta in reader]


def pcap_of(frames: Sequence[Frame], *, linktype: int = ETHERNET) -> bytes:
    """A classic capture."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, linktype)
    for frame in frames:
        seconds, micros = divmod(frame.time_us, 1_000_000)
        out += struct.pack("<IIII", seconds, micros, len(frame.data), len(frame.data)) + frame.data
    return out


def pcapng_of(frames: Sequence[Frame]) -> bytes:
    """A pcapng, which can say that frames were lost (epb_dropcount)."""
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack("<HHI", ETHERNET, 0, 262_144))
    for frame in frames:
        high, low = divmod(frame.time_us, 1 << 32)
        body = struct.pack("<IIIII", 0, high, low, len(frame.data), len(frame.data))
        body += frame.data + bytes(-len(frame.data) % 4)
        out += block(6, body + (struct.pack("<HHQHH", 4, 8, frame.lost, 0, 0) if frame.lost else b""))
    return out


def block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
