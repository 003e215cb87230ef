"""Capture files as bytes: plain, gzip or zstd, or standard input, told apart by how they begin."""

from __future__ import annotations

import io
import os
import stat
import sys
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from conntap import _core
from conntap.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Source", "open_source"]

#: So many bytes are looked at to tell what a file is.
HEAD: Final = 1 << 16

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Reader(Protocol):
    """What is read from: a file, or a decompressor over one."""

    def read1(self, size: int, /) -> bytes:
        """Some of the next bytes, at most *size*; b"" at the end."""
        ...

    def close(self) -> None:
        """Nothing more will be read."""
        ...


class Source:
    """An open file, decompressed, of which the first bytes can be looked at before they are read.

    Attributes:
        name: as it was opened; "-" for standard input.
        fault: what ended it too early, in words; "" where nothing did.
    """

    __slots__ = ("_ended", "_file", "_head", "fault", "name")

    def __init__(self, name: str, file: Reader) -> None:
        self.name = name
        self.fault = ""
        self._file = file
        self._head = b""
        self._ended = False

    def _next(self, size: int) -> bytes:
        """Read on; damaged compression ends the file, with what came before it."""
        try:
            data = b"" if self._ended else self._file.read1(size)
        except OSError as error:
            if error.errno is not None:
                raise
            data, self.fault = b"", f"is damaged gzip: {error}"
        except (EOFError, zlib.error) as error:
            data, self.fault = b"", f"is damaged gzip: {error}"
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # of Python 3.14 or of the package, whichever was there
                raise
            data, self.fault = b"", f"is damaged zstd: {error}"
        self._ended = not data
        return data

    def peek(self, size: int = HEAD) -> bytes:
        """Look at the first bytes without taking them: *size* or more, fewer only at the end of the file."""
        while len(self._head) < size and (more := self._next(HEAD)):
            self._head += more
        return self._head

    def linktype(self) -> int | None:
        """The link type of the first packet; None where there is no packet within the first 64 KiB.

        Looks at no more than it needs, so that a pipe is not waited for longer than until its first packet.

        Raises:
            RecordingError: the file is neither a capture nor a recording.
        """
        found = None
        while True:
            try:
                found = _core.first_linktype(self._head)
            except RecordingError as error:
                if self._head:
                    raise RecordingError(f"{self.name} {error}", hint=error.hint) from error
            if found is not None or len(self._head) >= HEAD:
                return found
            more = self._next(HEAD)
            if not more:
                if not self._head:
                    raise RecordingError(f"{self.name} {self.fault or 'is empty'}")
                return None
            self._head += more

    def read(self, size: int) -> bytes:
        """Take the next bytes, as many as are there at once but at most *size*; b"" at the end."""
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        return self._next(size)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._file.close()


def open_source(path: str) -> Source:
    """Open a file; "-" is standard input.

    Raises:
        OSError: it cannot be opened.
        RecordingError: it is compressed with zstd and nothing here can read that.
    """
    source = Source(path, Kept(sys.stdin.buffer) if path == "-" else open(path, "rb"))
    try:
        first = source.peek(len(ZSTD))
        if first.startswith(GZIP):
            return Source(path, _gzip(source))
        if first.startswith(ZSTD):
            return Source(path, _zstd(source))
    except BaseException:
        source.close()
        raise
    return source


def is_repeatable(path: str) -> bool:
    """Can the file be opened a second time and give the same bytes? Not standard input, nor a pipe."""
    return path != "-" and stat.S_ISREG(os.stat(path).st_mode)


class Kept:
    """A file that others go on to use: it is not closed."""

    def __init__(self, file: io.BufferedIOBase | Reader) -> None:
        self.read1: Callable[[int], bytes] = file.read1

    def close(self) -> None:
        """Leave it open."""


class Bytes(io.RawIOBase):
    """A source from its first byte on, as a decompressor reads it."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class Unpacked:
    """A decompressor and the file below it."""

    def __init__(self, stream: Reader, below: Bytes) -> None:
        self.read1 = stream.read1
        self._open = (stream, below)

    def close(self) -> None:
        """Close both."""
        for file in self._open:
            file.close()


def _gzip(source: Source) -> Reader:
    import gzip

    below = Bytes(source)
    return Unpacked(cast("Reader", gzip.GzipFile(fileobj=io.BufferedReader(below), mode="rb")), below)


def _zstd(source: Source) -> Reader:
    """A reader of zstd: of Python 3.14 or of the package `zstandard`."""
    below = Bytes(source)
    try:
        return Unpacked(import_module("compression.zstd").ZstdFile(below), below)
    except ImportError:
        pass
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        hint = f"pip install 'conntap[zstd]', or: zstd -dc {source.name} | conntap replay -"
        raise RecordingError(f"{source.name} is compressed with zstd, which this Python cannot read", hint=hint) from None
    return Unpacked(zstandard.ZstdDecompressor().stream_reader(below, read_across_frames=True), below)
