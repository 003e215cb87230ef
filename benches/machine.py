"""What the figures were measured with: kernel, programs, processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benches.process import ROOT, real_conntrack

__all__ = ["Neighbours", "facts"]


class Neighbours:
    """Says how much of the machine others used meanwhile: their work stretches walls and spoils ratios."""

    def __init__(self) -> None:
        self._before = self._now()

    def words(self) -> str:
        """Return the share of all CPU time that went to other programs, the kernel's own threads and the host."""
        total, busy, stolen, ours = (now - then for now, then in zip(self._now(), self._before, strict=True))
        return f"{max(0.0, busy - ours) / total:.0%} to others and kernel threads, {stolen / total:.0%} to the host"

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        """Total, busy and stolen seconds of all CPUs, and our own. Source: proc_stat(5)."""
        ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
        user, nice, system, idle, waiting, irq, softirq, stolen = (tick / os.sysconf("SC_CLK_TCK") for tick in ticks)
        busy = user + nice + system + irq + softirq
        times = os.times()
        ours = times.user + times.system + times.children_user + times.children_system
        return busy + idle + waiting + stolen, busy, stolen, ours


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
