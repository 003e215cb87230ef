"""The line that shows a logger at work: rates, what waits, what is durable, what was lost."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.pipeline import Pipeline
    from conntap.sinks.runner import Runner

__all__ = ["Progress", "count_of", "lost_of"]

BARS = "▁▂▃▄▅▆▇█"
#: Rates that the picture shows.
SHOWN = 12
#: Seconds between two lines.
EVERY = 0.5


class Progress:
    """Makes the line; knows what it was before, for the rates."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=SHOWN)
        self._flows = 0
        self._at = time.monotonic()

    def due(self) -> bool:
        """Is it time for another line?"""
        return time.monotonic() - self._at >= EVERY

    def line(self, pipeline: Pipeline, *, ascii: bool = False) -> str:
        """What is to be seen now."""
        now = time.monotonic()
        rate = (pipeline.progress.flows - self._flows) / max(now - self._at, 1e-9)
        self._flows, self._at = pipeline.progress.flows, now
        self._rates.append(rate)
        parts = [f"{rate:,.0f} flows/s" + ("" if ascii else f" {bars(self._rates)}")]
        parts.append(f"{len(pipeline.ledger):,} open")
        waiting = sum(runner.backlog for runner in pipeline.runners)
        parts.append(f"backlog {waiting:,}")
        spooled = sum(runner.spooled_bytes for runner in pipeline.runners)
        if spooled:
            parts.append(f"spooled {spooled / 1e6:,.1f} MB")
        parts.append(f"lost {lost_of(pipeline)}")
        parts += [f"{runner.sink.target}: {runner.away}" for runner in pipeline.runners if runner.away]
        return " · ".join(parts)


def bars(rates: Sequence[float]) -> str:
    """A picture of the last rates, the highest of them at the top."""
    top = max(rates)
    if top <= 0:
        return BARS[0] * len(rates)
    return "".join(BARS[min(len(BARS) - 1, int(rate / top * len(BARS)))] for rate in rates)


def lost_of(pipeline: Pipeline) -> str:
    """Events lost: how many, where the kernel said so."""
    counters = pipeline.ledger.counters
    return f"{counters['lost']:,}"


def count_of(runners: Sequence[Runner], name: str) -> int:
    """The sum of a counter over all sinks."""
    return sum(runner.counters.get(name, 0) for runner in runners)
