"""Runs a stream to its end: limits, signals, the summary on stderr and in a file. Nothing is lost without a word."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["Stream", "told"]

#: How long one wait lasts at most; the stream looks at its limits and its reader in between.
TICK_MS = 200
#: How long a write may go on after a signal, when nobody reads.
GRACE_SECONDS = 1.0

#: Counters of packets that the sums tell where they are not zero: what the engine could not take as it came.
TROUBLE = {
    "cut": "cut short by the capture",
    "packet_not_ip": "not IP",
    "packet_not_ip_llc": "not IP but 802.2",
    "packet_unknown_linktype": "of a link type that is not read",
    "packet_cut": "cut by the capture within their headers",
    "packet_truncated": "shorter than their headers say",
    "packet_bad_version": "of no IP version",
    "packet_bad_header_length": "with a bad IP header length",
    "packet_bad_header_checksum": "with a wrong IP header checksum",
    "packet_bad_total_length": "with a wrong IP length",
    "packet_bad_hop_by_hop": "with bad hop-by-hop options",
    "packet_bad_address": "with addresses that must not be on a wire",
    "packet_bad_pppoe": "of no PPPoE session",
    "time_backwards": "out of order",
    "time_ahead": "from the future",
    "early_dropped": "gave way in a full table",
    "table_full": "did not fit the table",
    # Of a collector.
    "kernel_drops": "datagrams that did not fit the receive buffer",
    "dropped_sets": "sets whose template did not come",
    "connections_broken": "connections that sent no IPFIX",
    "connections_cut": "connections that ended within a message",
    "refused_exporter": "from exporters that are not listed",
}


class Stream:
    """What a streaming command counts and when it stops.

    Attributes:
        kinds: rows written, by kind.
        reliable: what the kernel counts as lost it delivers again.
        ended_by: "count", "duration", "signal", "pipe", "error" or "end".
    """

    __slots__ = (
        "_before", "_finite", "_reading", "_stopping", "_writing",
        "count", "deadline", "ended_by", "io", "kinds", "reliable", "started", "summary",
    )  # fmt: skip

    def __init__(
        self, io: IO, *, count: int | None, duration: float | None, summary: str | None, reliable: bool = False
    ) -> None:
        self.io = io
        self.reliable = reliable
        self.count = count
        self.started = time.monotonic()
        self.deadline = None if duration is None else self.started + duration
        self.summary = summary
        self.kinds: dict[str, int] = {}
        self.ended_by = "error"  # until it has ended otherwise
        self._finite = self._reading = self._stopping = self._writing = False
        self._before: list[tuple[int, Any]] = []
        if summary:
            try:
                open(summary, "a", encoding="utf-8").close()  # a file that cannot be written is told before the work
            except OSError as error:
                from conntap.errors import UsageError

                raise UsageError(f"--summary {summary}: {error.strerror}") from error

    @property
    def events(self) -> int:
        """Events written so far; a gap is none."""
        return sum(self.kinds.values()) - self.kinds.get("GAP", 0)

    def live(self, receive: Callable[[int], _core.Batch | None], write: Callable[[_core.Batch], None]) -> None:
        """Hand batches from `receive(timeout_ms)` to `write` until a limit, a signal or a closed pipe."""
        with self._endings():
            while not self._stopping:
                timeout = TICK_MS
                if self.deadline is not None:
                    left = self.deadline - time.monotonic()
                    if left <= 0:
                        self.ended_by = "duration"
                        return
                    timeout = min(timeout, max(1, int(left * 1000)))
                batch = receive(timeout)
                if batch is not None:
                    if self._take(batch, write):
                        return
                elif self.io.abandoned():
                    self.ended_by = "pipe"
                    return
            self.ended_by = "signal"

    def finite(self, batches: Iterator[_core.Batch], write: Callable[[_core.Batch], None]) -> None:
        """Hand batches to `write` until there are no more."""
        self._finite = True
        with self._endings():
            while not self._stopping:
                self._reading = True
                batch = next(batches, None)
                self._reading = False
                if batch is None:
                    self.ended_by = "end"
                    return
                if self._take(batch, write):
                    return
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    self.ended_by = "duration"
                    return
            self.ended_by = "signal"

    def end(self, formatter: _core.Formatter) -> None:
        """Write what closes the output, where there is still somebody to read it."""
        if self.ended_by != "pipe" and not self.io.stuck:
            with self._endings():
                self._writing = True
                self.io.write(formatter.finish())

    def _take(self, batch: _core.Batch, write: Callable[[_core.Batch], None]) -> bool:
        if self.count is not None and self.events + events_of(batch) >= self.count:
            batch = head(batch, self.count - self.events)
            self.ended_by = "count"
        for kind, number in batch.kinds():
            self.kinds[kind] = self.kinds.get(kind, 0) + number
        self._writing = True
        write(batch)
        self._writing = False
        return self.ended_by == "count"

    def __enter__(self) -> Stream:
        """From here on ctrl+c, SIGTERM and a closed terminal end the stream in order, also before it has begun.

        A signal lets the row at hand come to its end. A write that stands still, since nobody reads, is given up
        after a second or at the second signal; waiting for a file or a pipe to be read at the first.
        """

        def stop(_number: int, _frame: object) -> None:
            again, self._stopping = self._stopping, True
            if again or self._reading:
                raise KeyboardInterrupt
            if self._writing:
                signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

        def give_up(_number: int, _frame: object) -> None:
            if self._writing:
                raise KeyboardInterrupt

        # A signal that the parent had ignored (nohup, a shell's background) stays ignored.
        wanted = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if heeded(number)]
        self._before = [(number, signal.signal(number, stop)) for number in wanted]
        self._before.append((signal.SIGALRM, signal.signal(signal.SIGALRM, give_up)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before:
            signal.signal(number, handler)

    @contextmanager
    def _endings(self) -> Generator[None]:
        """Note how it ended; only errors go on."""
        try:
            yield
        except KeyboardInterrupt:
            self.ended_by = "signal"
            self.io.stuck = self._writing
        except BrokenPipeError:
            self.ended_by = "pipe"
        except BaseException:
            self.ended_by = "error"
            raise
        finally:
            self._reading = self._writing = False

    def finish(self, counters: dict[str, int], *, sample: tuple[str, bytes] | None = None) -> None:
        """Tell the sums: one line on stderr, all of them in the summary file."""
        seconds = time.monotonic() - self.started
        if self.summary:
            self._write_summary(counters, seconds)
        if self.ended_by != "pipe" and (self.kinds or self.ended_by != "error"):
            self.io.say(self._line(counters, seconds))
        if sample and self.io.debug:
            self.io.say(f"first malformed message: {sample[0]}: {sample[1].hex()}")

    def _write_summary(self, counters: dict[str, int], seconds: float) -> None:
        import json

        document = {
            "rows": sum(self.kinds.values()),
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
        words |= {"FLOW": "ended", "INTERIM": "going on", "BINDING": "translations"}
        parts = [f"{self.kinds[kind]:,} {word}" for kind, word in words.items() if self.kinds.get(kind)]
        announced = self.kinds.get("EXP_NEW", 0)
        if announced:
            parts.append(f"{announced:,} expectation{'' if announced == 1 else 's'}")
        line = f"{self.events:,} event{'' if self.events == 1 else 's'}"
        if "packets" in counters:
            line += f" of {counters['packets']:,} packet{'' if counters['packets'] == 1 else 's'}"
        if not self._finite:
            line += f" in {seconds:.0f} s"
        if parts:
            line += ": " + ", ".join(parts)
        lost, gaps = counters.get("lost", 0), self.kinds.get("GAP", 0)
        if lost and self.reliable:
            line += f" · did not fit at first {lost:,} (ends came again, changes merged into later events)"
        elif lost:
            line += f" · lost {lost:,}"
        else:
            line += f" · lost some, the kernel did not say how many ({gaps:,} gaps)" if gaps else " · nothing lost"
        line += told(counters)
        if counters.get("filtered_here"):
            line += f" · filtered here {counters['filtered_here']:,}"
        malformed = sum(number for name, number in counters.items() if name.startswith("malformed"))
        malformed += counters.get("truncated", 0)
        if malformed:
            line += f" · malformed {malformed:,} (conntap --debug shows one)"
        return line


def told(counters: dict[str, int]) -> str:
    """Say what of the packets is not as it should be, "" where all is."""
    return "".join(f" · {counters[name]:,} {words}" for name, words in TROUBLE.items() if counters.get(name))


def heeded(number: signal.Signals) -> bool:
    """Is this signal not ignored, as nohup and `&` in scripts ask for?"""
    return signal.getsignal(number) is not signal.SIG_IGN


def events_of(batch: _core.Batch) -> int:
    """Count the rows that are events, without the gaps."""
    return sum(number for kind, number in batch.kinds() if kind != "GAP")


def head(batch: _core.Batch, events: int) -> _core.Batch:
    """Return the rows of *batch* up to the given number of events, gaps before the last one included."""
    rows = events
    while events_of(found := batch.head(rows)) < events:
        rows += 1
    return found
