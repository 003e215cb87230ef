"""Other programs that follow connections, on the same capture and the same CPU as ours.

Each is run next to a run of ours. What is missing is left out with that reason, and so is what fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from benches.figures import ratio, spread
from benches.process import conntap, timed, tool

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure"]

#: scapy takes minutes for a million packets: it gets a capture of its own.
SHORT = 100_000
PATH = "/opt/zeek/bin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin"

#: One record a flow, nothing else: no rules, no application layers, no other log.
SURICATA = """\
%YAML 1.1
---
default-log-dir: {folder}
outputs:
  - eve-log: {{enabled: yes, filetype: regular, filename: flow.json, types: [flow]}}
app-layer:
  protocols: {{}}
flow: {{memcap: 2gb, hash-size: 262144, prealloc: 100000}}
stream: {{memcap: 2gb, checksum-validation: yes}}
"""

Command = Callable[[str, "Path"], list[str]]


@dataclass(frozen=True, slots=True)
class Rival:
    """A program, what it does, and how its version is asked for (None: a Python package)."""

    name: str
    program: str
    does: str
    command: Command
    asked: list[str] | None = None
    once: bool = False
    short: bool = False


def _suricata(path: str, folder: Path) -> list[str]:
    settings = folder / "suricata.yaml"
    settings.write_text(SURICATA.format(folder=folder))
    return ["suricata", "-c", str(settings), "-S", "/dev/null", "-l", str(folder), "--runmode", "single", "-r", path]


def _zeek(path: str, folder: Path) -> list[str]:
    # A shell, since its logs go to the folder that it stands in; -b: no script but the one that is named.
    return ["sh", "-c", 'cd "$0" && exec zeek -b -r "$1" base/protocols/conn', str(folder), path]


def _loop(name: str) -> Command:
    return lambda path, _: [sys.executable, "-m", "benches.packet_readers", name, path]


RIVALS = (
    Rival("Zeek", "zeek", "conn.log alone", _zeek, ["--version"]),
    Rival("Suricata", "suricata", "flow records alone, no rules", _suricata, ["-V"]),
    Rival(
        "argus",
        "argus",
        "flow records",
        lambda path, _: ["argus", "-F", "/dev/null", "-r", path, "-w", "/dev/null"],
        ["-h"],
    ),
    Rival(
        "softflowd",
        "softflowd",
        "flow statistics",
        lambda path, folder: [
            "softflowd", "-6", "-d", "-m", "1000000", "-c", "none", "-p", str(folder / "pid"), "-r", path
        ],
        ["-h"],
    ),
    Rival(
        "tshark",
        "tshark",
        "conversations: -z conv,tcp -z conv,udp",
        lambda path, _: ["tshark", "-n", "-q", "-z", "conv,tcp", "-z", "conv,udp", "-r", path],
        ["--version"],
        once=True,
    ),
    Rival("dpkt", "dpkt", "a loop of 15 lines that counts by connection", _loop("dpkt"), once=True),
    Rival("scapy", "scapy", "the same loop", _loop("scapy"), once=True, short=True),
)  # fmt: skip


def measure(path: str, folder: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Return CPU times and ratios by program, and what was left out and why."""
    short = folder / "short.pcap"
    size = ["--packets", str(min(SHORT, plan["packets"])), "--conversations", "10000"]
    timed([tool(), "packets-write", "--file", str(short), *size])
    figures: dict[str, Any] = {"programs": {}, "skipped": {}}
    for rival in RIVALS:
        found = _version(rival)
        if found is None:
            kind = "Python package" if rival.asked is None else "program"
            figures["skipped"][rival.name] = f"the {kind} {rival.program} is not installed"
            continue
        work = folder / rival.program
        work.mkdir()
        try:
            row = _beside(rival, str(short) if rival.short else path, work, 1 if rival.once else plan["rival_rounds"])
        except SystemExit as error:
            figures["skipped"][rival.name] = f"{found} failed: {str(error).strip().splitlines()[-1]}"
        else:
            row["packets"] = min(SHORT, plan["packets"]) if rival.short else plan["packets"]
            figures["programs"][rival.name] = {"version": found, "does": rival.does, **row}
        shutil.rmtree(work)
    return figures


def _beside(rival: Rival, path: str, folder: Path, rounds: int) -> dict[str, Any]:
    ours = [conntap(), "replay", "--drain", "--json", path, "destroy"]
    theirs = rival.command(path, folder)
    costs = [(timed(ours), timed(theirs)) for _ in range(rounds)]
    return {
        "cpu": spread([cost.cpu for _, cost in costs]),
        "ours": spread([cost.cpu for cost, _ in costs]),
        "ratio": ratio([cost.cpu for _, cost in costs], [cost.cpu for cost, _ in costs]),
        "peak_kib": max(cost.peak_kib for _, cost in costs),
        "our_peak_kib": max(cost.peak_kib for cost, _ in costs),
    }


def _version(rival: Rival) -> str | None:
    """None where there is no such program."""
    if rival.asked is None:
        try:
            return version(rival.program)
        except PackageNotFoundError:
            return None
    found = shutil.which(rival.program, path=PATH)
    if found is None:
        return None
    done = subprocess.run([found, *rival.asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return number[0] if number else "unknown version"
