"""Capture files as bytes: plain, gzip or zstd, or standard input, told apart by how they begin."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import IO, Any, Final

from conntap.errors import RecordingError

__all__ = ["HEAD", "Source", "open_source"]

#: So many bytes are looked at to tell what a file is.
HEAD: Final = 1 << 16

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Source:
    """An open file, decompressed, of which the first bytes can be looked at before they are read."""

    __slots__ = ("_file", "_head", "name")

    def __init__(self, name: str, file: IO[bytes] | Any) -> None:
        self.name = name
        self._file = file
        self._head = b""

    def peek(self) -> bytes:
        """Look at the first bytes without taking them (up to 64 KiB; fewer where a pipe gives fewer)."""
        if not self._head:
            self._head = self._file.read1(HEAD) if hasattr(self._file, "read1") else self._file.read(HEAD)
        return self._head

    def read(self, size: int) -> bytes:
        """Take the next bytes, as many as are there at once but at most *size*; b"" at the end."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._file.read1(size) if hasattr(self._file, "read1") else self._file.read(size)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.name != "-":
            self._file.close()


def open_source(path: str) -> Source:
    """Open a file; "-" is standard input.

    Raises:
        OSError: it cannot be opened.
        RecordingError: it is compressed with zstd and nothing here can read that.
    """
    file: IO[bytes] | Any = sys.stdin.buffer if path == "-" else open(path, "rb")
    source = Source(path, file)
    first = source.peek()[:4]
    if first.startswith(GZIP):
        import gzip

        return Source(path, gzip.GzipFile(fileobj=_Rest(source), mode="rb"))
    if first == ZSTD:
        return Source(path, _zstd(path, _Rest(source)))
    return source


class _Rest:
    """What a decompressor reads: the source from its first byte on."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            return self._source.read(size)
        parts: list[bytes] = []
        while part := self._source.read(1 << 20):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        self._source.close()


def _zstd(path: str, rest: _Rest) -> Any:
    """A reader of zstd: of Python 3.14 or of the package `zstandard`."""
    try:
        return import_module("compression.zstd").ZstdFile(rest)
    except ImportError:
        pass
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        hint = f"pip install 'conntap[zstd]', or: zstd -dc {path} | conntap replay -"
        raise RecordingError(f"{path} is compressed with zstd, which this Python cannot read", hint=hint) from None
    return zstandard.ZstdDecompressor().stream_reader(rest, read_across_frames=True)
