"""Makes few large segments of many small ones: hours, then days. Readers that began before are not disturbed.

Merged rows are written as a new segment whose line in the manifest replaces the old ones at once; their files are
removed after a grace, so that a question that has just read the manifest finds them. A day that is too large stays
in several parts.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conntap.errors import ConntapError
from conntap.store.manifest import SegmentEntry
from conntap.store.segment import FOLDER, file_name, write

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Sequence

    from conntap.store.manifest import Writer

__all__ = ["GRACE_NS", "ORDER", "compact", "due", "merge", "remove_gone", "rewrite"]

HOUR_NS: Final = 3_600 * 1_000_000_000
DAY_NS: Final = 24 * HOUR_NS
#: A file that was replaced stays so long for those who read it.
GRACE_NS: Final = 15 * 60 * 1_000_000_000
#: A merged segment has at most about so many rows: what sorting it takes stays bounded.
MOST_ROWS: Final = 40_000_000
#: What sorting may take of memory; the rest goes to disk beside the segments.
MEMORY: Final = "1GB"
THREADS: Final = 1

#: As `_core.SegmentBuilder` sorts: outside address, port, protocol, beginning; IPv4 first. Where no outside is told,
#: what was dialled stands in its place.
ORDER: Final = (
    "(coalesce(out_addr6, CASE WHEN out_addr IS NULL THEN dst_addr6 END) IS NOT NULL), "
    "coalesce(out_addr, CASE WHEN out_addr6 IS NULL THEN dst_addr END, 0), "
    "coalesce(out_addr6, CASE WHEN out_addr IS NULL THEN dst_addr6 END), "
    "coalesce(out_port, dst_port, 0), coalesce(l4proto, 0), coalesce(start_ns, 0)"
)


def due(segments: Iterable[SegmentEntry], now_ns: int) -> list[list[SegmentEntry]]:
    """What is to be merged now: the small ones of each past hour, and the hours of each past day."""
    groups: dict[tuple[str, int, int], list[SegmentEntry]] = {}
    for one in segments:
        end = one.max_stop_ns or one.written_ns
        for level, span in ((1, HOUR_NS), (2, DAY_NS)):
            # An hour is past when the segment that was open at its end is published, too.
            if one.level == level - 1 and end // span < (now_ns - HOUR_NS // 6) // span:
                groups.setdefault((one.cls, level, end // span), []).append(one)
    found: list[list[SegmentEntry]] = []
    for group in groups.values():
        part: list[SegmentEntry] = []
        for one in sorted(group, key=lambda one: (one.first_seq, one.written_ns)):
            if part and sum(known.rows for known in part) + one.rows > MOST_ROWS:
                found.append(part)
                part = []
            part.append(one)
        found.append(part)
    # One alone is merged already; a day of one hour would be written anew for nothing.
    return [part for part in found if len(part) > 1]


def compact(
    directory: str, manifest: Writer, *, now_ns: int, stop: threading.Event | None = None
) -> list[SegmentEntry]:
    """Merge all that is due.

    Args:
        directory: of the ledger; its lock is held.
        manifest: its manifest.
        now_ns: the time.
        stop: set it to end after the segment at work.

    Returns:
        The new segments.

    Raises:
        OSError: no room, say; what was merged before stays merged.
        ConntapError: duckdb is not installed, or a file is damaged.
    """
    made: list[SegmentEntry] = []
    while groups := due(list(manifest.state.segments.values()), now_ns):  # a logger publishes meanwhile
        for group in groups:
            if stop is not None and stop.is_set():
                return made
            made.append(merge(directory, manifest, group, level=max(one.level for one in group) + 1, now_ns=now_ns))
    return made


def merge(
    directory: str, manifest: Writer, segments: Sequence[SegmentEntry], *, level: int, now_ns: int
) -> SegmentEntry:
    """Make one segment of several.

    Raises:
        OSError: no room, say; nothing has changed.
        ConntapError: duckdb is not installed, or a file is damaged; nothing has changed.
    """
    made = rewrite(directory, manifest, segments, level=level, now_ns=now_ns)
    missing = sum(one.rows for one in segments) - made.rows
    if missing:
        with suppress(OSError):
            (Path(directory) / made.file).unlink()
        raise ConntapError(f"{segments[0].file} and others: {missing} rows fewer than the manifest tells: not merged")
    manifest.segment(replace(made, why="compaction"), at_ns=now_ns)
    return made


def rewrite(
    directory: str,
    manifest: Writer,
    segments: Sequence[SegmentEntry],
    *,
    level: int,
    now_ns: int,
    where: str = "true",
    cls: str = "",
    part: int = 0,
) -> SegmentEntry:
    """Write rows of segments as a new one. It counts when the caller writes its line.

    Args:
        directory: of the ledger.
        manifest: its manifest.
        segments: of one class.
        level: of the new one.
        now_ns: the time.
        where: which rows, as SQL.
        cls: "nat" makes translations of flows.
        part: tells it from another one of the same numbers.

    Raises:
        OSError, ConntapError: nothing is left of it.
    """
    from conntap import _core

    kind = "nat" if cls == "nat" else segments[0].cls
    folder = Path(directory) / FOLDER / "sorting"
    connection = database(folder)
    try:
        listed = ", ".join("'" + str(Path(directory) / one.file).replace("'", "''") + "'" for one in segments)
        wanted = "*"
        if kind == "nat":
            wanted = ", ".join(translation(name) for name in _core.SegmentBuilder.names(nat_only=True))
            where = f"({where}) AND nat <> 0"
        source = f"(SELECT {wanted} FROM read_parquet([{listed}], union_by_name = true) WHERE {where})"
        [stats] = connection.execute(STATS.format(source=source)).fetchall()
        known: dict[str, Any] = dict(zip(("rows", *KINDS, *BOUNDS), stats))
        kinds = {name: known.pop(name) for name in KINDS}
        first = min((one.first_seq for one in segments if one.first_seq), default=0)
        last = max(one.last_seq for one in segments)
        entry = SegmentEntry(
            file="",
            cls=kind,
            level=level,
            first_seq=first,
            last_seq=last,
            written_ns=now_ns,
            replaces=tuple(one.file for one in segments),
            kinds={name: count for name, count in kinds.items() if count},
            **known,
        )
        if not entry.rows:
            return entry
        name = file_name(kind, entry.max_stop_ns or now_ns, first, last, level, part)
        while name in manifest.state.segments or name in manifest.state.gone:
            part += 1
            name = file_name(kind, entry.max_stop_ns or now_ns, first, last, level, part)
        told = {
            "conntap.ledger": manifest.state.id,
            "conntap.class": kind,
            "conntap.first_seq": str(first),
            "conntap.last_seq": str(last),
            "conntap.written_ns": str(now_ns),
        }
        rows = connection.sql(f"SELECT * FROM {source} ORDER BY {ORDER}")
        written = write(directory, name, rows, told)
        return replace(entry, file=written.file, bytes=written.bytes, sha256=written.sha256)
    except Exception as error:
        if isinstance(error, OSError | ConntapError):
            raise
        if "No space left" in str(error):
            raise OSError(28, "No space left on device") from error
        raise ConntapError(
            f"{segments[0].file} and others: {error}", hint="conntap ledger verify says what is damaged"
        ) from error
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def translation(name: str) -> str:
    """A column of a row of which the translation alone stays, as `_core.SegmentBuilder` tells it: no other party."""
    if name in ("dst_addr", "dst_addr6", "dst_port"):
        return f"CASE WHEN nat IN (2, 3) THEN {name} END AS {name}"
    if name in ("out_addr", "out_addr6", "out_port"):
        return f"CASE WHEN nat <> 2 THEN {name} END AS {name}"
    return name


KINDS = ("flows", "interims", "bindings")
BOUNDS = ("snat", "dnat", "min_start_ns", "max_stop_ns", "min_out_addr", "max_out_addr", "ipv6")
STATS = """
SELECT count(*), count(*) FILTER (kind = 0), count(*) FILTER (kind = 1), count(*) FILTER (kind = 2),
  count(*) FILTER (nat IN (1, 3)), count(*) FILTER (nat IN (2, 3)),
  min(least(start_ns, start_ns + coalesce(duration_ns, 0))),
  max(greatest(start_ns, start_ns + coalesce(duration_ns, 0))),
  min(out_addr), max(out_addr),
  coalesce(bool_or(coalesce(out_addr6, CASE WHEN out_addr IS NULL THEN dst_addr6 END) IS NOT NULL), false)
FROM {source}"""


def database(folder: Path) -> Any:
    """A database that sorts with little memory, and on disk beside the segments."""
    try:
        import duckdb
    except ImportError as error:
        raise ConntapError(
            "merging needs the duckdb package, which is not there", hint="pip install 'conntap[ledger]'"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": str(THREADS),
        "memory_limit": MEMORY,
        "temp_directory": os.fspath(folder),
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "preserve_insertion_order": "true",
    }
    return duckdb.connect(":memory:", config=config)


def remove_gone(directory: str, manifest: Writer, *, now_ns: int, grace_ns: int = GRACE_NS) -> int:
    """Remove files that count no more and that nobody reads any more; how many there were.

    Raises:
        OSError: one cannot be removed.
    """
    removed = 0
    for file, since_ns in list(manifest.state.gone.items()):
        path = Path(directory) / file
        if now_ns - since_ns >= grace_ns and path.exists():
            path.unlink()
            removed += 1
            with suppress(OSError):
                path.parent.rmdir()  # a day without segments
    return removed
