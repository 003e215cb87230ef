"""`parquet:/var/lib/conntap`: the embedded ledger as a sink: segments of sorted Parquet (docs/store.md)."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.errors import ConntapError
from conntap.lock import Lock
from conntap.sinks.base import SinkUnavailableError
from conntap.store.manifest import Writer
from conntap.store.privacy import options, told, words
from conntap.store.publish import Full, publish
from conntap.store.segment import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.store.manifest import Class
    from conntap.store.privacy import PrivacyLike
    from conntap.store.retention import RetentionLike

__all__ = ["ParquetSink"]

#: Records and seconds after which a segment is published.
ROWS, SECONDS = 500_000, 300.0
COUNTERS = (
    "written", "rows", "segments", "gaps", "bytes", "filtered", "repeated",
    "refusals", "merged", "dropped", "upkeep_failures",
)  # fmt: skip
#: Seconds between looks at what is to be merged and what is too old.
UPKEEP_SECONDS = 60.0


class ParquetSink:
    """Writes the embedded ledger in a directory, and looks after it.

    Attributes:
        target: as the user named it.
        counters: of this run: written (records taken), rows, segments, gaps, bytes, filtered, refusals (tries to
            write that failed), repeated (records that had come before), merged and dropped (segments),
            upkeep_failures (tries to merge or drop that failed; the next one comes in a minute).
        keeps: True: records are held here until they are durable.
        durable: number of the last record in a published segment.
    """

    keeps = True

    def __init__(
        self,
        target: str,
        directory: str,
        *,
        rows: int = ROWS,
        seconds: float = SECONDS,
        nat_only: bool = False,
        keep_ids: bool = False,
        inside: Iterable[str] = (),
        level: int = 3,
        compact: bool = True,
        privacy: PrivacyLike | None = None,
        retention: RetentionLike | None = None,
    ) -> None:
        """Prepare; nothing is touched yet.

        Args:
            target: as the user named it.
            directory: of the ledger; made where it is not there.
            rows: a segment is published when it has so many …
            seconds: … or when its first record is so old.
            nat_only: only translations: who had which address and port, no counters.
            keep_ids: also the numbers of records and of the kernel's entries.
            inside: networks that are inside, for privacy, besides all that NAT hides.
            level: of zstd, for what the logger writes.
            compact: merge segments of past hours and days.
            privacy: what must not be written.
            retention: what is kept for how long.

        Raises:
            UsageError: a key that cannot be read, a network that is none.
        """
        self.target = target
        self.directory = os.path.abspath(directory)
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self.durable = 0
        self._cls: Class = "nat" if nat_only else "flows"
        self._rows, self._seconds, self._level = max(rows, 1), seconds, level
        self._compact, self._retention = compact, retention
        self._private = options(privacy, inside)
        self._options: dict[str, Any] = {**self._private, "nat_only": nat_only, "keep_ids": keep_ids}
        self._lock: Lock | None = None
        self._manifest: Writer | None = None
        self._builder = _core.SegmentBuilder()
        self._filtered = self._noted = self._covered = 0
        self._since: float | None = None  # when the first record of the growing segment came
        self._full: Full | None = None  # what is being published
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._upkeep: threading.Thread | None = None
        self._upkeep_at = time.monotonic() + UPKEEP_SECONDS
        self._closing = threading.Event()

    # -- the contract ----------------------------------------------------------------------------------------

    def open(self) -> int:
        """Take the lock, repair what a crash left, and say how far the ledger came; later: try again what failed."""
        if self._manifest is not None:
            if self._thread is not None:
                self._thread.join()
            if self._full is not None:
                self._start()
            self._settle()
            return self.durable
        try:
            self._open()
        except OSError as error:
            self._let_go()
            self.counters["refusals"] += 1
            raise SinkUnavailableError(f"{self.directory}: {error.strerror}") from error
        except BaseException:
            self._let_go()
            raise
        return self.durable

    def _open(self) -> None:
        from conntap.store.segment import writer

        writer()  # says now that arro3 is missing
        os.makedirs(self.directory, mode=0o750, exist_ok=True)
        self._lock = Lock(self.directory)
        manifest = Writer(self.directory, at_ns=_core.now_ns())
        try:
            clean(self.directory, manifest.state.segments.keys() | manifest.state.gone.keys())
            line = {"type": "session", "event": "start", "at_ns": _core.now_ns(), **session()}
            if private := told(self._private):
                line["privacy"] = private
            manifest.append(line)
        except BaseException:
            manifest.close()
            raise
        self._manifest = manifest
        self.durable = self._covered = self._noted = manifest.state.last_seq
        self._builder = _core.SegmentBuilder(**self._options, seq=self.durable)

    def write(self, records: _core.Batch) -> None:
        """Take records; a segment that is full is published beside."""
        if self._manifest is None:
            raise SinkUnavailableError(f"{self.directory}: the ledger is not open")
        self._advance()
        if self._since is None:
            self._since = time.monotonic()
        self._builder.append(records)
        self.counters["written"] += len(records)

    def begins(self, at_ns: int) -> None:
        """The records to come are of a source that tells from then on."""
        if self._manifest is not None:
            try:
                self._manifest.append({"type": "session", "event": "begin", "at_ns": at_ns})
            except OSError as error:
                raise SinkUnavailableError(f"{self.directory}: {error.strerror}") from error

    def note_filtered(self, count: int, last_seq: int) -> None:
        """Records that are not for this ledger: their numbers do not lack."""
        if self._since is None:
            self._since = time.monotonic()
        self._filtered += count
        self._noted = max(self._noted, last_seq)
        self.counters["filtered"] += count

    def flush(self) -> None:
        """Publish what has grown, and wait for it."""
        self._settle()
        if self._since is not None:
            self._rotate()
            self._settle()

    def tick(self, now_ns: int) -> None:
        """Publish what is old enough; start merging and dropping now and then."""
        if self._failure is not None or (self._thread is not None and not self._thread.is_alive()):
            self._settle()
        if self._manifest is None:
            return
        if self._since is not None and time.monotonic() - self._since >= self._seconds and self._thread is None:
            self._rotate()
        if time.monotonic() >= self._upkeep_at and (self._upkeep is None or not self._upkeep.is_alive()):
            self._upkeep_at = time.monotonic() + UPKEEP_SECONDS
            self._upkeep = threading.Thread(target=self._keep_up, args=(now_ns,), name="ledger upkeep", daemon=True)
            self._upkeep.start()

    def close(self) -> None:
        """Publish what has grown, write that the logger stopped, and let go of the lock."""
        if self._manifest is None:
            return
        self._closing.set()
        with suppress(ConntapError):
            self.flush()
        if self._upkeep is not None:
            self._upkeep.join()
        with suppress(OSError):
            self._manifest.append(
                {
                    "type": "session",
                    "event": "stop",
                    "at_ns": _core.now_ns(),
                    "pid": os.getpid(),
                    "last_seq": self.durable,
                }
            )
        self._let_go()

    # -- publishing ------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Publish a full segment; while another is being published, only twice as many records are held."""
        if self._failure is not None or (self._thread is not None and not self._thread.is_alive()):
            self._settle()
        if len(self._builder) >= self._rows:
            self._settle()
            self._rotate()

    def _rotate(self) -> None:
        """Begin to publish what has grown."""
        last = max(self._builder.stats["last_seq"] or 0, self._noted)
        self._full = Full(self._builder.take(), self._covered + 1 if last > self._covered else 0, last, self._filtered)
        if not self._full.first_seq:
            self._full.last_seq = 0
        self._covered = max(self._covered, last)
        self._filtered, self._since = 0, None
        self._start()

    def _start(self) -> None:
        self._failure = None
        self._thread = threading.Thread(target=self._publish, name="ledger segment", daemon=True)
        self._thread.start()

    def _publish(self) -> None:
        assert self._full is not None
        assert self._manifest is not None
        try:
            entry = publish(
                self.directory,
                self._manifest,
                self._full,
                cls=self._cls,
                at_ns=_core.now_ns(),
                level=self._level,
                privacy=words(self._private),
            )
        except BaseException as error:  # noqa: BLE001 — a panic too: whoever feeds the sink must hear of it
            self._failure = error
            return
        stats = self._full.builder.stats
        self.counters["rows"] += entry.rows
        self.counters["bytes"] += entry.bytes
        self.counters["segments"] += bool(entry.file)
        self.counters["gaps"] += len(self._full.builder.gaps)
        self.counters["repeated"] += stats["repeated"] or 0
        self.durable = max(self.durable, entry.last_seq)
        self._full = None

    def _settle(self) -> None:
        """Wait until nothing is being published.

        Raises:
            SinkUnavailableError: it could not be written; it is held, and `open` tries again.
            ConntapError: it never can be.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure = self._failure
        if failure is None:
            return
        if isinstance(failure, OSError):
            self.counters["refusals"] += 1
            raise SinkUnavailableError(f"{self.directory}: {failure.strerror}") from failure
        if isinstance(failure, ConntapError):
            raise failure
        raise ConntapError(f"{self.directory}: writing a segment failed: {failure}", hint="this is a bug") from failure

    def _let_go(self) -> None:
        for held in (self._manifest, self._lock):
            if held is not None:
                held.close()
        self._manifest = self._lock = None

    # -- upkeep ----------------------------------------------------------------------------------------------

    def _keep_up(self, now_ns: int) -> None:
        """Merge and drop, beside the work."""
        assert self._manifest is not None
        from conntap.store.compact import compact, remove_gone
        from conntap.store.retention import retain

        manifest = self._manifest

        def drop() -> None:
            if self._retention is not None:
                self.counters["dropped"] += len(retain(self.directory, manifest, self._retention, now_ns=now_ns).files)

        def merge() -> None:
            if self._compact and self._failure is None:
                done = compact(self.directory, manifest, now_ns=now_ns, stop=self._closing)
                self.counters["merged"] += sum(len(entry.replaces) for entry in done)

        def remove() -> None:
            remove_gone(self.directory, manifest, now_ns=now_ns)

        for step in (drop, merge, remove):
            try:
                step()
            except (OSError, ConntapError):
                self.counters["upkeep_failures"] += 1


def session() -> dict[str, object]:
    """Where and as what this logger runs."""
    import platform

    def read(path: str) -> str:
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""

    try:
        netns = os.stat("/proc/self/ns/net").st_ino
    except OSError:
        netns = 0
    return {
        "boot_id": read("/proc/sys/kernel/random/boot_id"),
        "host": platform.node(),
        "netns": netns,
        "pid": os.getpid(),
    }
