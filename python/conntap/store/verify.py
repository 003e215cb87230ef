"""Counts a ledger again: the manifest's chain, the numbers of all records, every file's bytes and rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conntap.errors import UsageError
from conntap.store.manifest import NAME, Manifest, SegmentEntry, lines
from conntap.store.segment import FOLDER

if TYPE_CHECKING:
    import os

__all__ = ["Report", "verify"]


@dataclass
class Report:
    """What was found.

    Attributes:
        id: of the ledger.
        faults: what is wrong, each naming its file and line or its segment.
        notes: what is no fault: files that wait for their removal, say.
        segments, rows, bytes: of those that are whole.
        gaps: GAP records.
        last_seq: number of the last record.
        filtered: records that filters refused.
        missing: numbers that nothing accounts for.
    """

    id: str = ""
    faults: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    segments: int = 0
    rows: int = 0
    bytes: int = 0
    gaps: int = 0
    last_seq: int = 0
    filtered: int = 0
    missing: int = 0

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.faults


def verify(directory: str | os.PathLike[str], *, contents: bool = True) -> Report:
    """Look through a ledger, also while a logger writes it. What is damaged is named; the rest stays readable.

    Args:
        directory: of the ledger.
        contents: also read every segment and compare its bytes; otherwise only its size.

    Raises:
        UsageError: there is no ledger.
    """
    root = Path(directory)
    try:
        data = (root / NAME).read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{directory}: there is no ledger", hint="a ledger is a directory that conntap log wrote"
        ) from None
    except OSError as error:
        raise UsageError(f"{root / NAME}: {error.strerror}") from error
    state = Manifest.of_bytes(data)
    report = Report(id=state.id, gaps=len(state.gaps), last_seq=state.last_seq)
    report.faults += [f"{NAME}: {fault}" for fault in state.faults]
    if state.torn:
        report.notes.append(f"{NAME}: the last line is torn ({state.torn} bytes); the next logger cuts it off")
    count_numbers(data, report)
    database = connect() if contents else None
    try:
        for entry in state.segments.values():
            if fault := look_at(root, entry, contents=contents, database=database):
                report.faults.append(f"{entry.file}: {fault}")
            else:
                report.segments += 1
                report.rows += entry.rows
                report.bytes += entry.bytes
    finally:
        if database is not None:
            database.close()
    for path in sorted((root / FOLDER).glob("*/*")):
        file = path.relative_to(root).as_posix()
        if file in state.gone:
            report.notes.append(f"{file}: replaced or dropped, and not yet removed")
        elif file not in state.segments and not file.startswith(f"{FOLDER}/sorting/"):
            report.notes.append(f"{file}: it is not of this ledger, or was never finished")
    return report


def count_numbers(data: bytes, report: Report) -> None:
    """Do the numbers of records follow each other without a hole, through all that was ever published?"""
    covered = 0
    for line in lines(data):
        if line.told.get("type") != "segment" or "replaces" in line.told:
            continue
        entry = SegmentEntry.of_line(line.told)
        report.filtered += entry.filtered
        if not entry.first_seq:
            continue
        where = f"{NAME}: line {line.number}"
        if entry.first_seq > covered + 1:
            report.missing += entry.first_seq - covered - 1
            report.faults.append(f"{where}: records {covered + 1} to {entry.first_seq - 1} are in no segment")
        elif entry.first_seq <= covered:
            report.faults.append(f"{where}: records {entry.first_seq} to {min(covered, entry.last_seq)} are told twice")
        lack = entry.last_seq - entry.first_seq + 1 - entry.numbered - entry.filtered
        if lack > 0:
            report.missing += lack
            report.faults.append(f"{where}: {lack} of the records {entry.first_seq} to {entry.last_seq} never came")
        elif lack < 0:
            report.faults.append(
                f"{where}: {-lack} records more than the numbers {entry.first_seq} to {entry.last_seq}"
            )
        covered = max(covered, entry.last_seq)


def look_at(root: Path, entry: SegmentEntry, *, contents: bool, database: Any) -> str:
    """What is wrong with a segment's file; "" for nothing."""
    path = root / entry.file
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            return f"it has {size} bytes, the manifest tells {entry.bytes}"
        if not contents:
            return ""
        with path.open("rb") as file:
            digest = (
                hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hash_of(file)
            )
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if digest != entry.sha256:
        return "its bytes are not those that were written (sha256)"
    if database is None:
        return ""
    [(rows,)] = database.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchall()
    return f"it has {rows} rows, the manifest tells {entry.rows}" if rows != entry.rows else ""


def hash_of(file: Any) -> str:
    """The sha256 of a file, where Python has no call for it (3.10)."""
    found = hashlib.sha256()
    while part := file.read(1 << 20):
        found.update(part)
    return found.hexdigest()


def connect() -> Any:
    """A database to ask each file's footer for its rows; None without duckdb."""
    try:
        import duckdb
    except ImportError:
        return None
    return duckdb.connect(":memory:")
