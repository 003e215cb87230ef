"""Live events under a flood of new flows: what each reader sees, loses and costs, and what it costs the gateway.

A generator sends UDP packets, each of a new tuple, into a link without carrier: they are tracked and then dropped.
Entries live one second, so DESTROY events come as well. CPU is the reader's own from the moment before the flood
until its queue is empty again (schedstat, nanoseconds), so start-up does not count.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.affinity import on_cpu
from benches.figures import ratio, spread
from benches.flood import DEADLINE_S, cpu_ns, drained, empty_table, flood, listener_inode, prepare, socket_of, wait_for
from benches.process import conntap, real_conntrack, tool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure"]

NOBODY = "nobody listens"
FLOOR = "coalesce, count, discard"


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that reads events; `seen` finds its counts in what it left behind."""

    command: list[str]
    seen: Callable[[str, str], dict[str, int]]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Flood each reader in turn, pinned (generator on CPU 0, reader on CPU 1) and not."""
    prepare()
    modes = {"free": plan["free_rounds"]}
    if len(os.sched_getaffinity(0)) > 1:
        modes["pinned"] = plan["pinned_rounds"]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        readers = _readers(f"{folder}/summary")
        for mode, rounds in modes.items():
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in readers}
            for number in range(rounds):
                for name in sorted(readers, reverse=number % 2 == 1):
                    run = _run(readers[name], plan, pinned=mode == "pinned", folder=Path(folder))
                    runs[name].append(run)
            if rounds:
                figures[mode] = {name: _sum_up(runs[name], runs[FLOOR]) for name in readers}
    return figures


def _readers(summary: str) -> dict[str, Reader | None]:
    def from_summary(_errors: str, text: str) -> dict[str, int]:
        found = json.loads(text)
        return {**found["kinds"], "told_lost": found["counters"]["lost"]}

    def from_message(errors: str, _text: str) -> dict[str, int]:
        found = re.search(r"(\d+) flow events", errors)
        return {"all": int(found[1])} if found else {}

    readers: dict[str, Reader | None] = {
        NOBODY: None,
        FLOOR: Reader([tool(), "listen-floor", "--summary", summary], from_summary),
        "conntap watch": Reader([conntap(), "watch", "--summary", summary], from_summary),
        "conntap watch --json": Reader([conntap(), "watch", "--json", "--summary", summary], from_summary),
        "conntap-conntrack -E -o timestamp": Reader(
            [conntap("conntap-conntrack"), "-E", "-o", "timestamp"], from_message
        ),
    }
    if found := real_conntrack():
        readers["conntrack -E -o timestamp"] = Reader([found, "-E", "-o", "timestamp"], from_message)
    return readers


def _run(reader: Reader | None, plan: dict[str, Any], *, pinned: bool, folder: Path) -> dict[str, Any]:
    empty_table()
    if reader is None:
        return flood(plan["flood_seconds"], plan["flood_rate"], pinned=pinned)
    summary, errors = folder / "summary", folder / "errors"
    summary.write_text("")
    # A file, no pipe: conntrack warns for every overrun, and blocks when nobody reads its warnings.
    with on_cpu(1 if pinned else None), errors.open("w") as stderr:
        process = subprocess.Popen(reader.command, stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL)
    try:
        inode = wait_for(listener_inode, "the reader to subscribe")
        before = cpu_ns(process.pid)
        run = flood(plan["flood_seconds"], plan["flood_rate"], pinned=pinned)
        wait_for(lambda: drained(inode, process.pid), f"{reader.command} to catch up")
        run["cpu_ns"] = cpu_ns(process.pid) - before
        run["dropped"] = socket_of(inode)["Drops"]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    run["seen"] = reader.seen(errors.read_text(), summary.read_text())
    return run


def _sum_up(runs: list[dict[str, Any]], floors: list[dict[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "created": sum(run["created"] for run in runs),
        "flows_per_second": spread([run["flows_per_second"] for run in runs]),
        "generator_us_a_flow": spread([1e6 / run["flows_per_cpu_second"] for run in runs]),
    }
    for name, of in (("flow_rate_ratio", "flows_per_second"), ("flow_cpu_ratio", "flows_per_cpu_second")):
        figures[name] = ratio([run[of] for run in runs], [floor[of] for floor in floors])
    if "seen" not in runs[0]:
        return figures
    figures["new"] = None if "all" in runs[0]["seen"] else sum(run["seen"].get("NEW", 0) for run in runs)
    figures["events"] = sum(_events(run) for run in runs)
    figures["dropped"] = sum(run["dropped"] for run in runs)
    figures["cpu_us_an_event"] = spread([_cost(run) for run in runs])
    figures["cost_ratio"] = ratio([_cost(run) for run in runs], [_cost(floor) for floor in floors])
    return figures


def _events(run: dict[str, Any]) -> int:
    return sum(number for kind, number in run["seen"].items() if kind not in ("told_lost", "GAP"))


def _cost(run: dict[str, Any]) -> float:
    return run["cpu_ns"] / 1000 / max(1, _events(run))
