"""The journal: what a logger has received and its sinks may not have made durable yet; a crash loses none of it.

    DIR/journal/lock
    DIR/journal/00000007.json            what the ledger was told when this epoch began; with it the epoch exists
    DIR/journal/00000007.open.pcapng     flows that were open then
    DIR/journal/00000007.events.pcapng   events since, as they came; while a dump is compared, the records made

Both are recordings. An epoch is dropped when every sink has made durable what came before the next one. Fed to a ledger
again, an epoch gives the same records with the same numbers.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.errors import ConntapError, RecordingError, UsageError
from conntap.lock import Lock
from conntap.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Epoch", "Journal", "Recovered", "append_whole", "open_rows", "read_epochs", "recover"]

#: Version of the header.
FORMAT = 1


@dataclass(frozen=True)
class Epoch:
    """What a ledger was told when an epoch began.

    Attributes:
        seq: number of the last record before it.
        seed: of flow ids.
        bindings: for which flows beginnings are recorded.
        grace_ns: how long a late end is waited for.
        where: the filter of the events, as text.
        boot_id: of the kernel, "" where there is none.
        began_ns: when it began.
        until_ns: what happened up to then is in the epochs before it, or told as a gap; what waited in the socket is
            not.
    """

    seq: int
    seed: tuple[int, int]
    bindings: str
    grace_ns: int
    where: str
    boot_id: str
    began_ns: int
    until_ns: int

    def ledger(self) -> _core.Ledger:
        """A ledger that begins where this epoch does."""
        return _core.Ledger(seed=self.seed, bindings=self.bindings, grace_ns=self.grace_ns, seq=self.seq)


@dataclass
class Recovered:
    """What an earlier run left.

    Attributes:
        last: the epoch that it ended in.
        records: all records since the oldest epoch, numbers included; sinks know how far they came.
        open: flows that were open at the end.
        seq: number of the last record.
        until_ns: up to when all is told: what happened later may have been lost with the socket.
        faults: what could not be read, in words.
    """

    last: Epoch
    records: list[_core.Batch]
    open: list[_core.Batch]
    seq: int
    until_ns: int
    faults: list[str]


def read_epochs(directory: Path) -> Iterator[tuple[Epoch, int]]:
    """The epochs of a journal that exist as a whole, oldest first, with their numbers."""
    for header in sorted(directory.glob("*.json")):
        try:
            values: dict[str, Any] = json.loads(header.read_text())
            version = values.pop("format")
            if version != FORMAT:
                raise UsageError(f"{header} is of format {version}", hint="a later conntap wrote it: use that one")
            values["seed"] = tuple(values["seed"])
            yield Epoch(**values), int(header.stem)
        except (ValueError, KeyError, TypeError) as error:
            raise ConntapError(f"{header} cannot be read: {error}", hint="move it away to begin anew") from error


def recover(directory: Path) -> Recovered | None:
    """Read what is left of an earlier run, without changing it; None where there is nothing.

    Raises:
        ConntapError: a header is damaged. Damage to events is told in `faults`.
    """
    found: Recovered | None = None
    ledger: _core.Ledger | None = None
    records: list[_core.Batch] = []
    faults: list[str] = []
    until_ns = 0  # of the last epoch: an earlier one may be of a time before the clock was set
    for epoch, number in read_epochs(directory):
        ledger = epoch.ledger()
        for batch in _rows(directory / f"{number:08}.open.pcapng", faults):
            ledger.feed(batch)
        until_ns = epoch.until_ns
        for batch in _rows(directory / f"{number:08}.events.pcapng", faults):
            made = ledger.feed(batch)
            until_ns = batch.until(until_ns)
            if len(made):
                records.append(made)
        found = Recovered(epoch, records, [], ledger.seq, until_ns, faults)
    if found is None or ledger is None:
        return None
    found.open = list(open_rows(ledger))
    return found


def open_rows(ledger: _core.Ledger) -> Iterator[_core.Batch]:
    """All open flows of a ledger as OPEN rows."""
    start: int | None = 0
    while start is not None:
        batch, start = ledger.open(start)
        if len(batch):
            yield batch


def append_whole(descriptor: int, data: bytes, size: int) -> int:
    """Append to a file of *size* bytes, all or nothing; return its new size.

    Raises:
        OSError: no room, say; the file is as it was.
    """
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    return size + len(data)


def _rows(path: Path, faults: list[str]) -> Iterator[_core.Batch]:
    """Batches of a recording that may end in the middle of a row."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        recording = Recording(path)
        yield from recording.batches()
        told = recording.faults
    except RecordingError as error:
        told = [str(error)]
    faults += [fault for fault in told if "ends within the block" not in fault]


