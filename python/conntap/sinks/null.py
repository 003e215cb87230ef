"""`null:` takes everything and keeps nothing: to see what a filter or a machine makes of a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.sinks.base import Sink

if TYPE_CHECKING:
    from conntap import _core

__all__ = ["NullSink"]


class NullSink(Sink):
    """Counts records."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.counters = {"records": 0}

    def open(self) -> int:
        """Nothing is known of earlier runs."""
        return 0

    def write(self, records: _core.Batch) -> None:
        """Count them."""
        self.counters["records"] += len(records)

    def flush(self) -> None:
        """There is nothing to make durable."""

    def tick(self, now_ns: int) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """There is nothing to close."""
