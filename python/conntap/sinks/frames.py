"""Compressed lines: whole gzip members or zstd frames one behind another, so that a crash leaves a readable prefix."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from conntap.errors import UsageError

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["PACKINGS", "Packing", "Walk", "pack", "packing_of", "walk"]

Packing: TypeAlias = Literal["none", "gzip", "zstd"]
PACKINGS: Final = ("none", "gzip", "zstd")
#: How files begin, by packing.
MAGIC: Final = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
SUFFIX: Final[dict[str, Packing]] = {".gz": "gzip", ".zst": "zstd"}
GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 3
PIECE: Final = 1 << 18


class Inflater(Protocol):
    """What `zlib.decompressobj` and `zstandard` have in common."""

    @property
    def eof(self) -> bool:
        """The frame is whole."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was fed from behind the frame's end."""
        ...

    def decompress(self, data: bytes, /) -> bytes:
        """Some more of what is packed."""
        ...


class Walk:
    """What was found in a file.

    Attributes:
        size: bytes of the whole frames at its beginning.
        tail: what the last whole frame holds.
        is_damaged: behind them stands something that is no frame, not even the beginning of one.
    """

    def __init__(self) -> None:
        self.size = 0
        self.is_damaged = False
        self.tail = b""


def packing_of(path: str, said: str | None) -> Packing:
    """How a file is packed: as said, else by the end of its name.

    Raises:
        UsageError: there is no such packing, or a package is missing for it.
    """
    found = said or next((packing for suffix, packing in SUFFIX.items() if path.endswith(suffix)), "none")
    if found not in PACKINGS:
        raise UsageError(f"compress={found}: none, gzip or zstd")
    if found == "zstd":
        zstandard()
    return found


def zstandard() -> Any:
    """The package that packs zstd.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module("zstandard")
    except ImportError as error:
        raise UsageError(
            "zstd compression needs the package zstandard", hint="pip install 'conntap[zstd]', or say compress=gzip"
        ) from error


def pack(data: bytes, packing: Packing) -> bytes:
    """One whole frame; *data* itself where nothing is packed."""
    if packing == "none":
        return data
    if packing == "gzip":
        return zlib.compress(data, GZIP_LEVEL, wbits=31)
    made: bytes = zstandard().ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(data)
    return made


def inflater(packing: Packing) -> Inflater:
    """Unpacks one frame."""
    if packing == "gzip":
        return zlib.decompressobj(wbits=31)
    return zstandard().ZstdDecompressor().decompressobj()


def _faults(packing: Packing) -> type[Exception]:
    return zlib.error if packing == "gzip" else zstandard().ZstdError


def walk(file: BinaryIO, packing: Packing) -> Walk:
    """Find the whole frames of a file, from where it stands, and what the last one holds."""
    found = Walk()
    waiting = file.read(PIECE)
    while waiting:
        frame, parts, length = inflater(packing), list[bytes](), 0
        while not frame.eof:
            if not waiting:
                return found  # torn
            try:
                parts.append(frame.decompress(waiting))
            except _faults(packing):
                found.is_damaged = True
                return found
            length += len(waiting)
            waiting = b"" if frame.eof else file.read(PIECE)
        waiting = frame.unused_data
        found.size += length - len(waiting)
        found.tail = b"".join(parts)
        waiting = waiting or file.read(PIECE)
    return found
