"""Writes a segment's file: beside its place, made durable, and then moved there."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from conntap.errors import ConntapError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.store.manifest import Class

__all__ = ["FOLDER", "ROWS", "Written", "clean", "file_name", "write"]

#: Segments are in DIR/segments/YYYY-MM-DD/.
FOLDER: Final = "segments"
#: Rows of a row group. A question reads what describes all groups and the pages of one or two: of 10 million rows
#: the first takes 3.3 ms in groups of 122,880 and 1 ms in these, the second the same.
ROWS: Final = 491_520
TEMPORARY: Final = ".part"


class Written(NamedTuple):
    """A file in its place."""

    file: str
    bytes: int
    sha256: str


class Hashed:
    """A file for the Parquet writer that is hashed on its way.

    What the system refuses is kept in `error` and not raised: the writer would panic in its own clean-up. From then on
    what comes goes nowhere.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of it, or note why not."""
        if self.error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """The writer asks whether it could; it only ever appends, so the hash holds."""
        if (offset, whence) not in ((0, 1), (0, 2), (self.size, 0)):
            raise OSError(29, "a segment is written in one go")
        return self.size

    def flush(self) -> None:
        """Hand on what waits here, or note why not."""
        if self.error is None:
            try:
                self._file.flush()
            except OSError as error:
                self.error = error

    def sync(self) -> str:
        """Make it durable; its sha256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close it, whatever waits."""
        with suppress(OSError):
            self._file.close()


def write(
    directory: str | os.PathLike[str],
    file: str,
    table: Any,
    told: Mapping[str, str],
    *,
    level: int = 3,
) -> Written:
    """Write *table* (anything with an Arrow stream) as DIR/*file*; durable under that name when this returns.

    Args:
        directory: of the ledger.
        file: its path there.
        table: sorted rows.
        told: for the footer.
        level: of zstd.

    Raises:
        OSError: no room, say; nothing is left of it.
        ConntapError: arro3 is not installed.
    """
    write_parquet = writer()
    target = Path(directory) / file
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + TEMPORARY)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    out = Hashed(descriptor)
    try:
        try:
            write_parquet(table, out, key_value_metadata=dict(told), **settings(level))
        except Exception as error:
            raise out.error or ConntapError(f"{file}: {error}") from error
        if out.error is not None:
            raise out.error
        digest = out.sync()
        out.close()
        os.rename(beside, target)
        sync_folder(target.parent)
        sync_folder(target.parent.parent)
    except BaseException:
        out.close()
        with suppress(OSError):
            beside.unlink()
        raise
    return Written(file, out.size, digest)


def writer() -> Any:
    """arro3's Parquet writer."""
    try:
        from arro3.io import write_parquet
    except ImportError as error:
        raise ConntapError("a ledger needs arro3, which is not there", hint="pip install 'conntap[ledger]'") from error
    return write_parquet


#: Columns of numbers that hardly repeat: split into bytes, the upper ones compress away.
SPLIT: Final = (
    "start_ns", "duration_ns", "stop_after_ns", "in_addr", "in_port",
    "orig_packets", "orig_bytes", "reply_packets", "reply_bytes",
    "prior_orig_packets", "prior_orig_bytes", "prior_reply_packets", "prior_reply_bytes", "flow_id", "seq", "id",
)  # fmt: skip
#: Sorted within an address: only the steps are told.
STEPS: Final = ("out_port",)


def settings(level: int) -> dict[str, Any]:
    """How columns are written: what was measured to be smallest (docs/store.md); all others have a dictionary."""
    return {
        "compression": f"zstd({level})",
        "column_dictionary_enabled": dict.fromkeys((*SPLIT, *STEPS), False),
        "column_encoding": dict.fromkeys(SPLIT, "byte_stream_split") | dict.fromkeys(STEPS, "delta_binary_packed"),
        "max_row_group_size": ROWS,
        "writer_version": "parquet_2_0",
        "skip_arrow_metadata": True,
    }


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_name(cls: Class, at_ns: int, first_seq: int, last_seq: int, level: int = 0, part: int = 0) -> str:
    """Where a segment belongs: by day, class and numbers."""
    from datetime import datetime

    day = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d")
    merged = f"-m{level}" if level else ""
    several = f"-{part}" if part else ""
    return f"{FOLDER}/{day}/{cls}-{first_seq:012}-{last_seq:012}{merged}{several}.parquet"


def clean(directory: str | os.PathLike[str], known: set[str]) -> list[str]:
    """Remove what a crash left: files that were never finished, and segments that never got their line.

    Args:
        directory: of the ledger.
        known: files that have a line in the manifest, those that are gone too.

    Returns:
        What was removed.
    """
    root = Path(directory)
    removed: list[str] = []
    for path in sorted((root / FOLDER).glob("*/*")):
        name = path.relative_to(root).as_posix()
        ours = path.name.startswith(("flows-", "nat-")) and path.suffix in (".parquet", TEMPORARY)
        if ours and name not in known:
            path.unlink()
            removed.append(name)
    return removed
