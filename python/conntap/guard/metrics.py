"""Counters and reaction times of a guard: read by the command, written for Prometheus."""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import Final

__all__ = ["COUNTERS", "Histogram", "Metrics"]

#: Name → what it counts. Every loss has one.
COUNTERS: Final = {
    "expectations": "expectations that were decided about",
    "allowed": "of these, allowed",
    "denied": "of these, denied",
    "deleted": "denied expectations that the guard deleted",
    "gone": "denied expectations that were gone before the guard deleted them",
    "not_deleted": "denied expectations that the kernel refused to delete",
    "related": "flows that began because of an expectation",
    "related_denied": "of these, not allowed",
    "related_deleted": "of these, deleted",
    "related_gone": "of these, gone before",
    "related_unknown": "flows whose announcement nobody saw, left alone",
    "ended": "expectations that ended: used, expired, deleted",
    "lost": "events that the kernel dropped because the guard was behind",
    "overruns": "stretches of such loss, each answered by reading the whole table",
    "forgotten": "decisions that were forgotten for want of room",
    "approved": "expectations whose connection may come in (hold)",
    "put_back": "expectations that a packet used up before it was let in, and that were put back (hold)",
    "not_put_back": "such that the kernel did not take back (hold)",
    "hold_failures": "changes of the set that the kernel refused",
    "repaired": "times that the guard's own table was gone, and was put back",
    "blocked": "masters that were blocked",
    "not_blocked": "masters that the kernel refused to block",
    "alerts": "alerts sent",
    "alerts_failed": "alerts that their target did not take",
    "alerts_dropped": "alerts not sent since too many waited",
    "log_failed": "decisions that could not be written to the log",
    "metrics_failed": "times that these counters could not be written to their file",
}
#: Upper bounds in nanoseconds: twelve to a decade, from a microsecond to ten seconds.
BOUNDS: Final = tuple(round(10 ** (3 + step / 12)) for step in range(12 * 7 + 1))


class Histogram:
    """Times, in buckets that grow by a fifth."""

    __slots__ = ("count", "counts", "most", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.count = self.total = self.most = 0

    def add(self, nanoseconds: int) -> None:
        self.counts[bisect_left(BOUNDS, nanoseconds)] += 1
        self.count += 1
        self.total += nanoseconds
        self.most = max(self.most, nanoseconds)

    def quantile(self, share: float) -> int | None:
        """The upper bound of the bucket in which that share of all lies, in nanoseconds; None: there is none."""
        if not self.count:
            return None
        wanted, seen = share * self.count, 0
        for bound, count in zip(BOUNDS, self.counts):
            seen += count
            if seen >= wanted:
                return min(bound, self.most)
        return self.most

    def as_dict(self) -> dict[str, int | None]:
        return {
            "count": self.count,
            "p50_ns": self.quantile(0.5),
            "p99_ns": self.quantile(0.99),
            "max_ns": self.most,
        }


class Metrics:
    """All counters, and how long it took from an event's reception to the kernel's word that it is dealt with."""

    __slots__ = ("counts", "reaction")

    def __init__(self) -> None:
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.reaction = Histogram()

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] += count

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            **self.counts,
            "reaction": self.reaction.as_dict(),
        }

    def prometheus(self) -> str:
        """The text format of Prometheus."""
        lines: list[str] = []
        for name, meaning in COUNTERS.items():
            full = f"conntap_guard_{name}_total"
            lines += [f"# HELP {full} {meaning}", f"# TYPE {full} counter", f"{full} {self.counts[name]}"]
        for name, told in (("reaction", self.reaction),):
            full = f"conntap_guard_{name}_seconds"
            lines.append(f"# TYPE {full} histogram")
            below = 0
            for bound, count in zip(BOUNDS, told.counts):
                below += count
                lines.append(f'{full}_bucket{{le="{bound / 1e9:g}"}} {below}')
            lines += [
                f'{full}_bucket{{le="+Inf"}} {told.count}',
                f"{full}_sum {told.total / 1e9:g}",
                f"{full}_count {told.count}",
            ]
        return "\n".join(lines) + "\n"

    def write(self, path: str) -> None:
        """Write for Prometheus' textfile collector: whole or not at all."""
        beside = f"{path}.{os.getpid()}.tmp"
        try:
            with open(beside, "w", encoding="ascii") as file:
                file.write(self.prometheus())
            os.replace(beside, path)
        except OSError:
            if os.path.exists(beside):
                os.unlink(beside)
            raise
