"""The page's part on packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benches.markdown import spread_text, table_lines, yes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["goals", "section"]

Figures = dict[str, Any]

RUST = "engine, Rust alone"
PYTHON = "engine, `Capture.batches()`"
#: Bytes a flow.
MOST_MEMORY = 250
RATE = 3_000_000


def goals(packets: Figures) -> Iterator[Sequence[str]]:
    """Yield work, goal, measured, reached."""
    for name, rates in packets["rates"].items():
        size = _mean(rates["made"])
        work = f"packets from a file, {packets['conversations']:,} live flows, {name} sizes ({size:.0f} bytes)"
        for reader in (RUST, PYTHON):
            found = rates["readers"][reader]
            rate = found["packets_a_second"]
            who = "Rust" if reader == RUST else "Python"
            yield (
                f"{work}, {who}",
                "≥ 3 Mpacket/s",
                f"{rate['median'] / 1e6:.2f} Mpacket/s",
                yes(rate["median"] >= RATE),
            )
            ratio = found["ratio"]
            yield f"the same, {who}", "≤ 2 × decoding alone", spread_text(ratio, " ×"), yes(ratio["median"] <= 2)
    yield from _memory_goals(packets["memory"])
    for name, rival in packets["rivals"]["programs"].items():
        ratio = rival["ratio"]
        work = f"side by side: {name} takes, in our CPU times"
        yield work, "> 1", spread_text(ratio, " ×", 1), yes(ratio["median"] > 1)
    yield from _live_goals(packets["live"])


def _memory_goals(memory: Figures) -> Iterator[Sequence[str]]:
    full = memory["established"]["samples"][-1]
    size, resident = full["memory"] / full["entries"], full["resident"] / full["entries"]
    work = f"memory at {full['entries']:,} flows"
    told = f"{size:.0f} (resident: {resident:.0f})"
    yield work, f"≤ {MOST_MEMORY} bytes a flow", told, yes(max(size, resident) <= MOST_MEMORY)
    flood = memory["flood"]
    counts, most = flood["counters"], flood["max"]
    half, end = (
        next(found for found in flood["samples"] if found["flows"] >= flood["flows"] * part) for part in (0.5, 1)
    )
    growth = end["resident"] / max(1, half["resident"])
    added = counts["flows"] - counts["early_dropped"] == flood["entries"] <= most
    added = added and counts["flows"] + counts["table_full"] == flood["flows"]
    work = f"memory in a flood of {flood['flows']:,} flows, table of {most:,}"
    told = f"× {growth:.2f} from {half['flows']:,} to {end['flows']:,} flows; "
    told += f"{counts['early_dropped']:,} dropped early, {counts['table_full']:,} refused"
    yield work, "bounded", told, yes(growth <= 1.05 and added)


def _live_goals(live: Figures) -> Iterator[Sequence[str]]:
    if "skipped" in live:
        yield "live capture", "500,000 packet/s, no drops", live["skipped"], "—"
        return
    run = live["at the rate"]
    told = f"{run['packets_a_second']['median']:,.0f} packet/s, {run['lost']:,} of {run['sent']:,} lost"
    reached = run["packets_a_second"]["median"] >= 499_000 and run["lost"] == 0 and run["received"] == run["sent"]
    yield "live capture from a veth pair, in Python", "500,000 packet/s, no drops", told, yes(reached)


def _mean(made: Figures) -> float:
    return made["bytes"] / made["packets"]


def section(packets: Figures) -> list[str]:
    """Return the section's lines."""
    lines = [
        "## Packets through the engine",
        "",
        f"{packets['conversations']:,} conversations alive at any time: 70 % TCP, 25 % UDP, 5 % ping; one in five over",
        "IPv6. The next packet is of one drawn at random, so that none is near in memory to the one before. TCP opens",
        "with a handshake, sends data both ways (40 packets on average) and closes with FIN, one in ten with RST; half",
        "of UDP is a question and its answer. Mixed sizes: of the frames with data 40 % have 60–100 bytes, 20 % 576,",
        "40 % 1400; small: all have 60–100. What has ended is replaced at once; the table keeps it for its timeout.",
        "All checksums are right, and are verified over the whole packet. 20,000 packets are a second of their own",
        "time, so that connections expire on the way; accounting and times are on, and all events are made, handed",
        "out and counted. The file is in the page cache. One CPU; rates are by CPU time.",
        "",
    ]
    for name, rates in packets["rates"].items():
        made, run = rates["made"], rates["run"]
        lines += [
            f"### Sizes: {name}",
            "",
            f"{made['packets']:,} frames, {_mean(made):.0f} bytes on average, {made['conversations']:,} conversations,",
            f"{run['events']:,} events; the table held {run['most_entries']:,} entries at most.",
            "",
        ]
        rows = [
            (
                reader,
                f"{found['packets_a_second']['median'] / 1e6:.2f}" if name_is_work(reader) else "—",
                spread_text(found["ns_a_packet"], "", 0),
                spread_text(found["ratio"]),
            )
            for reader, found in rates["readers"].items()
        ]
        lines += table_lines(("work", "Mpacket/s", "ns a packet", "÷ floor"), rows)
    return lines + _engine(packets["engine"]) + _memory(packets["memory"]) + _rivals(packets) + _live(packets["live"])


