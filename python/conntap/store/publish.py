"""From a full builder to a segment of the ledger: file first, then its line in the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conntap.store.manifest import SegmentEntry
from conntap.store.segment import file_name, write

if TYPE_CHECKING:
    from conntap import _core
    from conntap.store.manifest import Class, Writer

__all__ = ["Full", "publish"]

KINDS = ("flows", "interims", "bindings", "open")
BOUNDS = ("snat", "dnat", "min_start_ns", "max_stop_ns", "min_out_addr", "max_out_addr", "ipv6")


@dataclass
class Full:
    """Records that are to become a segment.

    Attributes:
        builder: has them; nobody appends to it any more.
        first_seq, last_seq: numbers that it accounts for.
        filtered: how many of these a filter refused.
        table: sorted already, where a try to write it failed.
    """

    builder: _core.SegmentBuilder
    first_seq: int
    last_seq: int
    filtered: int
    table: Any = None


def publish(
    directory: str, manifest: Writer, full: Full, *, cls: Class, at_ns: int, level: int, privacy: str = ""
) -> SegmentEntry:
    """Write the segment and its line; durable when this returns.

    Raises:
        OSError: no room, say; nothing is left of it, and it can be tried again.
    """
    stats, gaps = full.builder.stats, full.builder.gaps
    known: dict[str, Any] = {name: stats[name] for name in BOUNDS}
    entry = SegmentEntry(
        file="",
        cls=cls,
        rows=len(full.builder),
        first_seq=full.first_seq,
        last_seq=full.last_seq,
        numbered=stats["numbered"] or 0,
        filtered=full.filtered,
        without_nat=stats["without_nat"] or 0,
        kinds={name: count for name in KINDS if (count := stats[name])},
        written_ns=at_ns,
        **known,
    )
    if entry.rows:
        from dataclasses import replace

        if full.table is None:
            full.table = full.builder.finish()
        name = file_name(cls, entry.max_stop_ns or at_ns, full.first_seq, full.last_seq)
        if name in manifest.state.segments or name in manifest.state.gone:  # records that have no numbers
            name = file_name(cls, entry.max_stop_ns or at_ns, full.first_seq, full.last_seq, part=at_ns)
        told = {
            "conntap.ledger": manifest.state.id,
            "conntap.class": cls,
            "conntap.first_seq": str(full.first_seq),
            "conntap.last_seq": str(full.last_seq),
            "conntap.written_ns": str(at_ns),
            "conntap.privacy": privacy,
        }
        written = write(directory, name, full.table, told, level=level)
        entry = replace(entry, file=written.file, bytes=written.bytes, sha256=written.sha256)
    if entry.file or entry.last_seq or gaps:
        manifest.segment(entry, at_ns=at_ns, gaps=gaps)
    return entry
