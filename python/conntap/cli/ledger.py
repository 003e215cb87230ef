"""`conntap ledger`: look after a ledger on disk: count it again, merge, drop what is too old, keep what is under a hold."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap.cli.io import IO
    from conntap.config import RetentionConfig
    from conntap.store.manifest import Writer

__all__ = ["ledger"]

json_option = click.option("--json", "json_", is_flag=True, help="Print one JSON object.")
directory_argument = click.argument("directory", metavar="DIR")


@click.group(epilog="Example: conntap ledger verify /var/lib/conntap")
def ledger() -> None:
    """Look after a ledger that `conntap log` writes (docs/store.md).

    Exit: 0 done, 1 something is damaged or failed, 2 wrong usage.
    """


@ledger.command()
@directory_argument
@click.option("--quick", is_flag=True, help="Look at sizes only, not at every byte.")
@json_option
@click.pass_obj
def verify(io: IO, directory: str, quick: bool, json_: bool) -> int:
    """Count everything again, and name what is damaged or missing.

    Also while a logger writes.

    Exit: 0 all is there, 1 something is not.
    """
    from conntap.store.verify import verify

    report = verify(directory, contents=not quick)
    if json_:
        write_json(io, {"whole": report.whole, **vars(report)})
    else:
        for fault in report.faults:
            tell(io, fault)
        for note in report.notes:
            io.say(f"note: {note}")
        said = "all is there" if report.whole else f"{len(report.faults)} faults"
        tell(
            io,
            f"{said}: {report.segments} segments, {report.rows} records, {report.gaps} gaps, {report.filtered} refused by "
            f"filters, last number {report.last_seq}",
        )
    return 0 if report.whole else 1


@ledger.command()
@directory_argument
@json_option
@click.pass_obj
def info(io: IO, directory: str, json_: bool) -> None:
    """Show what it has: records, bytes, times."""
    from conntap._core import now_ns
    from conntap.store.info import info
    from conntap.units import size_text

    found = info(directory, now_ns=now_ns())
    if json_:
        write_json(io, found)
        return
    tell(io, f"ledger {found['id']}, since {when(found['began_ns'])}, last number {found['last_seq']}")
    for name, told in found["classes"].items():
        kinds = ", ".join(f"{count} {kind}" for kind, count in told["kinds"].items())
        tell(
            io,
            f"{name}: {told['rows']} records ({kinds}) in {told['segments']} segments, {size_text(told['bytes'])}, "
            f"{told['bytes_a_row']} bytes a record, {when(told['min_start_ns'])} to {when(told['max_stop_ns'])}",
        )
    tell(io, f"gaps: {found['gaps']}; holds: {', '.join(found['holds']) or 'none'}")
    tell(io, f"written now by process {found['written_by_pid']}" if found["written_by_pid"] else "nobody writes it now")


@ledger.command()
@directory_argument
@json_option
@click.pass_obj
def compact(io: IO, directory: str, json_: bool) -> None:
    """Merge small segments of past hours and days.

    A running logger does this itself.
    """
    from conntap._core import now_ns
    from conntap.store.compact import compact, remove_gone

    with writer(directory) as manifest:
        made = compact(directory, manifest, now_ns=now_ns())
        removed = remove_gone(directory, manifest, now_ns=now_ns())
    merged = sum(len(entry.replaces) for entry in made)
    if json_:
        write_json(io, {"merged": merged, "made": [entry.file for entry in made], "removed": removed})
    else:
        tell(io, f"merged {merged} segments into {len(made)}; {removed} old files removed")


@ledger.command()
@directory_argument
@click.option(
    "--keep", multiple=True, metavar="KIND=HOW-LONG", help="flows=30d, interims=7d, nat=180d, gaps=1y, max_bytes=200GB."
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be dropped; holds are not looked at.")
@json_option
@click.pass_obj
def retain(io: IO, directory: str, keep: tuple[str, ...], dry_run: bool, json_: bool) -> None:
    """Drop what is older or more than is to be kept; what is under a hold stays.

    A running logger does this itself, by its settings.
    """
    from conntap._core import now_ns
    from conntap.store.compact import remove_gone
    from conntap.store.manifest import Manifest
    from conntap.store.retention import plan, retain

    wanted = read_limits(keep)
    if dry_run:
        plans = plan(Manifest.read(directory), wanted, now_ns=now_ns())
        if json_:
            write_json(
                io,
                {
                    "plans": [
                        {"file": one.segment.file, "over": one.over, "nat_stays": one.translations} for one in plans
                    ]
                },
            )
        for one in plans if not json_ else ():
            stays = "; their NAT stays" if one.translations else ""
            tell(io, f"{one.segment.file}: {', '.join(one.over)} are over{stays}")
        return
    with writer(directory) as manifest:
        done = retain(directory, manifest, wanted, now_ns=now_ns())
        remove_gone(directory, manifest, now_ns=now_ns())
    if json_:
        write_json(
            io,
            {
                "dropped": done.files, "made": [entry.file for entry in done.made], "bytes": done.bytes,
                "gaps": done.gaps, "holds": sorted(done.holds),
            },
        )  # fmt: skip
    else:
        held = f"; kept something: {', '.join(sorted(done.holds))}" if done.holds else ""
        tell(io, f"dropped {len(done.files)} segments, {len(done.made)} took their place{held}")


@ledger.group()
def hold() -> None:
    """Keep records whatever their age: for a case, until it is released."""


@hold.command("add")
@directory_argument
@click.argument("id", metavar="ID")
@click.option("--case", required=True, help="Why: the number of the case.")
@click.option("--where", default="", metavar="FILTER", help="Which records (docs/filter.md); all when it is not given.")
@click.option("--from", "from_", metavar="TIME", help="Connections that lived since: '2026-11-02 14:00', '-30d'.")
@click.option("--to", metavar="TIME", help="… and until.")
@click.option("--expires", metavar="TIME", help="When it ends by itself.")
@click.pass_obj
def add(
    io: IO, directory: str, id: str, case: str, where: str, from_: str | None, to: str | None, expires: str | None
) -> None:
    """Set a hold, also while a logger writes."""
    from conntap._core import now_ns
    from conntap.store.hold import Hold, add
    from conntap.store.manifest import Manifest
    from conntap.store.times import to_ns

    Manifest.read(directory)  # says that there is no ledger
    now = now_ns()
    low, high, end = (None if text is None else to_ns(text, now_ns=now) for text in (from_, to, expires))
    reaching(lambda: add(directory, Hold(id, case, where, low, high, end, now)), directory)
    io.say(f"hold '{id}' is set")


@hold.command("list")
@directory_argument
@json_option
@click.pass_obj
def list_(io: IO, directory: str, json_: bool) -> None:
    """Show the holds that are set."""
    from dataclasses import asdict

    from conntap._core import now_ns
    from conntap.store.hold import holds

    found, now = holds(directory).values(), now_ns()
    if json_:
        write_json(io, {"holds": [asdict(one) for one in found]})
        return
    for one in found:
        span = f"{when(one.from_ns)} to {when(one.to_ns)}"
        over = " (expired)" if one.expires_ns is not None and one.expires_ns <= now else ""
        tell(
            io, f"{one.id}: case {one.case}, {one.where or 'all records'}, {span}, expires {when(one.expires_ns)}{over}"
        )


@hold.command()
@directory_argument
@click.argument("id", metavar="ID")
@click.pass_obj
def release(io: IO, directory: str, id: str) -> None:
    """End a hold: what it kept is dropped with the next look at what is too old."""
    from conntap._core import now_ns
    from conntap.store.hold import release

    reaching(lambda: release(directory, id, at_ns=now_ns()), directory)
    io.say(f"hold '{id}' is released")


@contextmanager
def writer(directory: str) -> Iterator[Writer]:
    """The manifest, to be written; refused while a logger has it."""
    from conntap._core import now_ns
    from conntap.errors import ConntapError
    from conntap.store.lock import Lock
    from conntap.store.manifest import Manifest, Writer

    Manifest.read(directory)  # says that there is no ledger, before a lock is made in its place
    try:
        with Lock(directory):
            manifest = Writer(directory, at_ns=now_ns(), make=False)
            try:
                yield manifest
            finally:
                manifest.close()
    except OSError as error:
        raise ConntapError(
            f"{directory}: {error.strerror}", hint="what was done before is done; it can be called again"
        ) from error


def reaching(act: Callable[[], None], directory: str) -> None:
    """Write to a ledger; what the system refuses with is told."""
    from conntap.errors import ConntapError

    try:
        act()
    except OSError as error:
        raise ConntapError(f"{directory}: {error.strerror}", hint="ask as the user that logs, or with sudo") from error


def read_limits(keep: tuple[str, ...]) -> RetentionConfig:
    """Limits as a command line says them."""
    from conntap.config.options import from_options
    from conntap.errors import UsageError

    if not keep:
        raise UsageError("nothing says what to keep", hint="--keep flows=30d --keep nat=180d")
    return from_options(to=["parquet:/ledger"], keep=keep).retention


def when(ns: int | None) -> str:
    """A time for people."""
    from conntap.store.times import show

    return "-" if ns is None else show(ns)


def tell(io: IO, line: str) -> None:
    io.write(f"{line}\n".encode())


def write_json(io: IO, told: dict[str, Any]) -> None:
    import json

    io.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
