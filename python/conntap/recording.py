"""Recordings: the kernel's messages in a pcapng file (LINKTYPE_NETLINK) that Wireshark opens.

A recording replays anywhere, without privilege, to the same bytes. Gaps come back in their places.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Any

from conntap import _core
from conntap.errors import RecordingError, UsageError
from conntap.filter import as_filter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from conntap.filter import Filter

__all__ = ["RecordWriter", "Recording", "replay"]

#: Bytes read from a file at a time.
CHUNK = 1 << 20

#: First bytes of formats that are known but not read as they are.
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def replay(path: str | os.PathLike[str]) -> Recording:
    """Open a recording.

    Args:
        path: a pcapng or pcap file of netlink messages, plain or gzip; "-" for standard input.

    Raises:
        OSError: the file cannot be opened.
    """
    return Recording(path)


class Recording:
    """A recording. Each walk reads the file anew (standard input: once).

    Attributes:
        counters: of the last walk: rows, losses and omissions by name.
        faults: of the last walk: what could not be read, in words.
    """

    __slots__ = ("counters", "faults", "path", "sample")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.counters: dict[str, int] = {}
        self.faults: list[str] = []
        self.sample: tuple[str, bytes] | None = None
        if self.path != "-":
            open(self.path, "rb").close()  # told now, not at the first row

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Read the rows that match *where*, a batch for each part of the file.

        Raises:
            FilterError: *where* does not parse.
            RecordingError: the file is no recording, or holds nothing that could be read.
        """
        reader = _core.RecordingReader(as_filter(where))
        self.faults = []
        with self._open() as file:
            try:
                while data := file.read(CHUNK):
                    batch, faults = reader.feed(data)
                    self._note(faults, reader)
                    if len(batch):
                        yield batch
                end = reader.finish()
                self._note([end] if end else [], reader)
            finally:
                self.counters = reader.counters
                self.sample = reader.sample

    def _note(self, faults: list[str], reader: _core.RecordingReader) -> None:
        """Keep what could not be read; a file of which nothing could be read is an error."""
        self.faults += faults
        if faults and not reader.counters["received"]:
            raise RecordingError(f"{self.path} {faults[0]}")

    def _open(self) -> IO[bytes] | Any:
        file = sys.stdin.buffer if self.path == "-" else open(self.path, "rb")
        if self.path == "-":
            return file
        first = file.read(4)
        file.seek(0)
        for magic, name in COMPRESSED.items():
            if first.startswith(magic):
                file.close()
                if name == "gzip":
                    import gzip

                    return gzip.open(self.path, "rb")
                hint = f"{name} -dc {self.path} | conntap replay -"
                raise RecordingError(f"{self.path} is compressed with {name}", hint=hint)
        return file

    def events(self, where: str | Filter = "") -> Iterator[_core.Event]:
        """Read the rows that match *where* as `Event`, in the order in which they were recorded."""
        for batch in self.batches(where):
            yield from batch.events()

    def __iter__(self) -> Iterator[_core.Event]:
        return self.events()

    def arrow(self, where: str | Filter = "") -> _core.ArrowTable:
        """Read the rows that match *where* into Arrow columns (docs/fields.md)."""
        columns = _core.ColumnsBuilder()
        for batch in self.batches(where):
            columns.append(batch)
        return columns.finish()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)


class RecordWriter:
    """Writes batches to a recording.

    The file appears under its name at once and is whole after `close()`; what was written before a crash is
    readable. An existing file is not overwritten unless *overwrite* is set.
    """

    __slots__ = ("_accepted", "_file", "_lost", "_recorder", "_started")

    def __init__(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, description: str = "", where: str = ""
    ) -> None:
        name = os.fspath(path)
        if name == "-":
            self._file: IO[bytes] = sys.stdout.buffer
        else:
            try:
                self._file = open(name, "wb" if overwrite else "xb")
            except FileExistsError:
                raise UsageError(f"{name} exists", hint="choose another name, or --overwrite") from None
        system = os.uname()
        self._recorder, head = _core.Recorder.begin(
            hardware=system.machine, os=f"{system.sysname} {system.release}", description=description, filter=where
        )
        self._started = _core.now_ns()
        self._accepted = 0
        self._lost = 0
        self._file.write(head)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def write(self, batch: _core.Batch) -> None:
        """Append the rows of *batch* and hand them to the operating system."""
        self._file.write(self._recorder.write(batch))
        self._file.flush()
        self._accepted += len(batch)

    def close(self, counters: dict[str, int] | None = None) -> None:
        """Write the totals and close the file; *counters* are those of the source."""
        counters = counters or {}
        try:
            tail = self._recorder.finish(
                start_ns=self._started,
                end_ns=_core.now_ns(),
                received=counters.get("received", self._accepted),
                lost=counters.get("lost", 0),
                accepted=self._accepted,
            )
        except Exception as error:
            from conntap.errors import ClosedError

            if isinstance(error, ClosedError):
                return
            raise
        self._file.write(tail)
        self._file.flush()
        if self._file is not sys.stdout.buffer:
            self._file.close()
