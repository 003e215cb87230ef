"""Packets through the engine: speed against a floor, memory, other programs on the same capture, live capture.

Everything runs on one CPU, and what counts is CPU time: walls are stretched by whoever else uses the machine. Runs
stand in the order floor, reader, floor, reader … floor; a reader is compared with the mean of its two neighbours.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benches import packets_live, packets_rivals
from benches.affinity import on_cpu
from benches.figures import ratio, spread
from benches.process import timed, tool

__all__ = ["measure"]

#: Name → what `packets-write` is told.
MIXTURES: dict[str, list[str]] = {"mixed": [], "small": ["--sizes", "small"]}
CONVERSATIONS = 100_000
#: The flood sends so many times what the table holds.
FLOOD = 6


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Write captures into a temporary folder, and measure."""
    figures: dict[str, Any] = {"rates": {}, "conversations": CONVERSATIONS}
    with tempfile.TemporaryDirectory(prefix="conntap-bench-") as folder, on_cpu(-1):
        for name, options in MIXTURES.items():
            path = str(Path(folder) / f"{name}.pcap")
            made = write(path, plan["packets"], CONVERSATIONS, options)
            figures["rates"][name] = {"made": made, **_rates(path, plan["packet_rounds"])}
            if name == "mixed":
                figures["rivals"] = packets_rivals.measure(path, Path(folder), plan)
            Path(path).unlink()
        figures["memory"] = _memory(plan["packet_flows"])
        command = [tool(), "packets-engine", "--rounds", str(plan["engine_rounds"])]
        figures["engine"] = _answer(command)["nanoseconds"]
    figures["live"] = packets_live.measure(plan)
    return figures


def write(path: str, packets: int, conversations: int, options: list[str]) -> dict[str, int]:
    """Write a capture; return what is in it."""
    size = ["--packets", str(packets), "--conversations", str(conversations)]
    return _answer([tool(), "packets-write", "--file", path, *size, *options])


def _rates(path: str, rounds: int) -> dict[str, Any]:
    readers = {
        "engine, Rust alone": [tool(), "packets-run", "--file", path],
        "engine, `Capture.batches()`": [sys.executable, "-m", "benches.packet_readers", "capture", path],
        "read only": [tool(), "packets-run", "--work", "read", "--file", path],
    }
    floor = [tool(), "packets-run", "--work", "decode", "--file", path]
    _answer(floor)  # the file into memory
    floors = [_answer(floor)]
    runs: dict[str, list[tuple[float, dict[str, Any]]]] = {name: [] for name in readers}
    for number in range(rounds):
        # Every other round backwards: what drifts with time falls on all alike.
        for name in sorted(readers, reverse=number % 2 == 1):
            answer = _answer(readers[name])
            floors.append(_answer(floor))
            neighbours = (floors[-2]["cpu_seconds"] + floors[-1]["cpu_seconds"]) / 2
            runs[name].append((neighbours, answer))
    packets = floors[0]["packets"]
    figures: dict[str, Any] = {"readers": {"floor: frames found, headers decoded": _reader(packets, floors, None)}}
    for name, pairs in runs.items():
        figures["readers"][name] = _reader(packets, [answer for _, answer in pairs], [base for base, _ in pairs])
    figures["run"] = runs["engine, Rust alone"][-1][1]
    return figures


def _reader(packets: int, answers: list[dict[str, Any]], floors: list[float] | None) -> dict[str, Any]:
    seconds = [answer["cpu_seconds"] for answer in answers]
    return {
        "packets_a_second": spread([packets / cpu for cpu in seconds]),
        "ns_a_packet": spread([cpu * 1e9 / packets for cpu in seconds]),
        "ratio": ratio(seconds, floors) if floors else spread([1.0]),
        "events": answers[-1].get("events"),
    }


def _memory(flows: int) -> dict[str, Any]:
    """A full table of established flows; a flood that is larger than the table may be."""
    command = [tool(), "packets-memory"]
    return {
        "established": _answer([*command, "--flows", str(flows)]),
        "flood": _answer([*command, "--kind", "flood", "--flows", str(FLOOD * flows), "--max", str(flows)]),
    }


def _answer(command: list[str]) -> dict[str, Any]:
    return json.loads(timed(command, keep_output=True).output)
