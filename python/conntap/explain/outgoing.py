"""Packets as the gateway sends them: what translation made of a payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap._core import TracedPacket

__all__ = ["Outgoing", "frames_of", "payload_of"]

FILE_HEADER: Final = 24
RECORD_HEADER: Final = 16

TCP: Final = 6
UDP: Final = (17, 136)


class Outgoing:
    """Reads the bytes of a `PacketWriter(pcap=True)`, part by part."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def match(self, written: bytes, packets: Sequence[TracedPacket]) -> dict[int, bytes]:
        """Find what became of each packet of a part: id() of the traced one → its bytes from the IP header on.

        Each packet that is not dropped has been written. Were there more or fewer, none is matched.
        """
        if not self._begun:
            written = written[FILE_HEADER:]
            self._begun = True
        frames = list(frames_of(written))
        sent = [traced for traced in packets if not traced.dropped and traced.packet is not None]
        if len(frames) != len(sent):
            return {}
        return {id(traced): frame for traced, frame in zip(sent, frames, strict=True)}


def frames_of(records: bytes) -> Iterator[bytes]:
    """Read the frames of a pcap file's records, in little endian as we write them. Source: draft-ietf-opsawg-pcap."""
    at = 0
    while at + RECORD_HEADER <= len(records):
        length = int.from_bytes(records[at + 8 : at + 12], "little")
        at += RECORD_HEADER
        yield records[at : at + length]
        at += length


def payload_of(packet: bytes) -> bytes:
    """Return what a TCP or UDP packet carries; b"" of others, and behind extension headers of IPv6."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        at, l4proto = (packet[0] & 15) * 4, packet[9]
    elif version == 6 and len(packet) >= 40:
        at, l4proto = 40, packet[6]
    else:
        return b""
    if l4proto == TCP and len(packet) > at + 12:
        return packet[at + (packet[at + 12] >> 4) * 4 :]
    return packet[at + 8 :] if l4proto in UDP else b""
