"""Ledgers for tests: records made up one by one, or by the engine from captures, as a directory of segments."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from arro3.io import write_parquet

from conntap import _core
from conntap.sinks.parquet import ParquetSink
from conntap.store.manifest import Manifest, SegmentEntry, Writer
from conntap.store.overlay import Held

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SECOND = 1_000_000_000
#: 2026-11-02 14:00:00 UTC.
START = 1_793_628_000 * SECOND

NEW, DESTROY = (0x0100, 0x600), (0x0102, 0)
SNAT, DNAT, BOTH = 0x10 | 0x80, 0x20 | 0x100, 0x80 | 0x100
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58


def attribute(number: int, *parts: bytes, nested: bool = False) -> bytes:
    body = b"".join(parts)
    head = struct.pack("<HH", 4 + len(body), number | (0x8000 if nested else 0))
    return head + body + bytes(-len(body) % 4)


@dataclass
class Connection:
    """One connection: `inside` dials `dialled`, the world sees `outside`, `server` answers; all (address, port)."""

    inside: tuple[str, int]
    dialled: tuple[str, int]
    outside: tuple[str, int] | None = None
    server: tuple[str, int] | None = None
    proto: int = TCP
    start: float = 0
    stop: float | None = 10
    id: int = 7
    extra: bytes = b""
    packets: int = 5
    bytes: int = 500
    made: list[bytes] = field(default_factory=list[bytes])

    def tuple_(self, number: int, source: tuple[str, int], target: tuple[str, int], *, answer: bool) -> bytes:
        src, dst = ip_address(source[0]), ip_address(target[0])
        ips = (1, 2) if src.version == 4 else (3, 4)
        protocol = attribute(1, bytes([self.proto]))
        if self.proto in (ICMP, ICMPV6):
            ident = target[1] if answer else source[1]
            request, reply = ((8, 0), (0, 0)) if self.proto == ICMP else ((128, 0), (129, 0))
            at = 4 if self.proto == ICMP else 7
            kind, code = reply if answer else request
            protocol += (
                attribute(at, struct.pack(">H", ident))
                + attribute(at + 1, bytes([kind]))
                + attribute(at + 2, bytes([code]))
            )
        else:
            protocol += attribute(2, struct.pack(">H", source[1])) + attribute(3, struct.pack(">H", target[1]))
        return attribute(
            number,
            attribute(1, attribute(ips[0], src.packed), attribute(ips[1], dst.packed), nested=True),
            attribute(2, protocol, nested=True),
            nested=True,
        )

    def message(self, *, end: bool) -> tuple[bytes, int]:
        """The kernel's event, and when it was received."""
        outside, server = self.outside or self.inside, self.server or self.dialled
        status = 0x2 | 0x4 | 0x8 | BOTH | (SNAT if self.outside else 0) | (DNAT if self.server else 0)
        start = START + round(self.start * SECOND)
        stop = START + round((self.stop or 0) * SECOND)
        times = [attribute(1, struct.pack(">Q", start))] + ([attribute(2, struct.pack(">Q", stop))] if end else [])
        body = self.tuple_(1, self.inside, self.dialled, answer=False)
        body += self.tuple_(2, server, outside, answer=True)
        body += attribute(3, struct.pack(">I", status)) + attribute(12, struct.pack(">I", self.id))
        body += attribute(20, *times, nested=True) + self.extra
        if end:
            for number in (9, 10):
                counters = attribute(1, struct.pack(">Q", self.packets)), attribute(2, struct.pack(">Q", self.bytes))
                body += attribute(number, *counters, nested=True)
        family = 2 if ip_address(self.inside[0]).version == 4 else 10
        kind, flags = DESTROY if end else NEW
        message = struct.pack("<IHHIIBBH", 20 + len(body), kind, flags, 0, 0, family, 0, 0) + body
        return message, stop if end else start

    def events(self) -> list[tuple[bytes, int]]:
        return [self.message(end=False), *([self.message(end=True)] if self.stop is not None else [])]


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def records_of(
    connections: Iterable[Connection] = (), *, batches: Iterable[_core.Batch] = (), bindings: str = "none"
) -> tuple[list[_core.Batch], list[_core.Batch]]:
    """Records, and the flows that are still open, of connections and of batches (gaps, say) behind them."""
    ledger = _core.Ledger(bindings=bindings)
    events = sorted((event for one in connections for event in one.events()), key=lambda event: event[1])
    fed = [ledger.feed(batch) for batch in ([_core.Batch.of(events)] if events else []) + list(batches)]
    opened, _ = ledger.open()
    return [batch for batch in fed if len(batch)], [opened] if len(opened) else []


def write_ledger(
    directory: Path,
    records: Iterable[_core.Batch],
    *,
    began: int | None = START - 3600 * SECOND,
    nat_only: bool = False,
    name: str = "segments/2026-11-02/a.parquet",
) -> Path:
    """Write records as one more segment of a ledger."""
    builder = _core.SegmentBuilder(nat_only=nat_only)
    for batch in records:
        builder.append(batch)
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    stats, rows, gaps = builder.stats, len(builder), builder.gaps
    manifest = Writer(directory, at_ns=began or 0)
    try:
        if began is not None and manifest.state.began_ns is None:
            manifest.append({"type": "session", "event": "start", "at_ns": began})
        entry = SegmentEntry("", last_seq=stats["last_seq"])
        if rows:
            write_parquet(builder.finish(), str(path))
            told = {key: value for key, value in stats.items() if key in {one.name for one in fields(SegmentEntry)}}
            entry = SegmentEntry(name, cls="nat" if nat_only else "flows", rows=rows, bytes=path.stat().st_size, **told)
        manifest.segment(entry, at_ns=START, gaps=gaps)
    finally:
        manifest.close()
    return directory


def held(
    opened: Iterable[_core.Batch] = (), records: Iterable[_core.Batch] = (), *, until: int = START + 3600 * SECOND
) -> Any:
    """What stands for a logger's journal."""
    rows, flows = list(records), list(opened)
    return lambda: Held(rows, flows, until)


def numbers(directory: Path) -> list[int]:
    """Numbers of all records of a ledger that was written with keep_ids, segment by segment, and of its gaps."""
    import duckdb

    state = Manifest.read(directory)
    found = [gap["seq"] for gap in state.gaps]
    with duckdb.connect(":memory:") as connection:
        for file in state.segments:
            found += [
                seq
                for (seq,) in connection.execute("SELECT seq FROM read_parquet(?)", [str(directory / file)]).fetchall()
            ]
    return found


def rows(directory: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    """Rows of all segments that count, in the order of the files."""
    import duckdb

    files = [str(directory / file) for file in Manifest.read(directory).segments]
    with duckdb.connect(":memory:") as connection:
        return (
            connection.execute(f"SELECT {columns} FROM read_parquet($1, union_by_name = true)", [files]).fetchall()
            if files
            else []
        )


def publish(directory: Path, *parts: Iterable[_core.Batch], **options: Any) -> None:
    """Write a ledger as the logger does, one segment for each part; numbers go on from part to part."""
    sink = ParquetSink("parquet:", str(directory), keep_ids=True, compact=False, **options)
    sink.open()
    for part in parts:
        for batch in part:
            sink.write(batch)
        sink.flush()
    sink.close()