def name_is_work(reader: str) -> bool:
    """Reading alone knows of no packets."""
    return reader != "read only"


def _engine(steps: list[Figures]) -> list[str]:
    rows = [
        (
            step["name"],
            f"{step['median']:.0f}",
            f"{step['least']:.0f}",
            f"{step['events_a_second'] / 1e6:.2f}" if step["events"] else "—",
        )
        for step in steps
    ]
    return [
        "### The engine alone",
        "",
        f"Frames in memory, {steps[0]['packets']:,} a run, one after the other as a live capture gives them: decoding,",
        "tracking, events. Connections are drawn at random.",
        "",
        *table_lines(("packets", "ns a packet, median", "least", "million events a second"), rows),
    ]


def _memory(memory: Figures) -> list[str]:
    rows = [
        (
            "established, mixed" if kind == "established" else "flood of SYN and single datagrams",
            f"{sample['flows']:,}",
            f"{sample['entries']:,}",
            f"{sample['memory'] / sample['entries']:.0f}",
            f"{sample['resident'] / sample['entries']:.0f}",
        )
        for kind, found in memory.items()
        for sample in found["samples"]
        if sample["flows"] % (found["flows"] // 5) == 0
    ]
    head = ("flows", "begun", "entries", "bytes an entry, own account", "resident")
    return ["### Memory", "", *table_lines(head, rows)]


def _rivals(packets: Figures) -> list[str]:
    rivals = packets["rivals"]
    rows = [
        (
            f"{name} ({found['version']})",
            found["does"],
            f"{found['packets']:,}",
            spread_text(found["cpu"], " s"),
            spread_text(found["ours"], " s"),
            spread_text(found["ratio"], " ×", 1),
            f"{found['peak_kib'] / 1024:.0f} / {found['our_peak_kib'] / 1024:.0f} MiB",
        )
        for name, found in rivals["programs"].items()
    ]
    lines = [
        "### Side by side",
        "",
        "Whole programs on the mixed capture, output to /dev/null or a file, CPU time. Ours prints one JSON object for",
        "each connection with its counters: `conntap replay --drain --json FILE destroy`.",
        "",
        *table_lines(("program", "does", "packets", "CPU", "ours", "÷ ours", "memory, theirs / ours"), rows),
    ]
    return lines + [f"- {name}: left out, {why}" for name, why in rivals["skipped"].items()] + [""]


def _live(live: Figures) -> list[str]:
    if "skipped" in live:
        return ["### Live", "", live["skipped"], ""]
    rows = [
        (
            name,
            spread_text(run["packets_a_second"], "", 0),
            f"{run['sent']:,}",
            f"{run['received']:,}",
            f"{run['lost']:,}",
            f"{run['events']:,}",
            spread_text(run["ns_a_packet"], "", 0),
        )
        for name, run in live.items()
    ]
    mean = live["at the rate"]["mean_bytes"]
    return [
        "### Live",
        "",
        f"The mixed traffic ({mean:.0f} bytes on average) over a veth pair: AF_PACKET past the queueing discipline on",
        "CPU 0, `Interface.receive()` on CPU 1. Lost: the kernel's drop counter of the capture's socket.",
        "",
        *table_lines(
            ("run", "sent a second", "sent", "received", "lost", "events", "receiver's CPU ns a packet"), rows
        ),
    ]
