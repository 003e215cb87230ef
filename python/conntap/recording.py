"""Recordings: the kernel's messages in a pcapng file (LINKTYPE_NETLINK) that Wireshark opens.

A recording replays anywhere, without privilege, to the same bytes. Gaps come back in their places.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from conntap import _core
from conntap.errors import RecordingError, UsageError
from conntap.files import LINKTYPE_NETLINK, File, open_files
from conntap.filter import as_filter
from conntap.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from conntap.captures import Capture
    from conntap.filter import Filter
    from conntap.tracker import Setup

__all__ = ["RecordWriter", "Recording", "replay"]

#: Bytes read from a file at a time.
CHUNK = 1 << 20


def replay(
    *paths: str | os.PathLike[str], setup: Setup | None = None, drain: bool = False, both_sides: bool = False
) -> Recording | Capture:
    """Open a recording of the kernel's messages, or packet captures for the userspace engine.

    Args:
        paths: a recording (pcapng or pcap of netlink messages), or one or several packet captures (pcap, pcapng), read
            in order of time; plain, gzip or zstd; "-" for standard input.
        setup: what the engine is told; only for packets.
        drain: behind the last packet let time go by until every connection has ended; only for packets.
        both_sides: the captures (or the interfaces of one) are the sides of one gateway: each packet is tracked once,
            and its translation is seen (`conntap.pairing`). Only for packets in files, which are read twice.

    Raises:
        OSError: a file cannot be opened.
        RecordingError: a file is neither, or a recording among other files.
        UsageError: no file is named, standard input twice, or *setup* asks for what there is not.
    """
    if not paths:
        raise UsageError("no file to replay", hint='say conntap.replay("capture.pcap")')
    files = open_files(paths)
    if len(files) == 1 and files[0].linktype == LINKTYPE_NETLINK:
        return Recording(files[0].name, file=files[0])
    mixed = next((file for file in files if file.linktype == LINKTYPE_NETLINK), None)
    if mixed:
        for file in files:
            file.close()
        raise RecordingError(
            f"{mixed.name} is a recording, which is replayed alone", hint="name one file, or only captures"
        )
    from conntap.captures import Capture  # a recording needs no engine

    seen = None
    if both_sides:
        from conntap.pairing import pair

        seen = pair(files=files)
    return Capture(paths, setup, drain=drain, files=files, seen=seen)


class Recording(Rows):
    """A recording. Each walk reads the file anew (standard input: once).

    Attributes:
        counters: of the last walk: rows, losses and omissions by name.
        faults: of the last walk: what could not be read, in words.
        sample: of the last walk: the first message that could not be read, and why; None where there was none.
    """

    __slots__ = ("_file", "counters", "faults", "path", "sample")

    def __init__(self, path: str | os.PathLike[str], *, file: File | None = None) -> None:
        """Open a recording; *file* is the same one, if it has been looked at already.

        Raises:
            OSError: the file cannot be opened.
            RecordingError: it is no recording.
        """
        self._file = file or File(path)
        self.path = self._file.name
        self.counters: dict[str, int] = {}
        self.faults: list[str] = []
        self.sample: tuple[str, bytes] | None = None

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Read the rows that match *where*, a batch for each part of the file.

        Raises:
            FilterError: *where* does not parse.
            RecordingError: the file is no recording, or holds nothing that could be read.
        """
        reader = _core.RecordingReader(as_filter(where))
        self.faults = []
        source = self._file.open()
        try:
            while data := source.read(CHUNK):
                batch, faults = reader.feed(data)
                self._note(faults, reader)
                if len(batch):
                    yield batch
            self._note([end for end in (source.fault, reader.finish()) if end], reader)
        finally:
            source.close()
            self.counters = reader.counters
            self.sample = reader.sample

    def _note(self, faults: list[str], reader: _core.RecordingReader) -> None:
        """Keep what could not be read; a file of which nothing could be read is an error."""
        self.faults += [f"{self.path} {fault}" for fault in faults]
        if faults and not reader.counters["received"]:
            raise RecordingError(self.faults[0])


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
