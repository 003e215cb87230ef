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
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.affinity import on_cpu
from benches.figures import ratio, spread
from benches.process import conntap, real_conntrack, tool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure"]

SYSCTL = Path("/proc/sys/net/netfilter")
NETLINK = Path("/proc/net/netlink")
DEADLINE_S = 120.0

NOBODY = "nobody listens"
FLOOR = "coalesce, count, discard"

LINK = """
link add flood0 type veth peer name flood1
link set flood0 arp off up
addr add 10.9.0.1/16 dev flood0
route add 198.18.0.0/15 via 10.9.255.254 dev flood0
"""
# The last priority of the hook: tracking has seen the packet, and is on because a rule asks for it.
RULES = """
table inet flood {
  chain out { type filter hook output priority 300; ct state new counter accept; }
}
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that reads events; `seen` finds its counts in what it left behind."""

    command: list[str]
    seen: Callable[[str, str], dict[str, int]]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Flood each reader in turn, pinned (generator on CPU 0, reader on CPU 1) and not."""
    subprocess.run(["ip", "-batch", "-"], input=LINK, text=True, check=True)
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    for name, value in (("udp_timeout", 1), ("timestamp", 1), ("acct", 0)):
        (SYSCTL / f"nf_conntrack_{name}").write_text(str(value))
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
    _empty_table()
    if reader is None:
        return _flood(plan, pinned=pinned)
    summary, errors = folder / "summary", folder / "errors"
    summary.write_text("")
    # A file, no pipe: conntrack warns for every overrun, and blocks when nobody reads its warnings.
    with on_cpu(1 if pinned else None), errors.open("w") as stderr:
        process = subprocess.Popen(reader.command, stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL)
    try:
        inode = _wait_for(_listener_inode, "the reader to subscribe")
        before = _cpu_ns(process.pid)
        run = _flood(plan, pinned=pinned)
        _wait_for(lambda: _drained(inode, process.pid), f"{reader.command} to catch up")
        run["cpu_ns"] = _cpu_ns(process.pid) - before
        run["dropped"] = _row(inode)["Drops"]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    run["seen"] = reader.seen(errors.read_text(), summary.read_text())
    return run


def _flood(plan: dict[str, Any], *, pinned: bool) -> dict[str, Any]:
    failed_before = _not_inserted()
    command = [tool(), "flood", "--seconds", str(plan["flood_seconds"]), "--rate", str(plan["flood_rate"])]
    with on_cpu(0 if pinned else None):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    flood = json.loads(done.stdout)
    flood["created"] = flood["sent"] + flood["failed"] - (_not_inserted() - failed_before)
    flood["flows_per_second"] = flood["created"] / flood["seconds"]
    flood["flows_per_cpu_second"] = flood["created"] / flood["cpu_seconds"]
    return flood


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


def _empty_table() -> None:
    subprocess.run([conntap("conntap-conntrack"), "-F"], stderr=subprocess.DEVNULL, check=True)
    count = SYSCTL / "nf_conntrack_count"
    _wait_for(lambda: int(count.read_text()) == 0, "the table to be empty")


def _not_inserted() -> int:
    """Packets whose entry could not be kept, over all CPUs: insert_failed + drop."""
    header, *rows = Path("/proc/net/stat/nf_conntrack").read_text().splitlines()
    columns = [header.split().index(name) for name in ("insert_failed", "drop")]
    return sum(int(row.split()[column], 16) for row in rows for column in columns)


def _rows() -> list[dict[str, str]]:
    header, *rows = NETLINK.read_text().splitlines()
    return [dict(zip(header.split(), row.split(), strict=False)) for row in rows]


def _listener_inode() -> str | None:
    """The socket of this namespace that hears NEW events (netlink family 12 = netfilter, group bit 0)."""
    for row in _rows():
        if row["Eth"] == "12" and int(row["Groups"], 16) & 1:
            return row["Inode"]
    return None


def _row(inode: str) -> dict[str, Any]:
    row = next(row for row in _rows() if row["Inode"] == inode)
    return {**row, "Rmem": int(row["Rmem"]), "Drops": int(row["Drops"])}


def _drained(inode: str, pid: int) -> bool:
    """The queue is empty and the reader has stopped working."""
    before = _cpu_ns(pid)
    time.sleep(0.1)
    return _row(inode)["Rmem"] == 0 and _cpu_ns(pid) - before < 1_000_000


def _cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU of all threads of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _wait_for(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"bench: waited {DEADLINE_S:.0f} s for {what}")
        time.sleep(0.02)
    return found
