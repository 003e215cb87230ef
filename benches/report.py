"""Turns figures into docs/benchmarks.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches import ledger_report, packets_report
from benches.markdown import spread_text, table_lines, yes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["render"]

Figures = dict[str, Any]

HEAD = """\
# Benchmarks

Written by `make bench`{quick}; do not edit. Ratios are medians over pairs of neighbouring runs, least–greatest in
brackets; they carry over to other machines, times do not. How to read and repeat them:
[performance.md](performance.md).
"""


def render(figures: Figures) -> str:
    """Return the page. Sections that were not measured are left out."""
    lines = [HEAD.format(quick=" in its quick form (`python -m benches --quick`)" if figures["quick"] else "")]
    lines += table_lines(("what", "which"), figures["machine"].items())
    lines += [f"- {note}" for note in figures["notes"]]
    lines += [
        "## What must be reached",
        "",
        *table_lines(("work", "must reach", "measured", "reached"), _goals(figures)),
    ]
    if "table" in figures:
        lines += _full_table(figures)
    if "events" in figures:
        lines += _events(figures)
    if "packets" in figures:
        lines += packets_report.section(figures["packets"])
    lines += ledger_report.sections(figures)
    if "start" in figures:
        lines += _start(figures["start"])
    if "core" in figures:
        lines += _core(figures["core"])
    return "\n".join(lines).rstrip() + "\n"


def _goals(figures: Figures) -> Iterator[Sequence[str]]:
    if "table" in figures:
        yield from _table_goals(figures["table"])
    if "events" in figures:
        yield from _event_goals(figures["events"].get("pinned") or figures["events"]["free"])
    if "packets" in figures:
        yield from packets_report.goals(figures["packets"])
    yield from ledger_report.goals(figures)
    if "audit" in figures:
        yield _audit_goal(figures["audit"])
    for case, wall in figures.get("doctor", {}).items():
        yield (
            f"`conntap doctor`, whole process: {case}",
            "≤ 300 ms",
            spread_text(wall, " ms", 0),
            yes(wall["median"] <= 300),
        )
    if "guard" in figures:
        yield from _guard_goals(figures["guard"])
    if "start" in figures:
        for name, most in (("conntap-conntrack -C", 40), ("conntap list", 60)):
            wall = figures["start"][name]["wall_ms"]
            yield (
                f"start: `{name}`, empty table",
                f"≤ {most} ms",
                spread_text(wall, " ms", 0),
                yes(wall["median"] <= most),
            )


def _audit_goal(audit: Figures) -> Sequence[str]:
    wall = audit["wall"]
    return (
        f"`conntap audit` of {audit['rules']:,} rules, whole process (reading {audit['reading_seconds']:.2f} s)",
        "≤ 2 s",
        f"{spread_text(wall, ' s')}, {audit['peak_kib'] / 1024:.0f} MiB",
        yes(wall["median"] <= 2),
    )


def _guard_goals(guard: Figures) -> Iterator[Sequence[str]]:
    for name, most, beside in (("idle", 1, ""), ("flood", 10, " beside {:,.0f} new flows/s")):
        found = guard[name]
        times = f"{found['p99_ms']:.2f} ms (p50 {found['p50_ms']:.2f}, most {found['max_ms']:.2f})"
        told = f"{times}, of {found['count']:,}, {found['lost']} lost, {found['peak_kib'] / 1024:.0f} MiB"
        work = "guard: from an expectation to its deletion, p99" + beside.format(found["flows_per_second"])
        yield work, f"≤ {most} ms", told, yes(found["p99_ms"] <= most)
    held = guard["hold"]
    rounds, came = f"{held['rounds']:,}", f"{held['friends']:,}, of these {held['sent_again']:,} by a packet sent again"
    yield f"guard --hold: strangers' packets in, of {rounds}", "0", str(held["strangers"]), yes(not held["strangers"])
    yield f"guard --hold: announced that work, of {rounds}", "all", came, yes(held["friends"] == held["rounds"])
    rate = guard["decisions"]["per_second"]
    live = guard["events"]
    memory = ", ".join(f"{kib / 1024:.0f}" for kib in live["resident_kib"])
    told = f"{live['per_second']:,.0f} events/s, {live['lost']:,} lost, {live['cpu_share']:.0%} of a core"
    yield (
        "guard: expectation events that it keeps up with, live",
        "≥ 50,000/s",
        told,
        yes(live["per_second"] >= 50_000 and not live["lost"]),
    )
    yield "the same: memory by thirds of the run", "flat", f"{memory} MiB", "—"
    yield "guard: decisions on one core, events in memory", "≥ 50,000/s", f"{rate:,.0f}/s", yes(rate >= 50_000)


def _table_goals(table: Figures) -> Iterator[Sequence[str]]:
    readers = table["readers"]
    text, size = readers["conntap-conntrack -L"], f"{table['entries']:,} entries"
    wall = text["wall_ratio"]
    yield f"dump of {size} as conntrack text", "≤ 1.10 × floor", spread_text(wall, " ×"), yes(wall["median"] <= 1.10)
    if "conntrack -L" in readers:
        # Both were measured against their own neighbours: the quotient of the two ratios.
        half = wall["median"] / readers["conntrack -L"]["wall_ratio"]["median"]
        yield "the same, against `conntrack -L`", "about 0.5 ×", f"{half:.2f} ×", yes(half <= 0.55)
    peak = text["peak_kib"] / 1024
    yield "the same, resident memory", "≤ 64 MiB", f"{peak:.0f} MiB", yes(peak <= 64)
    for name in ("two sockets: NAT or not", "two sockets: IPv4, IPv6"):
        if name in readers:
            yield f"the same, {name} (a stretch)", "say", spread_text(readers[name]["wall_ratio"], " × floor"), "—"
    columns = readers["Arrow columns"]
    wall, size = columns["wall_ratio"], columns["bytes_an_entry"]
    yield "the same to Arrow columns", "≤ 1.25 × floor", spread_text(wall, " ×"), yes(wall["median"] <= 1.25)
    yield "bytes an entry in columns", "≤ 250", f"{size:.0f}", yes(size <= 250)
    wall = readers["Python objects"]["wall_ratio"]
    yield "the same through Python row objects", "≤ 3 × floor", spread_text(wall, " ×"), yes(wall["median"] <= 3)
    if table.get("pyroute2"):
        slow = table["pyroute2"]
        yield f"pyroute2 ({slow['entries']:,} entries)", "above 60 ×", spread_text(slow["ratio"], " ×", 0), "—"


def _event_goals(readers: Figures) -> Iterator[Sequence[str]]:
    ours = readers["conntap watch"]
    name = "live events, flood, `conntap watch`"
    rate = readers["coalesce, count, discard"]["flows_per_second"]["median"]
    yield "flood under the coalescing listener", "≥ 100,000 flows/s", f"{rate:,.0f} flows/s", yes(rate >= 100_000)
    lost = ours["created"] - ours["new"]
    told = f"created {ours['created']:,}, seen {ours['new']:,}, dropped {ours['dropped']:,}"
    yield f"{name}: loss", "none", told, yes(lost == 0 and ours["dropped"] == 0)
    if theirs := readers.get("conntrack -E -o timestamp"):
        part = ours["cpu_us_an_event"]["median"] / theirs["cpu_us_an_event"]["median"]
        yield f"{name}: CPU an event", "≤ 0.33 × `conntrack -E`", f"{part:.2f} ×", yes(part <= 1 / 3)
    cost = ours["cost_ratio"]
    yield f"{name}: CPU an event", "≤ 2 × coalescing listener", spread_text(cost, " ×"), yes(cost["median"] <= 2)
    rate = ours["flow_rate_ratio"]
    yield f"{name}: flows/s", "≥ 0.95 × under that listener", spread_text(rate, " ×"), yes(rate["median"] >= 0.95)


def _full_table(figures: Figures) -> list[str]:
    table, plan = figures["table"], figures["plan"]
    options = [word for word, on in (("counters", plan["accounting"]), ("start times", plan["timestamps"])) if on]
    lines = [
        f"## Reading {table['entries']:,} entries",
        "",
        "70 % TCP established, 20 % UDP, 10 % TCP over IPv6; every other IPv4 entry has source NAT;",
        f"with {' and '.join(options) or 'neither counters nor start times'}. Output goes to /dev/null.",
        "The floor is a program that asks for the same dump, receives it into one buffer and discards it.",
        "CPU is that of all threads, kernel and user; memory is the peak of resident memory.",
        "",
    ]
    rows = []
    for name, reader in table["readers"].items():
        rows.append(
            (
                f"`{name}`" if name.startswith("con") else name,
                spread_text(reader["wall_ratio"]),
                spread_text(reader["cpu_ratio"]),
                spread_text(reader["wall"], " s"),
                spread_text(reader["cpu"], " s"),
                f"{reader['peak_kib'] / 1024:.1f} MiB",
            )
        )
    lines += table_lines(("reader", "wall ÷ floor", "CPU ÷ floor", "wall", "CPU", "memory"), rows)
    if table.get("pyroute2"):
        slow = table["pyroute2"]
        lines += [
            f"pyroute2 read a table of {slow['entries']:,} entries in {spread_text(slow['seconds'], ' s')}:",
            f"{spread_text(slow['ratio'], ' ×', 0)} the floor on that table. A full one would take it too long.",
            "",
        ]
    return lines


def _events(figures: Figures) -> list[str]:
    seconds = figures["plan"]["flood_seconds"]
    lines = [
        "## Live events under a flood",
        "",
        f"{seconds} s of UDP packets a run, each of a new tuple, entries live 1 s. Created: packets sent whose entry",
        "the kernel kept. Dropped: the kernel's drop counter of the reader's socket. CPU an event: the reader's own,",
        "kernel and user, start-up left out; events are NEW and DESTROY. Generator CPU a flow says what the reader",
        "costs the gateway, and is steadier than flows/s on a machine that others use.",
        "",
    ]
    for mode, readers in figures["events"].items():
        what = "generator on CPU 0, reader on CPU 1" if mode == "pinned" else "the scheduler places both"
        lines += [f"### {what[0].upper()}{what[1:]}", ""]
        lines += table_lines(
            (
                "reader",
                "created",
                "NEW seen",
                "events seen",
                "dropped",
                "CPU µs an event",
                "÷ listener",
                "flows/s",
                "÷ listener",
                "generator CPU µs a flow",
            ),
            [_event_row(name, reader) for name, reader in readers.items()],
        )
    return lines


def _event_row(name: str, reader: Figures) -> Sequence[str]:
    heard = "cost_ratio" in reader
    return (
        f"`{name}`" if name.startswith("con") else name,
        f"{reader['created']:,}",
        f"{reader['new']:,}" if heard and reader["new"] is not None else "—",
        f"{reader['events']:,}" if heard else "—",
        f"{reader['dropped']:,}" if heard else "—",
        spread_text(reader["cpu_us_an_event"]) if heard else "—",
        spread_text(reader["cost_ratio"]) if heard else "—",
        f"{reader['flows_per_second']['median']:,.0f}",
        spread_text(reader["flow_rate_ratio"]),
        spread_text(reader["generator_us_a_flow"]),
    )


def _start(start: Figures) -> list[str]:
    rows = [
        (
            f"`{name}`",
            spread_text(cost["wall_ms"], "", 1),
            spread_text(cost["cpu_ms"], "", 1),
            f"{cost['peak_kib'] / 1024:.1f} MiB",
        )
        for name, cost in start.items()
    ]
    return ["## Start", "", *table_lines(("command", "wall ms", "CPU ms", "memory"), rows)]


def _core(core: Figures) -> list[str]:
    rows = [(step["name"], f"{step['median']:.0f}", f"{step['least']:.0f}") for step in core["nanoseconds"]]
    return [
        "## Rows in the core",
        "",
        f"A real dump datagram, {core['rows']:,} rows in one batch; filter `{core['filter']}`.",
        "",
        *table_lines(("step", "ns a row, median", "least"), rows),
    ]
