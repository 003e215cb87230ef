"""How far a file of IPFIX messages is to be trusted: up to the last mark that the file sink made in it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

__all__ = ["Mark", "last_mark"]

#: Number of the template of statistics, whose last field is the number of the last record before it.
STATISTICS = 2561
HEADER, SET_HEADER = 16, 4


@dataclass(frozen=True)
class Mark:
    """Everything before it is whole.

    Attributes:
        size: octets up to its end.
        seq: number of the last record before it.
        began: when the file's first message was made, seconds since 1970.
    """

    size: int = 0
    seq: int = 0
    began: int = 0


def last_mark(file: IO[bytes], domain: int) -> Mark:
    """Find the last record of statistics in that observation domain. Ends at the first message that is not whole."""
    found, at, began = Mark(), 0, 0
    while len(header := file.read(HEADER)) == HEADER:
        version, length, made, _, belongs = struct.unpack("!HHIII", header)
        if version != 10 or length < HEADER:
            break
        if belongs == domain:
            body = file.read(length - HEADER)
            if len(body) < length - HEADER:
                break
        else:
            body = b""
            file.seek(length - HEADER, 1)  # may go beyond the end: then no mark follows
        began = began or made
        at += length
        seq = _statistics(body)
        if seq is not None:
            found = Mark(at, seq, began)
    return found


def _statistics(body: bytes) -> int | None:
    """The number in the message's last set, where that is one of statistics."""
    seq = None
    while len(body) > SET_HEADER:
        number, length = struct.unpack_from("!HH", body)
        if not SET_HEADER < length <= len(body):
            return None
        if number == STATISTICS:
            seq = int.from_bytes(body[length - 8 : length], "big")
        body = body[length:]
    return seq
