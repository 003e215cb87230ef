"""Compression of finished files."""

from __future__ import annotations

import gzip
import shutil
from contextlib import suppress
from importlib import import_module
from typing import IO, Protocol

from conntap.errors import UsageError

__all__ = ["PACKINGS", "check_packing", "packed"]

#: What file names end in.
PACKINGS = {"gzip": ".gz", "zstd": ".zst"}

CHUNK = 1 << 20


class Compressor(Protocol):
    """What both packages offer."""

    def compress(self, data: bytes, /) -> bytes:
        """Take in some; give out what is ready."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


def packed(kind: str, source: IO[bytes], target: IO[bytes]) -> None:
    """Compress all of *source* into *target*."""
    if kind == "gzip":
        with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="") as out:
            shutil.copyfileobj(source, out, CHUNK)
        return
    squeeze = _zstd()
    while chunk := source.read(CHUNK):
        target.write(squeeze.compress(chunk))
    target.write(squeeze.flush())


def check_packing(kind: str) -> None:
    """Is there such a compression, and can this Python do it?

    Raises:
        UsageError: no.
    """
    if kind not in PACKINGS:
        raise UsageError(f"unknown compression '{kind}'", hint="gzip or zstd")
    if kind == "zstd":
        _zstd()


def _zstd() -> Compressor:
    """Of Python 3.14, or of the package `zstandard`."""
    with suppress(ImportError):
        return import_module("compression.zstd").ZstdCompressor()
    with suppress(ImportError):
        return import_module("zstandard").ZstdCompressor(level=3).compressobj()
    raise UsageError("this Python cannot write zstd", hint="pip install 'conntap[zstd]', or say gzip")
