"""TCP's numbers as people read them: counted from the first one of each side, windows in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conntap.explain.story import Segment, Window

__all__ = ["ACK", "FIN", "PSH", "RST", "SYN", "URG", "Numbers", "relative", "say_windows"]

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16
URG: Final = 32

#: Accepted segments with SYN of which the side's numbers count anew.
OPENING: Final = frozenset({"first_packet", "matches_expectation", "answer", "syn_again", "reopened", "resynchronised"})


def relative(number: int, base: int | None) -> int | None:
    """Count *number* from *base*, both modulo 2^32; below the base it is negative."""
    if base is None:
        return None
    distance = (number - base) & 0xFFFFFFFF
    return distance - (1 << 32) if distance >= 1 << 31 else distance


class Numbers:
    """The first sequence number of each side of a connection, as far as it was seen.

    A SYN is number 0 and the first byte behind it number 1; of a connection that was picked up in the middle the
    first byte seen is number 1.
    """

    __slots__ = ("_bases",)

    def __init__(self) -> None:
        self._bases: list[int | None] = [None, None]

    @property
    def bases(self) -> tuple[int | None, int | None]:
        """Of the original and of the reply side."""
        return self._bases[0], self._bases[1]

    def see(self, segment: Segment, direction: int, reason: str) -> None:
        """Learn from a segment that was accepted."""
        if segment.flags & SYN:
            if reason in OPENING or self._bases[direction] is None:
                self._bases[direction] = segment.seq
        elif self._bases[direction] is None:
            self._bases[direction] = (segment.seq - 1) & 0xFFFFFFFF
        if segment.flags & ACK and self._bases[1 - direction] is None:
            self._bases[1 - direction] = (segment.ack - 1) & 0xFFFFFFFF

    def seq(self, segment: Segment, direction: int) -> int | None:
        """The segment's sequence number, counted from the first."""
        return relative(segment.seq, self._bases[direction])

    def ack(self, segment: Segment, direction: int) -> int | None:
        """What the segment acknowledges, counted from the other side's first; None without the flag."""
        return relative(segment.ack, self._bases[1 - direction]) if segment.flags & ACK else None


def say_windows(windows: tuple[Window, Window], bases: tuple[int | None, int | None]) -> str:
    """Say what each side has sent and what it may send; "" where neither has sent anything."""
    parts: list[str] = []
    for name, window, base in zip(("client", "server"), windows, bases, strict=True):
        end, limit = relative(window.end, base), relative(window.max_end, base)
        if end is None or limit is None:
            continue
        parts.append(f"{name} sent up to {end:,}, may send to {limit:,}")
    return " · ".join(parts)
