"""`conntap who`: who had an address and port, then.

Exit: 0 found and certain, 1 nobody, 2 wrong usage, 3 the ledger cannot be certain, 4 it could not be asked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.asking import ledger_options, note_question, open_ledger

if TYPE_CHECKING:
    from conntap.cli.io import IO
    from conntap.store.answer import Answer, Candidate
    from conntap.store.catalog import Gap

__all__ = ["who"]

FOUND, NOBODY, UNCERTAIN, FAILED = 0, 1, 3, 4

EPILOG = (
    "Times: 14:03:11 (today), -2h, '2026-11-02 14:03:11', 2026-11-02T14:03:11Z, epoch seconds. "
    "Exit: 0 found and certain, 1 nobody, 3 cannot be certain, 4 the ledger could not be asked. "
    "Example: conntap who 203.0.113.7:50510 tcp --at '2026-11-02 14:03:11'"
)


@click.command(epilog=EPILOG)
@click.argument("place", metavar="ADDRESS[:PORT]")
@click.argument("protocol", required=False, metavar="[PROTO]")
@click.option("--at", metavar="TIME", help="At this time.")
@click.option("--between", nargs=2, metavar="TIME TIME", help="At any time between these.")
@click.option("--skew", default="1s", show_default=True, metavar="TIME", help="How far the clocks may differ.")
@click.option("--json", "json_", is_flag=True, help="As one JSON object.")
@ledger_options()
@click.pass_obj
def who(
    io: IO,
    place: str,
    protocol: str | None,
    at: str | None,
    between: tuple[str, str] | None,
    skew: str,
    json_: bool,
    directory: str | None,
    case: str | None,
    utc: bool,
) -> int:
    """Tell who had ADDRESS (and PORT) at a time: the host inside, its binding and flow, and how sure that is.

    Of ICMP the identifier stands for the port.
    """
    from conntap._core import now_ns
    from conntap.errors import ConntapError, UsageError
    from conntap.store.times import to_ns

    if at is not None and between is None:
        first, last = at, at
    elif at is None and between is not None:
        first, last = between
    else:
        raise click.UsageError("say when: --at TIME or --between TIME TIME")
    now = now_ns()
    times = (to_ns(first, now_ns=now, utc=utc), to_ns(last, now_ns=now, utc=utc))
    address, port = split(place)
    try:
        ledger = open_ledger(directory)
        answer = ledger.who(address, port, protocol, between=times, skew=skew)
    except UsageError:
        raise
    except ConntapError as error:
        error.exit_code = FAILED  # status 1 says that there is nobody
        raise
    except OSError as error:
        failed = ConntapError(f"{error.filename or 'the ledger'}: {error.strerror or error}")
        failed.exit_code = FAILED
        raise failed from error
    asked: dict[str, Any] = {
        "command": "who",
        "address": answer.address,
        "port": answer.port,
        "protocol": answer.protocol,
        "from_ns": answer.from_ns,
        "to_ns": answer.to_ns,
        "skew_ns": answer.skew_ns,
    }
    note_question(io, ledger, asked, case=case, found=len(answer.candidates))
    if json_:
        io.write(json.dumps(answer.as_dict(), separators=(",", ":")).encode() + b"\n")
    else:
        show(io, answer, utc=utc)
    if answer.candidates:
        return FOUND if answer.certain else UNCERTAIN
    return NOBODY if answer.certain else UNCERTAIN


def split(place: str) -> tuple[str, int | None]:
    """Address and port of `203.0.113.7:41234`, `[2001:db8::1]:443`, or an address alone."""
    address, port = place, ""
    if place.startswith("["):
        address, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise click.UsageError(f"'{place}' is no address: say [2001:db8::1]:443")
        port = rest[1:]
    elif place.count(":") == 1:
        address, _, port = place.partition(":")
    if not port:
        return address, None
    if not port.isdecimal() or int(port) > 65_535:
        raise click.UsageError(f"'{port}' is no port")
    return address, int(port)


def show(io: IO, answer: Answer, *, utc: bool) -> None:
    """Candidates, one a line, then how sure the ledger is."""
    from conntap.store.times import show as time_of
    from conntap.store.times import zone_name

    when = time_of(answer.from_ns, utc=utc)
    if answer.to_ns != answer.from_ns:
        when += f" {dash(io)} {time_of(answer.to_ns, utc=utc)}"
    io.say(f"times in {zone_name(answer.from_ns, utc=utc)}; asked for {when}, clocks within {answer.skew_ns / 1e9:g} s")
    lines = [words_of(io, found, utc=utc) for found in answer.candidates]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))] if lines else []
    for line in lines:
        text = "   ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        io.write(f"{text}\n".encode())
    for path in answer.damaged:
        io.say(f"warning: {path} cannot be read")
    for gap in answer.gaps:
        io.write(f"gap: {gap_text(io, gap, utc=utc)}\n".encode())
    io.write(f"{verdict(io, answer, utc=utc)}\n".encode())


def dash(io: IO) -> str:
    return "-" if io.ascii else "–"


def words_of(io: IO, found: Candidate, *, utc: bool) -> list[str]:
    """The cells of a candidate's line: who, as what, when, to where, what else."""
    from conntap.store.times import show as time_of

    arrow = "=>" if io.ascii else "⇒"
    as_what = f"{arrow} {found.outside}" if found.host != found.outside else "no NAT"
    if found.role == "dialled":
        as_what = f"dialled as {found.outside}"
    start = "?" if found.start_ns is None else time_of(found.start_ns, utc=utc)
    if found.start_from == "seen":
        start = f"before {start}"
    if found.end == "open":
        stop = "still open"
    elif found.stop_ns is None:
        stop = "end unknown"
    else:
        same_day = found.start_ns is not None and time_of(found.stop_ns, utc=utc)[:10] == start[-23:-13]
        stop = time_of(found.stop_ns, utc=utc, date=not same_day)
        if found.end == "unknown" and found.stop_after_ns is not None:
            stop = f"end unknown, between {time_of(found.stop_after_ns, utc=utc, date=not same_day)} and {stop}"
    other = "with" if found.role == "dialled" else "to"
    where = f"{found.protocol} {other} {found.remote}" if found.remote else f"{found.protocol} (destination not kept)"
    more = [f"zone {found.zone}"] if found.zone else []
    if helper := found.fields.get("helper"):
        more.append(f"helper {helper}")
    if found.exporter:
        more.append(f"from {found.exporter}")
    if found.why_not:
        more.append(f"perhaps: {found.why_not}")
    return [str(found.host), as_what, f"{start} {dash(io)} {stop}", where, ", ".join(more)]


