"""What a guard remembers: what is open, and how it decided about what came last. Bounded, so that no flood fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from conntap.guard.decide import Decision
    from conntap.guard.subject import Subject

__all__ = ["Memory", "Remembered"]

#: Destinations that are remembered; the oldest goes first.
DESTINATIONS: Final = 65_536
#: Expectations to one destination that are remembered: the kernel refuses overlapping ones, so there are few.
EACH: Final = 8


class Remembered(NamedTuple):
    """A decision, and what it was about."""

    subject: Subject
    decision: Decision


class Memory:
    """Open expectations by master, and the last decisions by destination."""

    __slots__ = ("_count", "_last", "_open", "forgotten")

    def __init__(self) -> None:
        self._open: dict[tuple[int, bytes, int, int, bytes, bytes, int], tuple[str, bytes]] = {}
        self._count: dict[tuple[str, bytes], int] = {}
        self._last: dict[tuple[int, bytes, int], list[Remembered]] = {}
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._open)

    def clear(self) -> None:
        """Know nothing: events were lost, and what was true may not be any more."""
        self._open.clear()
        self._count.clear()
        self._last.clear()

    def note(self, subject: Subject, decision: Decision) -> None:
        """Remember how it was decided."""
        place = subject[1], subject[6], subject[7]
        kept = self._last.pop(place, None)
        if kept is None:
            kept = []
            if len(self._last) >= DESTINATIONS:
                del self._last[next(iter(self._last))]
                self.forgotten += 1
        else:
            # In another zone there may be the same ends, of another master.
            source, master = subject[2:4], subject[8:14]
            kept = [one for one in kept if one.subject[2:4] != source or one.subject[8:14] != master][-EACH + 1 :]
        kept.append(Remembered(subject, decision))
        self._last[place] = kept
        if decision.allowed:
            self.opened(subject)

    def opened(self, subject: Subject) -> None:
        """One that is allowed exists."""
        owner = (subject[0], subject[8])
        if self._open.setdefault(key_of(subject), owner) is owner:
            self._count[owner] = self._count.get(owner, 0) + 1

    def closed(self, subject: Subject) -> bool:
        """It exists no more. Was it one that is allowed?"""
        owner = self._open.pop(key_of(subject), None)
        if owner is None:
            return False
        left = self._count[owner] - 1
        if left:
            self._count[owner] = left
        else:
            del self._count[owner]
        return True

    def decided(self, subject: Subject) -> Decision | None:
        """The decision about exactly this one."""
        for one in self._last.get((subject[1], subject[6], subject[7]), ()):
            if one.subject == subject:
                return one.decision
        return None

    def count(self, subject: Subject) -> int:
        """How many of this helper and master's host are open, the subject itself not counted."""
        count = self._count.get((subject[0], subject[8]), 0)
        return count - 1 if count and key_of(subject) in self._open else count

    def last(self, protocol: int, src: bytes, dst: bytes, dport: int) -> Remembered | None:
        """The newest decision about what a packet from *src* to *dst* would fulfil."""
        for one in reversed(self._last.get((protocol, dst, dport), ())):
            if masked(src, one.subject.src_mask) == masked(one.subject.src, one.subject.src_mask):
                return one
        return None


def key_of(subject: Subject) -> tuple[int, bytes, int, int, bytes, bytes, int]:
    """What the kernel takes for the same expectation: its tuple, under its mask."""
    return subject[1], subject[2], subject[4], subject[7], subject[3], subject[6], subject[13]


def masked(address: bytes, mask: bytes) -> int:
    return int.from_bytes(address, "big") & int.from_bytes(mask, "big")
