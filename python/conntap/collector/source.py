"""`Collector`: places where records come in, as one source."""

from __future__ import annotations

import selectors
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from conntap import _core
from conntap.collector.connections import Connection, Connections
from conntap.collector.datagrams import Datagrams
from conntap.collector.file import MessageFile
from conntap.collector.place import parse_place
from conntap.errors import ClosedError, KernelError, RecordingError, UsageError
from conntap.filter import as_filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.filter import Filter

__all__ = ["Collector", "open_collector"]

#: One wait where nobody says how long, and how often the clock is looked at.
WAIT_SECONDS: Final = 0.5
SETTLE_SECONDS: Final = 1.0

Watched: TypeAlias = Datagrams | Connections | Connection


class Collector:
    """Reads what exporters send into batches of records; of one thread.

    Attributes:
        live: it listens; otherwise it reads files to their end.
        ended: there will be no more.
        reader: what is known of the exporters.
        sockets: that it listens with.
        faults: files that could not be read to their end, in words.
    """

    def __init__(self, *places: str, where: str | Filter = "", sessions: int | None = None) -> None:
        """Open all places: they listen from now on.

        Args:
            places: `ipfix://HOST:PORT` (UDP), `ipfix://HOST:PORT?transport=tcp` (or tls), or `ipfix:FILE`; several that
                listen, or several files. docs/collect.md has the options.
            where: which records; "" for all.
            sessions: how many observation domains are remembered.

        Raises:
            UsageError: a place is none, or files are mixed with others.
            FilterError: *where* does not parse.
            KernelError: an address is taken, or none of ours.
            OSError: a file cannot be opened.
            RecordingError: a file holds no IPFIX messages.
        """
        found = [parse_place(place) for place in places]
        if not found:
            raise UsageError("no place where records come in", hint="say ipfix://0.0.0.0:4739")
        files = [place.transport == "file" for place in found]
        if any(files) and not all(files):
            raise UsageError("files are read alone", hint="name files, or addresses to listen at")
        self._where = as_filter(where)
        self.live = not any(files)
        self.ended = False
        self.faults: list[str] = []
        self.reader = _core.IpfixReader(sessions=sessions)
        self._rows = self._refused = 0
        self._settled = time.monotonic()
        self._closed = False
        self._selector = selectors.DefaultSelector()
        self.sockets: list[Datagrams | Connections] = []
        self._files: list[MessageFile] = []
        try:
            for place in found:
                if place.transport == "file":
                    self._files.append(MessageFile(place))
                    continue
                if place.transport == "udp":
                    opened = Datagrams(place)
                else:
                    opened = Connections(place, self._watch, self._forget)
                self.sockets.append(opened)
                self._watch(opened)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self, watched: Watched) -> None:
        self._selector.register(watched, selectors.EVENT_READ, watched)

    def _forget(self, watched: Connection) -> None:
        self._selector.unregister(watched)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, in the order of the places; with the ports that were chosen."""
        return [opened.address for opened in self.sockets]

    def fileno(self) -> int:
        """A descriptor for select and friends: readable when something has come."""
        return self._selector.fileno()

    @property
    def counters(self) -> dict[str, int]:
        """What came, what it became and every loss, by name: docs/collect.md has the list."""
        sums: Counter[str] = Counter()
        for opened in (*self.sockets, *self._files):
            sums.update(opened.counters)
        read = self.reader.counters
        return {
            **sums,
            **read,
            "lost": read["lost_records"] + read["lost_messages"],
            "rows": self._rows,
            "filtered_here": self._refused,
        }

    @property
    def sample(self) -> tuple[str, bytes] | None:
        """The first message that could not be read whole, and why."""
        return self.reader.sample

    def receive(self, timeout: float | None = None) -> _core.Batch | None:
        """Wait for records and return those that have come.

        Args:
            timeout: seconds to wait; 0 not at all, None until there are records.

        Returns:
            A batch with at least one row; None when nothing (or nothing that the filter wants) came in time, or the
            files have ended.

        Raises:
            ClosedError: after `close()`.
        """
        if timeout is not None:
            return self._receive(timeout)
        while True:
            batch = self._receive(WAIT_SECONDS)
            if batch is not None or self.ended:
                return batch

    def _receive(self, timeout: float) -> _core.Batch | None:
        if self._closed:
            raise ClosedError("this collector is closed", hint="open it anew: Collector(...)")
        if not self.live:
            return self._read_files()
        parts: list[_core.Batch] = []
        ready = self._selector.select(timeout)
        now_ns = _core.now_ns()
        for key, _ in ready:
            read: _core.Batch | None = key.data.read(self.reader, now_ns)
            if read is not None:
                parts.append(read)
        if time.monotonic() - self._settled >= SETTLE_SECONDS:
            parts.append(self._settle(now_ns))
        return self._wanted(parts)

    def _settle(self, now_ns: int) -> _core.Batch:
        """Do what is due by the clock."""
        self._settled = time.monotonic()
        for opened in self.sockets:
            if isinstance(opened, Connections):
                opened.end_slow()
        return self.reader.settle(now_ns)

    def _read_files(self) -> _core.Batch | None:
        for file in self._files:
            while not file.ended:
                batch = self._wanted([file.read(self.reader)])
                if file.ended:
                    self.faults += file.faults
                if batch is not None:
                    return batch
        self.ended = True
        return None

    def _wanted(self, parts: list[_core.Batch]) -> _core.Batch | None:
        parts = [part for part in parts if len(part)]
        if not parts:
            return None
        batch = parts[0] if len(parts) == 1 else _core.Batch.concat(parts)
        if self._where is not None:
            kept = batch.filter(self._where)
            self._refused += len(batch) - len(kept)
            batch = kept
        self._rows += len(batch)
        return batch if len(batch) else None

    def batches(self) -> Iterator[_core.Batch]:
        """Batches until `close()`, or to the end of the files."""
        while not (self._closed or self.ended):
            batch = self._receive(WAIT_SECONDS)
            if batch is not None:
                yield batch

    def __iter__(self) -> Iterator[_core.Event]:
        for batch in self.batches():
            yield from batch.events()

    def dump(self) -> None:
        """There is no table: exporters tell only what they tell."""
        return

    def close(self) -> None:
        """Stop listening; counters can still be read."""
        self._closed = True
        for opened in (*self.sockets, *self._files):
            opened.close()
        self._selector.close()


def open_collector(places: Sequence[str], where: str | Filter = "") -> Collector:
    """Open what a person has named.

    Raises:
        UsageError: a place is none, or a file cannot be read.
        KernelError: an address is taken, or none of ours.
    """
    try:
        return Collector(*places, where=where)
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error
    except KernelError:
        raise
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
