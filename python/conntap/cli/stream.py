"""Runs a stream to its end: limits, signals, the summary on stderr and in a file. Nothing is lost without a word."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["Stream"]

#: How long one wait lasts at most; the stream looks at its limits in between.
TICK_MS = 200


class Stream:
    """What a streaming command counts and when it stops.

    Attributes:
        kinds: rows written, by kind.
        ended_by: "count", "duration", "signal", "pipe" or "end".
    """

    __slots__ = ("count", "deadline", "ended_by", "io", "kinds", "started", "summary")

    def __init__(self, io: IO, *, count: int | None, duration: float | None, summary: str | None) -> None:
        self.io = io
        self.count = count
        self.started = time.monotonic()
        self.deadline = None if duration is None else self.started + duration
        self.summary = summary
        self.kinds: dict[str, int] = {}
        self.ended_by = "end"
        if summary:
            open(summary, "a", encoding="utf-8").close()  # a file that cannot be written is told before the work

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(self.kinds.values())

    def live(self, receive: Callable[[int], _core.Batch | None], write: Callable[[_core.Batch], None]) -> None:
        """Hand batches from `receive(timeout_ms)` to `write` until a limit, a signal or a closed pipe."""
        with self._endings():
            while True:
                timeout = TICK_MS
                if self.deadline is not None:
                    left = self.deadline - time.monotonic()
                    if left <= 0:
                        self.ended_by = "duration"
                        return
                    timeout = min(timeout, max(1, int(left * 1000)))
                batch = receive(timeout)
                if batch is not None and self._take(batch, write):
                    return

    def finite(self, batches: Iterator[_core.Batch], write: Callable[[_core.Batch], None]) -> None:
        """Hand batches to `write` until there are no more."""
        with self._endings():
            for batch in batches:
                if self._take(batch, write):
                    return
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    self.ended_by = "duration"
                    return

    def _take(self, batch: _core.Batch, write: Callable[[_core.Batch], None]) -> bool:
        if self.count is not None and self.rows + len(batch) >= self.count:
            batch = batch.head(self.count - self.rows)
            self.ended_by = "count"
        for kind, number in batch.kinds():
            self.kinds[kind] = self.kinds.get(kind, 0) + number
        write(batch)
        return self.ended_by == "count"

    @contextmanager
    def _endings(self) -> Iterator[None]:
        """Ctrl+c and SIGTERM end the stream in order; so does a reader that has gone."""

        def stop(_number: int, _frame: object) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGTERM, stop)
        try:
            yield
        except KeyboardInterrupt:
            self.ended_by = "signal"
        except BrokenPipeError:
            self.ended_by = "pipe"
        finally:
            signal.signal(signal.SIGTERM, before)

    def finish(self, counters: dict[str, int], *, sample: tuple[str, bytes] | None = None) -> None:
        """Tell the sums: one line on stderr, all of them in the summary file."""
        seconds = time.monotonic() - self.started
        if self.summary:
            self._write_summary(counters, seconds)
        if self.ended_by != "pipe":
            self.io.say(self._line(counters, seconds))
        if sample and self.io.debug:
            self.io.say(f"first malformed message: {sample[0]}: {sample[1].hex()}")

    def _write_summary(self, counters: dict[str, int], seconds: float) -> None:
        import json

        document = {
            "rows": self.rows,
            "kinds": self.kinds,
            "counters": counters,
            "ended_by": self.ended_by,
            "seconds": round(seconds, 3),
        }
        with open(self.summary or "", "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.write("\n")

    def _line(self, counters: dict[str, int], seconds: float) -> str:
        words = {"NEW": "new", "UPDATE": "updated", "DESTROY": "ended"}
        parts = [f"{self.kinds[kind]:,} {word}" for kind, word in words.items() if self.kinds.get(kind)]
        announced = self.kinds.get("EXP_NEW", 0)
        if announced:
            parts.append(f"{announced:,} expectation{'' if announced == 1 else 's'}")
        events = self.rows - self.kinds.get("GAP", 0)
        line = f"{events:,} event{'' if events == 1 else 's'} in {seconds:.0f} s"
        if parts:
            line += ": " + ", ".join(parts)
        lost = counters.get("lost", 0)
        line += f" · lost {lost:,}" if lost else " · nothing lost"
        if counters.get("filtered_here"):
            line += f" · filtered here {counters['filtered_here']:,}"
        malformed = sum(number for name, number in counters.items() if name.startswith("malformed"))
        malformed += counters.get("truncated", 0)
        if malformed:
            line += f" · malformed {malformed:,} (conntap --debug shows one)"
        return line if not self.io.ascii else line.replace(" · ", " - ")
