"""How long commands take that do nearly nothing: alternating runs on an empty table."""

from __future__ import annotations

import sys
from typing import Any

from benches.figures import spread
from benches.process import conntap, real_conntrack, timed, tool

__all__ = ["measure"]


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Return wall and CPU milliseconds of each command."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "conntap-conntrack -C": [conntap("conntap-conntrack"), "-C"],
        "conntap list": [conntap(), "list"],
        "conntap count": [conntap(), "count"],
        "conntap --help": [conntap(), "--help"],
        # What the kernel alone takes to walk its empty hash: part of every `list`, however quick the program.
        "conntap-bench dump-floor": [tool(), "dump-floor"],
    }
    if found := real_conntrack():
        commands["conntrack -C"] = [found, "-C"]
    runs: dict[str, list[Any]] = {name: [] for name in commands}
    for _ in range(plan["start_rounds"] + 1):
        for name, command in commands.items():
            runs[name].append(timed(command))
    return {
        name: {
            # The first round warmed the files up.
            "wall_ms": spread([cost.wall * 1e3 for cost in costs[1:]]),
            "cpu_ms": spread([cost.cpu * 1e3 for cost in costs[1:]]),
            "peak_kib": max(cost.peak_kib for cost in costs),
        }
        for name, costs in runs.items()
    }
