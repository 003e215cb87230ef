"""IPFIX in files (RFC 5655): messages back to back, templates at the head of each file.

A file is written beside (`NAME.part`) and gets its name when it is whole: `NAME` itself, or with rotation
`flows-20261125T220000Z-000000012345.ipfix` (when it begins, number of its last record). `flush` ends with a record of
statistics that has the last record's number: after a crash the file is cut there, and nothing is missing or doubled.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from conntap import _core
from conntap.sinks.base import Sink, SinkUnavailableError
from conntap.sinks.ipfix_pack import PACKINGS, check_packing, packed
from conntap.sinks.ipfix_scan import Mark, last_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["IpfixFileSink"]

SECOND = 1_000_000_000
LONGEST = 65_535


class IpfixFileSink(Sink):
    """Writes records to files.

    Attributes:
        target: what it writes to, as the user named it.
        counters: records taken, files finished, messages, octets, and what was left out, by name.
        not_sent: flows that were given up before they came here; the files say so (notSentFlowTotalCount).
    """

    def __init__(
        self,
        target: str,
        path: str | os.PathLike[str],
        *,
        rotate_bytes: int = 0,
        rotate_seconds: float = 0,
        compress: str = "",
        domain: int = 1,
        nanoseconds: bool = False,
        extended: bool = False,
        nat_events: str = "yes",
    ) -> None:
        """Make a sink that has not touched anything yet.

        Args:
            target: what it writes to, as the user named it.
            path: the file, `flows.ipfix`.
            rotate_bytes: begin a new file when this one has so many octets; 0: never.
            rotate_seconds: begin a new file when this one is so old; 0: never.
            compress: `gzip` or `zstd` for finished files; empty: neither.
            domain: observation domain of flows; NAT events have the next one, statistics the one after that.
            nanoseconds: times as flowStartNanoseconds and -End-.
            extended: mark, zone, status, labels, helper, numbers of the ledger too.
            nat_events: `yes`, `no`, or `historic` for the numbers 1 and 2.

        Raises:
            UsageError: a value that cannot be.
        """
        if compress:
            check_packing(compress)
        self.target = target
        self.path = Path(path)
        self.counters: dict[str, int] = {"records": 0, "files": 0, "recovered": 0, "cut_octets": 0}
        self.not_sent = 0
        self._part = self.path.with_name(self.path.name + ".part")
        self._rotate_bytes, self._rotate_seconds, self._compress = rotate_bytes, rotate_seconds, compress
        self._statistics_domain = (domain + 2) % 2**32
        self._exporter = _core.IpfixExporter(
            mtu=LONGEST, domain=domain, nanoseconds=nanoseconds, extended=extended, nat_events=nat_events
        )
        self._file: IO[bytes] | None = None
        self._began_ns = 0
        self._size = 0
        self._durable = Mark()
        self._dirty = False

    def open(self) -> int:
        """Finish what an earlier run left. After a failure: go on, or from what is durable.

        Returns:
            The number of the last record in the files that are there.

        Raises:
            SinkUnavailableError: the directory cannot be written to.
        """
        if self._file is not None:
            self.flush()
            return self._durable.seq
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for left in self.path.parent.glob(f"{self.path.stem}*.tmp"):
                if self._is_ours(left.name.removesuffix(".tmp")):
                    left.unlink()
            self._recover()
            return max(self._seqs(), default=0)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, records: _core.Batch) -> None:
        """Append these records. Where that fails, what was written of them is cut off again."""
        if not len(records):
            return
        try:
            if self._file is None:
                self._begin()
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._append(self._exporter.encode(records))
        except OSError as error:
            self._exporter.take_back()
            raise self._cut(error) from error
        self._dirty = True
        self.counters["records"] += len(records)
        self.counters.update(self._exporter.counters)

    def flush(self) -> None:
        """Mark how far the file has come, and make it durable."""
        if self._file is None or not self._dirty:
            return
        try:
            self._append(self._exporter.statistics(not_sent=self.not_sent))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error
        self._durable = Mark(self._size, self._exporter.seq, self._began_ns // SECOND)
        self._dirty = False
        self.counters.update(self._exporter.counters)

    def tick(self, now_ns: int) -> None:
        """Begin a new file when this one is long or old enough."""
        if self._file is None:
            return
        age_ns = abs(now_ns - self._began_ns)  # a clock set back makes no file last forever
        long = self._rotate_bytes and self._size >= self._rotate_bytes
        if long or (self._rotate_seconds and age_ns >= self._rotate_seconds * SECOND):
            self._finish()

    def close(self) -> None:
        """Finish the file. One that cannot be finished now stays as `.part`, for the next run."""
        with suppress(SinkUnavailableError):
            self._finish()
        self._let_go()

    def _begin(self) -> None:
        """A new file; templates at its head."""
        self._began_ns = _core.now_ns()
        self._file = self._part.open("xb", buffering=0)
        self._size, self._durable = 0, Mark()
        self._exporter.restart()
        self._append(self._exporter.templates(self._began_ns))
        self._sync_directory()

    def _append(self, messages: list[bytes]) -> None:
        if self._file is None:
            return
        rest = memoryview(b"".join(messages))
        size = self._size + len(rest)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._size = size

    def _cut(self, error: OSError) -> SinkUnavailableError:
        """Go back to before the last write; what was written earlier stays."""
        try:
            os.truncate(self._part, self._size)
            if self._file is not None:
                self._file.seek(self._size)
        except OSError:
            return self._failed(error)
        return self._unavailable(error)

    def _failed(self, error: OSError) -> SinkUnavailableError:
        """Go back to what is durable: what stands behind it will be offered again."""
        with suppress(OSError):
            if self._file is not None:
                os.truncate(self._part, self._durable.size)
        self._let_go()
        return self._unavailable(error)

    def _unavailable(self, error: OSError) -> SinkUnavailableError:
        reason = error.strerror or str(error)
        return SinkUnavailableError(f"writing {self._part}: {reason}", hint="it is tried again; make room, or move it")

    def _let_go(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
        self._dirty = False

    def _finish(self) -> None:
        """Give the file its name."""
        if self._file is None:
            return
        self.flush()
        mark = self._durable
        self._let_go()
        try:
            self._name(mark)
        except OSError as error:
            raise self._failed(error) from error

    def _recover(self) -> None:
        """A file that was not finished: cut it behind its last mark."""
        if not self._part.exists():
            return
        with self._part.open("rb") as file:
            mark = last_mark(file, self._statistics_domain)
        self.counters["cut_octets"] += self._part.stat().st_size - mark.size
        if mark.size == 0:
            self._part.unlink()
            return
        with self._part.open("r+b") as file:
            file.truncate(mark.size)
            os.fsync(file.fileno())
        self.counters["recovered"] += 1
        self._name(mark)

    def _name(self, mark: Mark) -> None:
        """Move the part to its name; compressed, if that is wanted. An older file is never replaced."""
        final = self._free_name(mark)
        if self._compress:
            beside = final.with_name(final.name + ".tmp")
            with self._part.open("rb") as source, beside.open("wb") as target:
                packed(self._compress, source, target)
                target.flush()
                os.fsync(target.fileno())
            beside.rename(final)
            self._sync_directory()
            self._part.unlink()
        else:
            self._part.rename(final)
        self._sync_directory()
        self.counters["files"] += 1

    def _free_name(self, mark: Mark) -> Path:
        ending = PACKINGS[self._compress] if self._compress else ""
        plain = self.path.with_name(self.path.name + ending)
        if not (self._rotate_bytes or self._rotate_seconds or plain.exists()):
            return plain
        began = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(mark.began))
        for again in range(1, 1_000_000):
            more = f"-{again}" if again > 1 else ""
            name = f"{self.path.stem}-{began}-{mark.seq:012d}{more}{self.path.suffix}{ending}"
            if not (found := self.path.with_name(name)).exists():
                return found
        raise FileExistsError(f"{self.path}: no name is free")

    def _is_ours(self, name: str) -> bool:
        return self._seq_of(name) is not None or name.startswith(self.path.name)

    def _seq_of(self, name: str) -> int | None:
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        found = re.fullmatch(rf"{stem}-\d{{8}}T\d{{6}}Z-(\d{{12,}})(-\d+)?{suffix}(\.gz|\.zst)?", name)
        return int(found[1]) if found else None

    def _seqs(self) -> Iterator[int]:
        """The last record's number of each finished file."""
        for found in self.path.parent.iterdir():
            if (seq := self._seq_of(found.name)) is not None:
                yield seq
        if self.path.exists():
            with self.path.open("rb") as file:
                yield last_mark(file, self._statistics_domain).seq

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
