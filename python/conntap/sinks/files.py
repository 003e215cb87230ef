"""A file that whole lines are appended to: rotated, packed, and cut back to its last whole line whatever happens."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conntap.errors import ConntapError
from conntap.sinks import frames
from conntap.sinks.base import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.sinks.frames import Packing

__all__ = ["LineFile"]

#: Lines are packed this many bytes at a time, or when they must be durable.
FRAME_BYTES: Final = 1 << 20
#: The longest line that can be told from a file of something else.
LONGEST_LINE: Final = 1 << 20
#: What may pass by itself: no room, a limit of the user's, a server that is gone.
PASSING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENFILE, errno.EMFILE, errno.ESTALE}
)


class LineFile:
    """Appends lines to a file, a pipe or standard output.

    What `write` took and `flush` has not made durable is taken back by the next `open`: it will be offered again.

    Attributes:
        path: where it writes; None for standard output.
        counters: bytes written, rotations, bytes of torn lines that were cut.
    """

    def __init__(
        self,
        path: str,
        *,
        head: bytes = b"",
        starts: bytes = b"",
        packing: Packing = "none",
        rotate_bytes: int = 0,
        rotate_seconds: float = 0,
        keep: int = 0,
        mode: int = 0o640,
    ) -> None:
        """Prepare to write to *path*, "-" for standard output.

        Args:
            path: the file; what stands in it stays.
            head: what every file begins with (the names of CSV). A file with another head is rotated away.
            starts: how the first line of such a file begins; a file that begins otherwise is left alone.
            packing: compression.
            rotate_bytes: a file of this size is rotated; 0 never.
            rotate_seconds: a file is rotated when so many seconds begin anew, counted from the epoch; 0 never.
            keep: how many rotated files stay; 0 all.
            mode: permissions of new files.
        """
        self.path = None if path == "-" else Path(path)
        self.name = "standard output" if self.path is None else path
        self.counters: dict[str, int] = {"bytes": 0, "rotated": 0, "removed_files": 0, "torn_bytes": 0}
        self._head, self._starts = head, starts or head
        self._packing: Packing = packing
        self._rotate_bytes, self._rotate_ns = rotate_bytes, int(rotate_seconds * 1e9)
        self._keep, self._mode = keep, mode
        self._fd = -1
        self._regular = False
        self._size = self._durable = 0
        self._waiting = bytearray()  # lines that are not packed yet
        self._suspect = False
        self._period = 0
        self._packed_head = frames.pack(head, packing) if head else b""

    # -- open and close --------------------------------------------------------------------------------------

    def open(self) -> bytes:
        """Get ready; after a failure take back what was not flushed.

        Returns:
            The last line that the file holds, b"" where there is none.

        Raises:
            SinkUnavailableError: no room, say.
            ConntapError: the file cannot be used at all.
        """
        self._waiting.clear()
        try:
            if self._fd >= 0:
                return self._back_to_durable()
            return self._open()
        except OSError as error:
            raise self._error("opening", error) from error

    def _open(self) -> bytes:
        if self.path is None:
            self._fd = os.dup(1)
        else:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, self._mode)
        try:
            return self._begin()
        except BaseException:
            self._let_go()
            raise

    def _begin(self) -> bytes:
        found = os.fstat(self._fd)
        self._regular = stat.S_ISREG(found.st_mode) and self.path is not None
        self._size = self._durable = 0
        if not self._regular:
            self._put(self._head)
            return b""
        self._lock()
        self._period = int(found.st_mtime_ns // self._rotate_ns) if self._rotate_ns else 0
        last = self._recover(found.st_size) if found.st_size else b""
        if not self._size:
            self._put(self._packed_head)
            self._sync_directory()
        self._durable = self._size
        return last

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            raise ConntapError(f"{self.name}: another conntap writes to it", hint="give each its own file") from error

    def _recover(self, size: int) -> bytes:
        """Cut what a crash left half written; returns the last line."""
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            if self._packing == "none":
                first, last, whole = self._recover_plain(file.read(len(self._starts)), size)
            else:
                if not file.read(4).startswith(frames.MAGIC[self._packing]):
                    raise ConntapError(f"{self.name}: is no {self._packing} file", hint="choose another file")
                file.seek(0)
                walked = frames.walk(file, self._packing)
                if walked.is_damaged:
                    # What stands behind the damage may still be read by somebody: nothing of it is cut.
                    self._size = self._durable = size
                    self._move_away()
                    return b""
                whole, last = walked.size, last_line(walked.tail)
                file.seek(0)
                piece = file.read(1 << 16) if whole else b""
                first = frames.inflater(self._packing).decompress(piece)[: len(self._starts)] if whole else b""
        if whole < size:
            self.counters["torn_bytes"] += size - whole
            os.ftruncate(self._fd, whole)
        self._size = whole
        if first != self._starts and whole:
            if not self._head:
                raise ConntapError(f"{self.name}: holds something else", hint="choose another file")
            self._durable = whole
            self._move_away()  # other columns
            return b""
        return last if last != self._head else b""

    def _recover_plain(self, first: bytes, size: int) -> tuple[bytes, bytes, int]:
        """How it begins, its last line, and the size of its whole lines."""
        tail = os.pread(self._fd, LONGEST_LINE, max(0, size - LONGEST_LINE))
        end = tail.rfind(b"\n") + 1
        if not end and (size >= LONGEST_LINE or not self._starts.startswith(first)):
            raise ConntapError(f"{self.name}: is no file of lines", hint="choose another file")
        return first, last_line(tail[:end]), size - len(tail) + end

    def _back_to_durable(self) -> bytes:
        """Once more after a failure."""
        if self._regular:
            os.ftruncate(self._fd, self._durable)
            self._size = self._durable
            if self._suspect:
                # The kernel may have forgotten pages of this file that it could not write: never write to it again.
                self._move_away()
                self._suspect = False
        return b""

    def close(self) -> None:
        """Make durable what was written, as far as that goes, and let go. Never raises."""
        if self._fd < 0:
            return
        with suppress(ConntapError):
            self.flush()
        if self._regular:
            with suppress(OSError):
                os.ftruncate(self._fd, self._durable)
        self._let_go()

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    # -- lines -----------------------------------------------------------------------------------------------

    def write(self, lines: bytes) -> None:
        """Append whole lines, all of them or none.

        Raises:
            SinkUnavailableError: none was taken.
        """
        if self._fd < 0:
            raise SinkUnavailableError(f"{self.name}: is not open")
        if self._packing == "none":
            self._append(lines)
            return
        before = len(self._waiting)
        self._waiting += lines
        if len(self._waiting) >= FRAME_BYTES:
            try:
                self._pack()
            except SinkUnavailableError:
                del self._waiting[before:]
                raise

    def flush(self) -> None:
        """Make durable what was written.

        Raises:
            SinkUnavailableError: it may be lost, and will be taken back by `open`.
        """
        if self._fd < 0:
            raise SinkUnavailableError(f"{self.name}: is not open")
        if self._suspect:
            raise SinkUnavailableError(f"syncing {self.name}: failed before")
        self._pack()
        if not self._regular or self._durable == self._size:
            return
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._suspect = True
            raise self._error("syncing", error, passing=True) from error
        self._durable = self._size

    @property
    def is_full(self) -> bool:
        """It has the size at which it is to be rotated."""
        return bool(self._rotate_bytes) and self._regular and self._size >= self._rotate_bytes

    def is_due(self, now_ns: int) -> bool:
        """Its time is over, or somebody has moved it away."""
        if not self._regular or self._fd < 0:
            return False
        if self._rotate_ns and now_ns // self._rotate_ns != self._period:
            if self._size > len(self._packed_head) or self._waiting:
                return True
            self._period = now_ns // self._rotate_ns
        return self._is_moved()

    def rotate(self) -> None:
        """Go on in a new file; what was written stays in the old one, durable, under a name with the time.

        Raises:
            SinkUnavailableError: the new file cannot be made.
        """
        self._after_flush(self._move_away)

    def reopen(self) -> None:
        """Go on in a new file where somebody has moved the old one away; what was written stays there, durable.

        Raises:
            SinkUnavailableError: the new file cannot be made.
        """
        if self._fd >= 0 and self._regular and self._is_moved():
            self._after_flush(self._switch)

    def _after_flush(self, act: Callable[[], None]) -> None:
        if self._fd < 0 or not self._regular:
            return
        self.flush()
        try:
            act()
        except OSError as error:
            raise self._error("rotating", error, passing=True) from error

    def _is_moved(self) -> bool:
        assert self.path is not None
        try:
            there = self.path.stat()
        except OSError:
            return True
        ours = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _move_away(self) -> None:
        assert self.path is not None
        if not self._is_moved():
            self.path.rename(self._free_name())
        self._switch()
        self.counters["rotated"] += 1
        self._remove_old()

    def _switch(self) -> None:
        """Go on in the file that has the name now, most often a new one."""
        assert self.path is not None
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, self._mode)
        os.close(self._fd)
        self._fd = fd
        self._lock()
        self._size = self._durable = os.fstat(fd).st_size  # 0, unless somebody put a file there
        if not self._size:
            self._put(self._packed_head)
        self._durable = self._size
        self._sync_directory()
        self._period = time.time_ns() // self._rotate_ns if self._rotate_ns else 0

    def _free_name(self) -> Path:
        """`flows.jsonl.gz` → `flows-20261125T220624Z.jsonl.gz`, or with a number behind where that is taken."""
        assert self.path is not None
        stem, dot, rest = self.path.name.partition(".")
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for number in range(1, 1 << 20):
            name = self.path.with_name(f"{stem}-{stamp}{f'.{number:04}' if number > 1 else ''}{dot}{rest}")
            if not name.exists():
                return name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))

    def _remove_old(self) -> None:
        if not self._keep:
            return
        assert self.path is not None
        stem, dot, rest = self.path.name.partition(".")
        stamp = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"
        old = sorted(self.path.parent.glob(f"{stem}-{stamp}*{dot}{rest}"))
        for path in old[: -self._keep]:
            with suppress(OSError):
                path.unlink()
                self.counters["removed_files"] += 1

    def _pack(self) -> None:
        if self._waiting:
            self._append(frames.pack(bytes(self._waiting), self._packing))
            self._waiting.clear()

    def _append(self, data: bytes) -> None:
        try:
            self._put(data)
        except OSError as error:
            raise self._error("writing to", error) from error

    def _put(self, data: bytes) -> None:
        """Write all of it; where that fails nothing of it stays."""
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    select.select([], [self._fd], [])
        except OSError:
            if self._regular:
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)
        self.counters["bytes"] += len(data)

    def _sync_directory(self) -> None:
        assert self.path is not None
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _error(self, doing: str, error: OSError, *, passing: bool = False) -> ConntapError:
        text = f"{doing} {self.name}: {error.strerror or error}"
        if passing or error.errno in PASSING:
            hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            return SinkUnavailableError(text, hint=hint)
        return ConntapError(text)


def last_line(lines: bytes) -> bytes:
    """The last of some whole lines."""
    return lines[lines.rstrip(b"\n").rfind(b"\n") + 1 :]
