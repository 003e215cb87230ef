"""Capture files as bytes: plain, gzip or zstd, or standard input, told apart by how they begin."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol, cast

from conntap import _core
from conntap.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["LINKTYPE_NETLINK", "File", "Source", "open_files", "open_source"]

#: Of recordings. Source: https://www.tcpdump.org/linktypes.html
LINKTYPE_NETLINK: Final = 253

#: So many bytes are looked at, at most, to find the first packet: more than the longest one that programs capture.
HEAD: Final = 1 << 20
#: Compressed bytes unpacked at a time: few, since a hostile file makes them a hundred thousand times as many.
PIECE: Final = 2048

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
    """

    __slots__ = ("_ended", "_file", "_head", "name")

    def __init__(self, name: str, file: Reader) -> None:
        self.name = name
        self._file = file
        self._head = b""
        self._ended = False

    @property
    def fault(self) -> str:
        """What ended it too early, in words; "" where nothing did."""
        return self._file.fault if isinstance(self._file, Unpacked) else ""

    def _next(self, size: int) -> bytes:
        data = b"" if self._ended else self._file.read1(size)
        self._ended = not data
        return data

    def peek(self, size: int = 1) -> bytes:
        """Look at the first bytes without taking them: *size* or more, fewer only at the end of the file."""
        while len(self._head) < size and self._look():
            pass
        return self._head

    def _look(self) -> bool:
        more = self._next(HEAD)
        self._head += more
        return bool(more)

    def linktype(self) -> int | None:
        """The link type of the first packet; None where there is none.

        Looks at no more than it needs: a pipe is waited for until its first packet and no longer.

        Raises:
            RecordingError: the file is neither a capture nor a recording.
        """
        if not self.peek():
            raise RecordingError(f"{self.name} {self.fault or 'is empty'}")
        try:
            while (found := _core.first_linktype(self._head)) is None and len(self._head) < HEAD and self._look():
                pass
        except RecordingError as error:
            raise RecordingError(f"{self.name} {error}", hint=error.hint) from error
        return found

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
            return Source(path, Unpacked(source, _gzip()))
        if first.startswith(ZSTD):
            return Source(path, Unpacked(source, _zstd(path)))
    except BaseException:
        source.close()
        raise
    return source


class File:
    """A file of packets or messages by its name, opened anew for each walk where it can be.

    Attributes:
        name: as given; "-" for standard input.
        linktype: of the first packet; None where there is none.
    """

    __slots__ = ("_once", "linktype", "name")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Look at the file, so that a wrong one is told now and not at the first row.

        Raises:
            OSError: it cannot be opened.
            RecordingError: it is neither a capture nor a recording, or compressed in a way that cannot be read.
        """
        self.name = os.fspath(path)
        self._once: Source | None = open_source(self.name)
        try:
            self.linktype = self._once.linktype()
        except BaseException:
            self.close()
            raise
        if self.name != "-" and stat.S_ISREG(os.stat(self.name).st_mode):
            self.close()

    @property
    def is_once(self) -> bool:
        """It can be read only once: standard input, a pipe."""
        return self._once is not None

    def open(self) -> Source:
        """Open it from its beginning; what is no regular file is there only once."""
        source, self._once = self._once or open_source(self.name), None
        return source

    def close(self) -> None:
        """Let go of what is held for a first walk that will not be."""
        if self._once:
            self._once.close()
        self._once = None


def open_files(paths: Iterable[str | os.PathLike[str]]) -> list[File]:
    """Look at several files; where one is at fault none stays open.

    Raises:
        OSError, RecordingError: as `File`.
        UsageError: standard input is named twice.
    """
    paths = list(paths)
    if paths.count("-") > 1:
        raise UsageError("standard input can be read only once", hint="name '-' once")
    files: list[File] = []
    try:
        files.extend(map(File, paths))
    except BaseException:
        for file in files:
            file.close()
        raise
    return files


class Kept:
    """A file that others go on to use: it is not closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = cast("Reader", file)

    def read1(self, size: int, /) -> bytes:
        """Some of the next bytes."""
        return self._file.read1(size)

    def close(self) -> None:
        """Leave it open."""


class Decompressor(Protocol):
    """What the libraries have in common: it takes one member of a gzip file, or one frame of zstd."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class Packing(NamedTuple):
    """A way to compress.

    Attributes:
        word: its name.
        start: begins to unpack one member.
        errors: what that may raise.
        padding: what may stand between members.
    """

    word: str
    start: Callable[[], Decompressor]
    errors: tuple[type[Exception], ...]
    padding: bytes = b""


class Unpacked:
    """A source, decompressed. Damaged bytes end it.

    Attributes:
        fault: what was damaged, in words; "" as long as nothing was.
    """

    def __init__(self, source: Source, packing: Packing) -> None:
        self.fault = ""
        self._source = source
        self._packing = packing
        self._member: Decompressor | None = None
        self._rest = b""
        self._out = b""

    def read1(self, size: int, /) -> bytes:
        """Some of the next bytes; b"" at the end, and where the file is damaged."""
        while not self._out and not self.fault and (data := self._more()):
            try:
                self._out = self._unpack(data)
            except self._packing.errors as error:
                self.fault = f"is damaged {self._packing.word}: {error}"
        data, self._out = self._out[:size], self._out[size:]
        return data

    def _more(self) -> bytes:
        data, self._rest = self._rest, b""
        data = data or self._source.read(PIECE)
        if not data and self._member:
            self.fault = f"is damaged {self._packing.word}: it ends too early"
        return data

    def _unpack(self, data: bytes) -> bytes:
        if self._member is None:
            data = data.lstrip(self._packing.padding) if self._packing.padding else data
            if not data:
                return b""
            self._member = self._packing.start()
        found = self._member.decompress(data)
        if self._member.eof:
            self._rest, self._member = self._member.unused_data, None
        return found

    def close(self) -> None:
        """Close the file below."""
        self._source.close()


def _gzip() -> Packing:
    import zlib

    return Packing("gzip", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), (zlib.error,), b"\0")


def _zstd(name: str) -> Packing:
    """Of Python 3.14, or of the package `zstandard`."""
    with suppress(ImportError):
        ours = import_module("compression.zstd")
        return Packing("zstd", ours.ZstdDecompressor, (ours.ZstdError,))
    with suppress(ImportError):
        package = import_module("zstandard")
        return Packing("zstd", package.ZstdDecompressor().decompressobj, (package.ZstdError,))
    hint = f"pip install 'conntap[zstd]', or: zstd -dc {name} | conntap replay -"
    raise RecordingError(f"{name} is compressed with zstd, which this Python cannot read", hint=hint)
