"""A spool: records that a sink could not take yet, on disk, in order. Its files are recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from conntap import _core
from conntap.journal import append_whole
from conntap.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Spool"]

#: A file holds about so many bytes; what a crash makes come again is at most one file.
FILE_BYTES = 8 << 20


class Spool:
    """Records on disk, first in, first out.

    Attributes:
        nbytes: bytes on disk.
        last_seq: number of the last record put in; 0 where it is empty from the start.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Open a spool; what an earlier run left is in it.

        Raises:
            OSError: the directory cannot be made or read.
        """
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._files = sorted(self.directory.glob("*.pcapng"))
        self.nbytes = sum(path.stat().st_size for path in self._files)
        self._number = int(self._files[-1].stem) if self._files else 0
        self._open: int | None = None
        self._recorder: _core.Recorder | None = None
        self._size = 0
        self.last_seq = 0
        for path in reversed(self._files):
            self.last_seq = max((batch.last_seq for batch in self._read(path)), default=0)
            if self.last_seq:
                break

    def __bool__(self) -> bool:
        """Is anything in it?"""
        return bool(self._files)

    def put(self, records: _core.Batch) -> None:
        """Append records.

        Raises:
            OSError: no room, say; none of them is in it then.
        """
        if self._open is None or self._recorder is None or self._size >= FILE_BYTES:
            self._next()
        assert self._open is not None
        assert self._recorder is not None
        before, self._size = self._size, append_whole(self._open, self._recorder.write(records), self._size)
        self.nbytes += self._size - before
        self.last_seq = max(self.last_seq, records.last_seq)

    def sync(self) -> None:
        """Make durable what was put in."""
        if self._open is not None:
            os.fdatasync(self._open)

    def first(self) -> tuple[Path, Iterator[_core.Batch]]:
        """The oldest file and its records; `drop` it when they have been taken."""
        if len(self._files) == 1:
            self._finish()
        return self._files[0], self._read(self._files[0])

    def drop(self, path: Path) -> None:
        """Forget a file whose records have been taken."""
        self.nbytes = max(0, self.nbytes - path.stat().st_size)
        path.unlink()
        self._files.remove(path)

    def close(self) -> None:
        """Make durable what was put in, and close the file."""
        self.sync()
        self._finish()

    def _read(self, path: Path) -> Iterator[_core.Batch]:
        if path.stat().st_size:
            yield from Recording(path).batches()

    def _next(self) -> None:
        if self._open is not None:
            os.fdatasync(self._open)
        self._finish()
        self._number += 1
        path = self.directory / f"{self._number:08}.pcapng"
        self._recorder, head = _core.Recorder.begin(description="records that wait for their receiver")
        self._open = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o640)
        os.write(self._open, head)
        self._size = len(head)
        self.nbytes += len(head)
        self._files.append(path)

    def _finish(self) -> None:
        if self._open is not None:
            os.close(self._open)
        self._open = self._recorder = None
