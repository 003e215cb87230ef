"""What `jsonl:` and `csv:` have in common: records as lines in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap import _core
    from conntap.sinks.files import LineFile

__all__ = ["FileSink"]


class FileSink:
    """Writes records to a `LineFile`.

    Attributes:
        target, counters, keeps, durable: see `Sink`.
    """

    keeps = False

    def __init__(
        self,
        target: str,
        file: LineFile,
        formatter: _core.LineFormatter,
        *,
        seq_of: Callable[[bytes], int] | None = None,
    ) -> None:
        """Prepare.

        Args:
            target: as the user named it.
            file: not yet opened.
            formatter: makes lines of records.
            seq_of: reads a record's number from its line; None where lines have none, or it is not to be trusted.
        """
        self.target = target
        self.durable = 0
        self._file, self._formatter, self._seq_of = file, formatter, seq_of
        self.counters = file.counters
        self.counters.update(written=0, again=0, filtered=0, taken_back=0)
        self._last = 0  # number of the last record taken
        self._unflushed = 0
        self._opened_again = False

    def open(self) -> int:
        """Get ready; what was not flushed is taken back."""
        last = self._file.open()
        self.counters["written"] -= self._unflushed
        self.counters["taken_back"] += self._unflushed
        self._unflushed = 0
        self._last = self.durable
        if last and self._seq_of is not None and not self.durable:
            self.durable = self._last = self._seq_of(last)
        self._opened_again = True
        return self.durable

    def write(self, records: _core.Batch) -> None:
        """Take all of these records, or none."""
        last = records.last_seq
        if self._opened_again and self.durable:
            # A rotation made records durable that the runner does not know to be: they come again.
            fresh = records.after(self.durable)
            self.counters["again"] += len(records) - len(fresh)
            self._opened_again = len(fresh) < len(records)
            records = fresh
        if not len(records):
            return
        self._file.write(self._formatter.format(records))
        self.counters["written"] += len(records)
        self._unflushed += len(records)
        self._last = max(self._last, last)
        if self._file.is_full:
            self._rotate()  # where that fails, `open` takes all back that is not flushed

    def note_filtered(self, count: int, last_seq: int) -> None:
        """Count what a filter keeps from this file; lines have no place to say so."""
        self.counters["filtered"] += count
        self._last = max(self._last, last_seq)

    def flush(self) -> None:
        """Write to disk and wait for it."""
        self._file.flush()
        self._noted()

    def tick(self, now_ns: int) -> None:
        """Rotate when it is time."""
        if self._file.is_due(now_ns):
            self._rotate()

    def reopen(self) -> None:
        """Go on in a file of the same name, where a program such as logrotate has moved the old one (SIGHUP)."""
        self.flush()
        self._file.reopen()

    def close(self) -> None:
        """Flush and let go."""
        self._file.close()

    def _rotate(self) -> None:
        self.flush()
        self._file.rotate()

    def _noted(self) -> None:
        self.durable = max(self.durable, self._last)
        self._unflushed = 0
