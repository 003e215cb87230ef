"""The report's lines on the flow ledger: sections ledger, log_live, loggers and who."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.markdown import spread_text, table_lines, yes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["goals", "sections"]

Figures = dict[str, Any]


def goals(figures: Figures) -> Iterator[Sequence[str]]:
    """Yield the rows of what must be reached."""
    yield from _ledger_goals(figures.get("ledger", {}))
    if live := figures.get("log_live"):
        yield from _live_goals(live)
    if loggers := figures.get("loggers"):
        yield from _cost_goals(loggers)
    if who := figures.get("who"):
        work = "`who`, NAT records on disk, cold process, beyond start-up"
        if "skipped" in who:
            yield work, "≤ 100 ms", f"skipped: {who['skipped']}", "—"
        else:
            for name, found in who["questions"].items():
                took = found["beyond_ms"]
                told = spread_text(took, " ms", 0)
                yield f"{work}: {name}; {who['records']:,} records", "≤ 100 ms", told, yes(took["median"] <= 100)


def _ledger_goals(ledger: Figures) -> Iterator[Sequence[str]]:
    if found := ledger.get("pipeline"):
        rate = found["sinks"]["parquet:"]["rate"]
        work = "events → ledger → Parquet, recording, one core"
        yield work, "≥ 300,000 flows/s", spread_text(rate, " flows/s", 0), yes(rate["median"] >= 300_000)
    if found := ledger.get("ipfix"):
        rate = found["udp"]
        told = spread_text(rate, " flows/s", 0)
        yield "IPFIX encoding, one core", "≥ 1,000,000 flows/s", told, yes(rate["median"] >= 1e6)
    if found := ledger.get("size"):
        for name, most, words in (("flows", 24, "a full record"), ("nat", 12, "a record of NAT alone")):
            size = found[name]["merged_bytes_a_record"]
            work = f"bytes on disk, {words}, {found['records']:,} flows, merged"
            yield work, f"≤ {most}", f"{size:.2f}", yes(size <= most)
    if found := ledger.get("memory"):
        most = max(found["own_bytes"], found["resident_bytes"])
        told = f"{found['own_bytes']:.0f} by its own account, {found['resident_bytes']:.0f} resident"
        yield f"memory of {found['flows']:,} open flows, bytes each", "≤ 300", told, yes(most <= 300)


def _live_goals(live: Figures) -> Iterator[Sequence[str]]:
    work = f"`conntap log --to parquet:` under a flood of {live['seconds']:.0f} s"
    rate = live["flows_a_second"]
    yield f"{work}: created", "≥ 100,000 flows/s", f"{rate:,.0f} flows/s", yes(rate >= 100_000)
    balanced = live["created"] == live["recorded"] == live["in_segments"] and not live["lost"] and not live["open"]
    told = f"created {live['created']:,}, recorded {live['recorded']:,}, in segments {live['in_segments']:,}, "
    yield f"{work}: books", "all recorded", f"{told}lost {live['lost']:,}", yes(balanced)
    thirds = " → ".join(f"{one} MiB" for one in live["resident_thirds_mib"])
    yield f"{work}: resident memory, greatest of each third", "flat", thirds, yes(live["growth"] <= 1.1)


def _cost_goals(loggers: Figures) -> Iterator[Sequence[str]]:
    for name, found in loggers["cost"].items():
        if "ratio" in found:
            part = found["ratio"]
            told = spread_text(part, " ×")
            yield (
                f"whole live pipeline, CPU a flow: {name}",
                f"≤ 0.125 × {found['against']}",
                told,
                yes(part["median"] <= 0.125),
            )
    for name, reason in loggers["skipped"].items():
        yield f"whole live pipeline: {name}", "—", f"skipped: {reason}", "—"


def sections(figures: Figures) -> list[str]:
    """Return the sections' lines."""
    lines: list[str] = []
    if ledger := figures.get("ledger"):
        lines += _ledger(ledger)
    if live := figures.get("log_live"):
        lines += [
            "## The logger under a long flood",
            "",
            f"{live['created']:,} flows in {live['seconds']:.0f} s, NEW and DESTROY of each;",
            f"{live['cpu_us_a_flow']:.2f} µs of CPU a flow (all threads, kernel and user);",
            f"{live['bytes_a_flow']:.1f} bytes a flow in segments (a flood's flows differ little);",
            f"the journal took {live['journal_peak_mib']:.0f} MiB at most;",
            f"the kernel's drop counter: {live['overruns']:,}; stalls: {live['stalls']:,}.",
            "",
        ]  # fmt: skip
    if loggers := figures.get("loggers"):
        rows = [
            (
                name,
                spread_text(found["cpu_us_a_flow"]),
                f"{found['created']:,}",
                f"{found['recorded']:,}",
                spread_text(found["ratio"], f" × {found['against']}") if "ratio" in found else "—",
            )
            for name, found in loggers["cost"].items()
        ]
        lines += ["## Loggers side by side", "", "Losses and abilities: [comparison.md](comparison.md).", ""]
        lines += table_lines(("program", "CPU µs a flow", "created", "recorded", "ratio"), rows)
    return lines


def _ledger(ledger: Figures) -> list[str]:
    lines = [
        "## The flow ledger on one core",
        "",
        "Synthetic flows of a gateway with carrier-grade NAT, as the kernel's messages, NEW and DESTROY",
        "(`benches/ledger_flows.py` says how they are drawn). Rates are by CPU time of the whole process, publishing",
        "threads included, start-up left out.",
        "",
    ]
    if found := ledger.get("pipeline"):
        rows = [
            (
                f"`conntap log RECORDING --to {name}`",
                spread_text(sink["rate"], "", 0),
                spread_text(sink["wall_rate"], "", 0),
                spread_text(sink["peak_mib"], " MiB", 0),
                f"{sink['bytes']['median']:.1f}",
            )
            for name, sink in found["sinks"].items()
        ]
        lines += table_lines((f"{found['flows']:,} flows", "flows/s of CPU", "by wall", "memory", "bytes a flow"), rows)
    if found := ledger.get("ipfix"):
        rows = [(name.replace("_", " "), spread_text(rate, "", 0)) for name, rate in found.items() if name != "flows"]
        lines += table_lines(("IPFIX messages", "flows/s of CPU"), rows)
    if found := ledger.get("size"):
        rows = [
            (f"`parquet:`, {words}, {state}", f"{found[kind][key]:.2f}")
            for kind, words in (("flows", "full records"), ("nat", "NAT alone"))
            for key, state in (("bytes_a_record", "as written"), ("merged_bytes_a_record", "merged"))
        ]
        nfcapd = found["nfcapd"]
        if "skipped" in nfcapd:
            rows.append(("nfcapd", f"skipped: {nfcapd['skipped']}"))
        else:
            rows += [(f"nfcapd, {name}", f"{size:.1f}") for name, size in nfcapd["bytes_a_flow"].items()]
        lines += table_lines(("on disk", "bytes a record"), rows)
    return lines
