"""What a sink is: it takes batches of records, and answers for what it has made durable.

A sink is plain and synchronous, and knows no thread, no queue, no filter and no retry: `sinks/runner.py` gives each one
a thread of its own, holds back, spills to disk while it cannot take records, and comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from conntap.errors import ConntapError

if TYPE_CHECKING:
    from conntap import _core

__all__ = ["Sink", "SinkUnavailableError"]


class SinkUnavailableError(ConntapError):
    """The receiver cannot take records now: what was offered last will be offered again, as a whole."""


class Sink(Protocol):
    """Takes records (kinds FLOW, INTERIM, BINDING and GAP, in order of `seq`). Inherit it for what has a default.

    Attributes:
        target: what it writes to, as the user named it (`parquet:/var/lib/conntap`).
        counters: records and losses by name, of this run.
        keeps: True where it holds what it has taken until that is durable, also across a failure of `flush`: then
            nothing is offered again while the process lives, and it sets `durable` as it goes.
        durable: number of the last record that is durable, as far as it knows itself; 0 where it does not.
    """

    target: str
    counters: dict[str, int]
    keeps: bool = False
    durable: int = 0

    def open(self) -> int:
        """Get ready, also for the second time after a failure.

        Returns:
            The number of the last record that is known to be durable from an earlier run; 0 where nobody knows.

        Raises:
            SinkUnavailableError: not now; it will be tried again.
            ConntapError: never; the logger does not start.
        """
        ...

    def write(self, records: _core.Batch) -> None:
        """Take all of these records, or none.

        Raises:
            SinkUnavailableError: none of them is to be counted as taken.
        """
        ...

    def begins(self, at_ns: int) -> None:
        """Hear from when on the source tells, where that is not now: a file tells of the past."""
        return

    def note_filtered(self, count: int, last_seq: int) -> None:
        """Hear that *count* records up to number *last_seq* are not for this sink: not all lack without a reason."""
        return

    def flush(self) -> None:
        """Make durable, as far as the protocol can, all that was written.

        Raises:
            SinkUnavailableError: what was written since the last flush may be lost; it will be offered again.
        """
        ...

    def tick(self, now_ns: int) -> None:
        """Do what is due by the clock (template refresh, rotation); called a few times a second."""
        ...

    def close(self) -> None:
        """Flush, say goodbye, and let go of everything. Never raises."""
        ...
