"""`conntap ledger`: look after a ledger on disk: check it, merge it, drop what is too old, hold what must stay."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.options import Duration, Size

if TYPE_CHECKING:
    from collections.abc import Generator

    from conntap.cli.io import IO
    from conntap.store.hold import Hold
    from conntap.store.manifest import Writer

__all__ = ["ledger"]

DIRECTORY = click.argument("directory", metavar="DIR")
JSON = click.option("--json", "json_", is_flag=True, help="One JSON object.")
UTC = click.option("--utc", is_flag=True, help="Times in UTC, both those given and those shown.")


@click.group(epilog="Example: conntap ledger verify /var/lib/conntap && conntap ledger info /var/lib/conntap")
def ledger() -> None:
    """Check a ledger, merge it, drop what is too old, hold what must stay (docs/store.md)."""


@ledger.command()
@DIRECTORY
@click.option("--quick", is_flag=True, help="Compare only the sizes of files, not their contents.")
@JSON
@click.pass_obj
def verify(io: IO, directory: str, quick: bool, json_: bool) -> int:
    """Count a ledger again: the manifest's chain, the numbers of all records, every file. A logger may be writing it.

    Exit: 0 it is whole, 1 something is damaged or missing, 2 there is no ledger.
    """
    from dataclasses import asdict

    from conntap.store.verify import verify

    report = verify(directory, contents=not quick)
    if json_:
        tell(io, {"whole": report.whole, **asdict(report)})
        return 0 if report.whole else 1
    io.write("".join(f"damaged: {fault}\n" for fault in report.faults).encode())
    io.write("".join(f"note: {note}\n" for note in report.notes).encode())
    state = "whole" if report.whole else "damaged; whole are"
    found = f"{count(report.rows, 'row')} in {count(report.segments, 'segment')}, {report.bytes:,} bytes"
    io.write(f"{state}: {found}, {count(report.gaps, 'gap')}, last record {report.last_seq:,}\n".encode())
    if not report.whole:
        io.say("hint: what is named is lost unless a copy of it is put back; all else can be read")
    return 0 if report.whole else 1


@ledger.command()
@DIRECTORY
@JSON
@UTC
@click.pass_obj
def info(io: IO, directory: str, json_: bool, utc: bool) -> None:
    """Tell what a ledger has: from when to when, how much of what, who writes it."""
    from conntap.lock import holder
    from conntap.store.hold import holds
    from conntap.store.manifest import Manifest

    state = Manifest.read(directory)
    segments = list(state.segments.values())
    kinds = {
        name: total
        for name in ("flows", "interims", "bindings")
        if (total := sum(one.kinds.get(name, 0) for one in segments))
    }
    rows, size = sum(one.rows for one in segments), sum(one.bytes for one in segments)
    times = [one.max_stop_ns for one in segments if one.max_stop_ns is not None]
    told: dict[str, Any] = {
        "id": state.id,
        "began_ns": state.began_ns,
        "until_ns": max(times, default=None),
        "rows": rows,
        "kinds": kinds,
        "bytes": size,
        "segments": len(segments),
        "levels": {str(level): sum(one.level == level for one in segments) for level in (0, 1, 2)},
        "translations_only": sum(one.cls == "nat" for one in segments),
        "gaps": len(state.gaps),
        "lost": sum(gap["lost"] or 0 for gap in state.gaps),
        "last_seq": state.last_seq,
        "holds": sorted(holds(directory)),
        "writer": holder(directory),
    }
    if json_:
        tell(io, {key: value for key, value in told.items() if value is not None})
        return
    levels = told["levels"]
    lines = [
        ("ledger", state.id),
        ("began", moment(told["began_ns"], utc=utc)),
        ("newest", moment(told["until_ns"], utc=utc)),
        ("rows", f"{rows:,}" + (f" ({listed(kinds)})" if kinds else "")),
        ("bytes", f"{size:,}" + (f" ({size / rows:.1f} a row)" if rows else "")),
        ("segments", f"{len(segments):,} ({levels['0']} as written, {levels['1']} hours, {levels['2']} days)"),
        ("gaps", f"{len(state.gaps):,} ({count(told['lost'], 'event')} known to be lost)"),
        ("last record", f"{state.last_seq:,}"),
        ("holds", ", ".join(told["holds"]) or "none"),
        ("writer", f"process {told['writer']}" if told["writer"] else "none"),
    ]
    io.write("".join(f"{name + ':':<13}{value}\n" for name, value in lines).encode())


@ledger.command()
@DIRECTORY
@JSON
@click.pass_obj
def compact(io: IO, directory: str, json_: bool) -> None:
    """Merge the small segments of past hours and days, as the logger does by itself. No logger may be running."""
    from conntap import _core
    from conntap.store.compact import compact, remove_gone

    with writing(directory) as manifest:
        made = compact(directory, manifest, now_ns=_core.now_ns())
        removed = remove_gone(directory, manifest, now_ns=_core.now_ns())
    merged = sum(len(one.replaces) for one in made)
    if json_:
        tell(io, {"merged": merged, "made": [one.file for one in made], "removed": removed})
    else:
        io.write(
            f"merged {count(merged, 'segment')} into {len(made):,}; removed {count(removed, 'old file')}\n".encode()
        )


@ledger.command()
@DIRECTORY
@click.option("--flows", type=Duration(), help="Drop connections that ended so long ago.")
@click.option("--interims", type=Duration(), help="Drop what was told of connections while they went on.")
@click.option("--nat", type=Duration(), help="Drop translations, also those left of connections.")
@click.option("--gaps", type=Duration(), help="Drop notes of gaps.")
@click.option("--max-bytes", type=Size(), help="Of all together; the oldest go first.")
@click.option("--dry-run", is_flag=True, help="Only tell which segments this concerns.")
@JSON
@click.pass_obj
def retain(
    io: IO,
    directory: str,
    flows: float | None,
    interims: float | None,
    nat: float | None,
    gaps: float | None,
    max_bytes: int | None,
    dry_run: bool,
    json_: bool,
) -> None:
    """Drop what is too old or too much; what is under a legal hold stays. No logger may be running."""
    from conntap import _core
    from conntap.config.model import Limit, RetentionConfig
    from conntap.store.compact import remove_gone
    from conntap.store.manifest import Manifest
    from conntap.store.retention import plan, retain

    if all(limit is None for limit in (flows, interims, nat, gaps, max_bytes)):
        raise click.UsageError("say what is too old: --flows 90d, --nat 26w, --max-bytes 100G")
    limits = (Limit(age_seconds=age) for age in (flows, interims, nat, gaps))
    wanted = RetentionConfig(*limits, max_bytes=max_bytes)
    now_ns = _core.now_ns()
    if dry_run:
        found = plan(Manifest.read(directory), wanted, now_ns=now_ns)
        rows = [{"file": one.segment.file, "over": list(one.over), "translations": one.translations} for one in found]
        if json_:
            tell(io, {"would_drop": rows})
        else:
            for one in found:
                stays = "; translations stay" if one.translations else ""
                io.write(f"{one.segment.file}: {', '.join(one.over)} too old or too much{stays}\n".encode())
            io.say(f"{count(len(found), 'segment')}; nothing was changed, and holds were not looked at")
        return
    with writing(directory) as manifest:
        done = retain(directory, manifest, wanted, now_ns=now_ns)
        remove_gone(directory, manifest, now_ns=now_ns)
    if json_:
        told = {"files": done.files, "made": [one.file for one in done.made], "bytes": done.bytes, "gaps": done.gaps}
        tell(io, {**told, "holds": sorted(done.holds)})
        return
    kept = f"; held back by {', '.join(sorted(done.holds))}" if done.holds else ""
    io.write(
        f"dropped {count(len(done.files), 'segment')} and {count(done.gaps, 'gap')}, wrote {len(done.made):,} anew, "
        f"{done.bytes:,} bytes free{kept}\n".encode()
    )


@ledger.group()
def hold() -> None:
    """Keep records though they are too old. A logger may be running."""


@hold.command("list")
@DIRECTORY
@JSON
@UTC
@click.pass_obj
def list_(io: IO, directory: str, json_: bool, utc: bool) -> None:
    """Show the holds."""
    from dataclasses import asdict

    from conntap import _core
    from conntap.store.hold import active, holds
    from conntap.store.manifest import Manifest

    Manifest.read(directory)
    found = holds(directory)
    now = {one.id for one in active(found, _core.now_ns())}
    if json_:
        tell(io, {"holds": [{**asdict(one), "active": one.id in now} for one in found.values()]})
        return
    for one in found.values():
        io.write(f"{one.id}: {words(one, utc=utc)}{'' if one.id in now else '; expired'}\n".encode())
    io.say(count(len(found), "hold"))


@hold.command()
@DIRECTORY
@click.option("--id", "id_", required=True, metavar="ID", help="Names the hold.")
@click.option("--case", required=True, help="Why: the number of a case.")
@click.option("--where", default="", metavar="FILTER", help="Which records (default: all).")
@click.option("--from", "since", metavar="TIME", help="Only connections that lived after this.")
@click.option("--to", "until", metavar="TIME", help="Only connections that lived before this.")
@click.option("--expires", metavar="TIME", help="When it ends by itself (+90d; default: when it is released).")
@UTC
@click.pass_obj
def add(
    io: IO,
    directory: str,
    id_: str,
    case: str,
    where: str,
    since: str | None,
    until: str | None,
    expires: str | None,
    utc: bool,
) -> None:
    """Set a hold; it holds from now on."""
    from conntap import _core
    from conntap.store.hold import Hold, add
    from conntap.store.manifest import Manifest
    from conntap.store.times import to_ns

    Manifest.read(directory)
    now_ns = _core.now_ns()
    from_ns, to, expires_ns = (
        None if text is None else to_ns(text, now_ns=now_ns, utc=utc) for text in (since, until, expires)
    )
    made = Hold(id_, case, where, from_ns, to, expires_ns, now_ns)
    add(directory, made)
    io.say(f"{id_}: {words(made, utc=utc)}")


@hold.command()
@DIRECTORY
@click.argument("id_", metavar="ID")
@click.pass_obj
def release(io: IO, directory: str, id_: str) -> None:
    """End a hold: what is too old goes with the next retention."""
    from conntap import _core
    from conntap.store.hold import release
    from conntap.store.manifest import Manifest

    Manifest.read(directory)
    release(directory, id_, at_ns=_core.now_ns())
    io.say(f"{id_}: released")


@contextmanager
def writing(directory: str) -> Generator[Writer]:
    """The manifest of a ledger that nobody else writes.

    Raises:
        UsageError: there is no ledger.
        ConntapError: a logger writes it.
    """
    from conntap import _core
    from conntap.errors import ConntapError
    from conntap.lock import Lock, holder
    from conntap.store.manifest import Manifest, Writer

    Manifest.read(directory)  # before a lock is put where no ledger is
    if (process := holder(directory)) is not None:
        raise ConntapError(
            f"{directory}: process {process} writes this ledger",
            hint="the logger merges and drops by itself; to do it by hand stop it first",
        )
    with Lock(directory):
        manifest = Writer(directory, at_ns=_core.now_ns(), make=False)
        try:
            yield manifest
        finally:
            manifest.close()


def tell(io: IO, told: dict[str, Any]) -> None:
    """One line of JSON."""
    io.write(f"{json.dumps(told, ensure_ascii=False, separators=(',', ':'))}\n".encode())


def count(number: int, word: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def listed(kinds: dict[str, int]) -> str:
    """`3 flows, 1 binding`."""
    return ", ".join(count(number, name.removesuffix("s")) for name, number in kinds.items())


def moment(ns: int | None, *, utc: bool) -> str:
    """A time, or that nobody wrote it down."""
    from conntap.store.times import show, zone_name

    return "not known" if ns is None else f"{show(ns, utc=utc)} {zone_name(ns, utc=utc)}"


def words(one: Hold, *, utc: bool) -> str:
    """A hold as people read it."""
    parts = [f"case {one.case}", one.where or "every record"]
    for name, ns in (("from", one.from_ns), ("to", one.to_ns), ("expires", one.expires_ns)):
        if ns is not None:
            parts.append(f"{name} {moment(ns, utc=utc)}")
    return ", ".join(parts)
