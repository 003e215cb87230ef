"""Runs of packets that only fitted, said in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.explain.packet import first_line, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conntap.explain.story import Step

__all__ = ["Fold", "fold", "telling"]


@dataclass(frozen=True, slots=True)
class Fold:
    """Some packets of one connection at which nothing happened."""

    steps: tuple[Step, ...]

    @property
    def first(self) -> Step:
        return self.steps[0]

    @property
    def last(self) -> Step:
        return self.steps[-1]

    def words(self, *, arrows: tuple[str, str] = ("→", "←")) -> str:
        """How many packets and bytes went which way; *arrows* are those of original and reply direction."""
        parts: list[str] = []
        for direction, arrow in zip(("original", "reply"), arrows, strict=True):
            found = [step for step in self.steps if step.direction == direction]
            if found:
                carried = sum(step.packet.payload_length for step in found if step.packet)
                parts.append(f"{arrow} {len(found):,}" + (f" ({size(carried)})" if carried else ""))
        return f"{len(self.steps):,} packets: {', '.join(parts)}"


def telling(step: Step) -> bool:
    """Is there anything to read in it: something happened, or it carries text?"""
    return step.eventful or bool(step.packet and first_line(step.packet.payload))


def fold(steps: Iterable[Step], *, at_least: int = 2) -> Iterator[Step | Fold]:
    """Put together runs of at least so many packets of a connection that only fitted."""
    run: list[Step] = []
    for step in steps:
        if run and (telling(step) or step.connection != run[0].connection):
            yield from _close(run, at_least)
            run = []
        if telling(step):
            yield step
        else:
            run.append(step)
    yield from _close(run, at_least)


def _close(run: list[Step], at_least: int) -> Iterator[Step | Fold]:
    if run and len(run) >= at_least:
        yield Fold(tuple(run))
    else:
        yield from run
