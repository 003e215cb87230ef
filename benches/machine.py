"""What the figures were measured with: kernel, programs, processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benches.process import ROOT, real_conntrack

__all__ = ["facts"]


def facts() -> dict[str, str]:
    """Return name → value for the head of the report."""
    from importlib.metadata import version

    import conntap._core as core

    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} CPUs",
        "memory": _memory(),
        "conntap": f"{core.__version__} ({_commit()})",
        "Python": sys.version.split()[0],
        "conntrack": _first_line([found, "--version"]) if (found := real_conntrack()) else "not installed",
        "Rust": _first_line(["rustc", "--version"]),
    }
    try:
        facts["pyroute2"] = version("pyroute2")
    except ImportError:
        facts["pyroute2"] = "not installed"
    facts["load before the run"] = " ".join(f"{load:.2f}" for load in os.getloadavg())
    return facts


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _memory() -> str:
    kib = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1])
    return f"{kib / (1 << 20):.0f} GiB"


def _commit() -> str:
    found = _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    return found or "no git"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return "not installed"
    return done.stdout.split("\n", 1)[0]