class Journal:
    """The journal of a running logger.

    Attributes:
        nbytes: size of the current epoch's events.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Take the directory; it is made if need be.

        Raises:
            UsageError: another logger has it, or it cannot be written.
        """
        self.directory = Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.directory)
        except OSError as error:
            raise UsageError(f"{self.directory}: {error.strerror}", hint="--state names another directory") from error
        self.nbytes = 0
        self._number = max((number for _, number in read_epochs(self.directory)), default=0)
        self._began: list[tuple[int, int]] = [(number, epoch.seq) for epoch, number in read_epochs(self.directory)]
        self._events: int | None = None
        self._recorder: _core.Recorder | None = None
        self._dirty = threading.Event()

    def recover(self) -> Recovered | None:
        """Read what an earlier run left; see `recover`."""
        return recover(self.directory)

    def begin(self, epoch: Epoch, opened: Iterable[_core.Batch]) -> None:
        """Begin an epoch with these flows open; it exists when this returns.

        Raises:
            OSError: no room, say; the epoch before goes on.
        """
        number = self._number + 1
        name = self.directory / f"{number:08}"
        try:
            with open(f"{name}.open.pcapng", "wb") as file:
                recorder, head = _core.Recorder.begin(description="flows that were open")
                file.write(head)
                for batch in opened:
                    file.write(recorder.write(batch))
                file.flush()
                os.fsync(file.fileno())
            events = os.open(f"{name}.events.pcapng", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o640)
            recorder, head = _core.Recorder.begin(description="events since", filter=epoch.where)
            os.write(events, head)
            header = Path(f"{name}.json.new")
            with open(header, "w", encoding="ascii") as file:
                json.dump({"format": FORMAT, **asdict(epoch)}, file)
                file.flush()
                os.fsync(file.fileno())
            header.rename(f"{name}.json")
            self._sync_directory()
        except OSError:
            for left in self.directory.glob(f"{name.name}.*"):
                left.unlink(missing_ok=True)
            raise
        if self._events is not None:
            os.fdatasync(self._events)
            os.close(self._events)
        self._events, self._recorder, self._number, self.nbytes = events, recorder, number, len(head)
        self._began.append((number, epoch.seq))

    def write(self, batch: _core.Batch) -> None:
        """Append rows: events as they came, or records that are finished.

        Raises:
            OSError: no room, say; nothing of the batch is there then.
        """
        if self._events is None or self._recorder is None:
            raise ConntapError("the journal has no epoch yet")
        self.nbytes = append_whole(self._events, self._recorder.write(batch), self.nbytes)
        self._dirty.set()

    def sync(self) -> None:
        """Make durable what was written; from any thread.

        Raises:
            OSError: the disk failed.
        """
        events = self._events
        if events is not None and self._dirty.is_set():
            self._dirty.clear()
            copy = os.dup(events)  # the epoch may end meanwhile
            try:
                os.fdatasync(copy)
            finally:
                os.close(copy)

    def drop_before(self, seq: int) -> None:
        """Delete the epochs of which every record is durable elsewhere: those that end at or before *seq*."""
        while len(self._began) > 1 and self._began[1][1] <= seq:
            number, _ = self._began.pop(0)
            name = self.directory / f"{number:08}"
            Path(f"{name}.json").unlink(missing_ok=True)  # first: without it the rest counts for nothing
            for part in ("open", "events"):
                Path(f"{name}.{part}.pcapng").unlink(missing_ok=True)

    def close(self) -> None:
        """Make durable what was written and let go of the directory."""
        if self._events is not None:
            self.sync()
            os.close(self._events)
            self._events = None
        self._lock.close()

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