def gap_text(io: IO, gap: Gap, *, utc: bool) -> str:
    """What is not known, in words."""
    from conntap.store.times import show as time_of

    if gap.cause == "before":
        return f"the ledger begins at {time_of(gap.before_ns, utc=utc)}"
    if gap.cause == "behind":
        return f"the ledger ends at {time_of(gap.after_ns, utc=utc)}"
    lost = "" if gap.lost is None else f", {gap.lost:,} events lost"
    return f"{gap.cause}, {time_of(gap.after_ns, utc=utc)} {dash(io)} {time_of(gap.before_ns, utc=utc)}{lost}"


def verdict(io: IO, answer: Answer, *, utc: bool) -> str:
    """The last line: how sure, and why."""
    from conntap.store.times import show as time_of

    nobody = "" if answer.candidates else "nobody is known; "
    if answer.gaps:
        return f"{nobody}not certain: a gap overlaps the time asked for"
    if not answer.open_known:
        why = "its privacy settings are not known" if answer.withheld else "no journal beside it"
        return f"{nobody}not certain: connections that were open when this ledger ends are not known ({why})"
    if answer.certainty == "inside withheld":
        return f"{nobody}not certain: {answer.withheld}"
    if answer.certainty == "end unknown":
        return "not certain: nobody saw where a connection ended"
    if answer.ambiguous:
        return (
            f"not certain: {len(answer.hosts)} hosts had it at that time, towards different destinations; "
            "ask the other side which address it saw"
        )
    begin, end = answer.known or (None, None)
    stretch = [f"{word} {time_of(ns, utc=utc)}" for word, ns in (("from", begin), ("to", end)) if ns is not None]
    open_ = " (still open)" if answer.certainty == "still open" else ""
    known = f" (no gap {' '.join(stretch)})" if stretch else ""
    head = f"certain{open_}" if answer.candidates else "nobody, and that is certain"
    return f"{head}: the ledger is complete for that time{known}"
