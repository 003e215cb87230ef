"""Reading a full table: as text, columns and objects, against receiving the same dump and throwing it away.

Runs stand in the order floor, reader, floor, reader … floor; a reader is compared with the mean of its two neighbours.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from benches.figures import ratio, spread
from benches.process import Cost, conntap, real_conntrack, timed, tool

__all__ = ["measure"]

SYSCTL = Path("/proc/sys/net/netfilter")
#: Measured in the first round only: no goal hangs on them.
ASIDE = ("conntap list", "conntap list --json", "discard through the binding")


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Fill the table and read it in every way."""
    (SYSCTL / "nf_conntrack_acct").write_text(str(int(plan["accounting"])))
    (SYSCTL / "nf_conntrack_timestamp").write_text(str(int(plan["timestamps"])))
    figures: dict[str, Any] = {"pyroute2": _pyroute2(plan["pyroute2_entries"])}
    figures["entries"] = _fill(plan["entries"])
    figures["readers"] = _alternate(_readers(), plan["table_rounds"], plan["entries"])
    return figures


def _fill(entries: int) -> int:
    timed([conntap("conntap-conntrack"), "-F"])
    return json.loads(timed([tool(), "fill", "--entries", str(entries)], keep_output=True).output)["entries"]


def _readers() -> dict[str, list[str]]:
    python = [sys.executable, "-m", "benches.readers"]
    readers = {
        "conntap-conntrack -L": [conntap("conntap-conntrack"), "-L"],
        "conntap list": [conntap(), "list"],
        "conntap list --json": [conntap(), "list", "--json"],
        "Arrow columns": [*python, "arrow"],
        "Python objects": [*python, "rows"],
        "discard through the binding": [*python, "discard"],
    }
    if found := real_conntrack():
        readers["conntrack -L"] = [found, "-L"]
    if (os.cpu_count() or 1) > 1:
        readers["two sockets: NAT or not"] = [tool(), "dump-floor", "--parts", "nat,plain"]
        readers["two sockets: IPv4, IPv6"] = [tool(), "dump-floor", "--parts", "ipv4,ipv6"]
    return readers


def _alternate(readers: dict[str, list[str]], rounds: int, entries: int) -> dict[str, Any]:
    floor = [tool(), "dump-floor"]
    floors = [timed(floor)]
    runs: dict[str, list[tuple[Cost, Cost, Cost]]] = {name: [] for name in readers}
    for number in range(rounds):
        # Every other round backwards: what drifts with time falls on all alike.
        for name in sorted(readers, reverse=number % 2 == 1):
            if number > 0 and name in ASIDE:
                continue
            before = floors[-1]
            cost = timed(readers[name], keep_output="benches.readers" in readers[name])
            floors.append(timed(floor))
            runs[name].append((before, cost, floors[-1]))
    figures: dict[str, Any] = {
        "floor": {
            "wall": spread([cost.wall for cost in floors]),
            "cpu": spread([cost.cpu for cost in floors]),
            "wall_ratio": spread([1.0]),
            "cpu_ratio": spread([1.0]),
            "peak_kib": max(cost.peak_kib for cost in floors),
        }
    }
    for name, triples in runs.items():
        costs = [cost for _, cost, _ in triples]
        figures[name] = {
            "wall": spread([cost.wall for cost in costs]),
            "cpu": spread([cost.cpu for cost in costs]),
            "wall_ratio": ratio(
                [cost.wall for cost in costs], [(before.wall + after.wall) / 2 for before, _, after in triples]
            ),
            "cpu_ratio": ratio(
                [cost.cpu for cost in costs], [(before.cpu + after.cpu) / 2 for before, _, after in triples]
            ),
            "peak_kib": max(cost.peak_kib for cost in costs),
        }
        if name == "Arrow columns":
            figures[name]["bytes_an_entry"] = json.loads(costs[-1].output)["bytes"] / entries
    return figures


def _pyroute2(entries: int) -> dict[str, Any] | None:
    """Ratio to the floor on a table of its own: a million entries would take it minutes."""
    from importlib.util import find_spec

    if entries == 0 or find_spec("pyroute2") is None:
        return None
    _fill(entries)
    seconds: list[float] = []
    floors: list[float] = []
    for _ in range(3):
        floors.append(json.loads(timed([tool(), "dump-floor"], keep_output=True).output)["seconds"])
        answer = timed([sys.executable, "-m", "benches.readers", "pyroute2"], keep_output=True).output
        seconds.append(json.loads(answer)["seconds"])
    return {"entries": entries, "seconds": spread(seconds), "ratio": ratio(seconds, floors)}
