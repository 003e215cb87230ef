"""TPKT (RFC 1006, RFC 2126): four octets with the length before each message of a TCP stream.

Segments are not reassembled: a message is read where it lies whole in one segment. NetMeeting sent the four octets in
a segment of their own; that is remembered until the next one.

Source: kernel net/netfilter/nf_conntrack_h323_main.c, `get_tpkt_data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Framing", "Span"]

_HEADER: Final = 4
_VERSION: Final = b"\x03\x00"


class Span(NamedTuple):
    """Where in a segment a message lies."""

    start: int
    end: int


class Framing:
    """Finds the messages of one direction."""

    __slots__ = ("_announced",)

    def __init__(self) -> None:
        self._announced = 0

    def messages(self, segment: bytes) -> Iterator[Span]:
        """Yield each message in *segment*; stop asking when one of them is not understood."""
        announced, self._announced = self._announced, 0
        if segment and (len(segment) < _HEADER or segment[:2] != _VERSION):
            if 0 < announced <= len(segment):
                yield Span(0, announced)
                yield from self._further(segment, announced)
            return
        if len(segment) == _HEADER and int.from_bytes(segment[2:]) > _HEADER:
            self._announced = int.from_bytes(segment[2:]) - _HEADER
            return
        yield from self._further(segment, 0)

    @staticmethod
    def _further(segment: bytes, start: int) -> Iterator[Span]:
        # Behind the first message a header alone counts for nothing; at the start it can hold an empty message.
        while len(segment) - start > (_HEADER if start else _HEADER - 1) and segment[start : start + 2] == _VERSION:
            end = start + int.from_bytes(segment[start + 2 : start + _HEADER])
            if not start + _HEADER <= end <= len(segment):
                return
            yield Span(start + _HEADER, end)
            start = end
