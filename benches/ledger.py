"""The flow ledger on one core: events from a recording to sinks, IPFIX encoding, memory of open flows, bytes on disk.

Flows are those of `ledger_flows` (a gateway with carrier-grade NAT). All runs are on one CPU, publishing threads
included, and count by CPU time; what the same command takes on a recording of ten flows is start-up, and left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benches import data, ipfix, ledger_nfcapd, ledger_write
from benches.affinity import on_cpu
from benches.figures import spread
from benches.ledger_flows import DESTROY, NEW, Shape, chunks, messages
from benches.process import conntap, timed
from conntap import _core
from conntap.recording import RecordWriter
from conntap.store.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["measure", "recording"]

#: Flows that are open at the same time: so many begin before the first of them ends.
TOGETHER = 1 << 15


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Measure the parts that the plan names."""
    parts = {"pipeline": pipeline, "ipfix": ipfix.measure, "memory": memory, "size": size}
    with on_cpu(-1):
        return {name: parts[name](plan) for name in plan["ledger_parts"]}


def recording(flows: int) -> Path:
    """Return a recording of so many flows, a NEW and a DESTROY event each; it is made once and kept."""
    path = data.folder() / f"flows-{flows}.pcapng"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with RecordWriter(partial, overwrite=True, description="synthetic flows of a gateway with NAT") as writer:
            for chunk in chunks(Shape(flows=flows), TOGETHER):
                for what in (NEW, DESTROY):
                    writer.write(_core.Batch.of(messages(chunk, what)))
        partial.rename(path)
    return path


def pipeline(plan: dict[str, Any]) -> dict[str, Any]:
    """`conntap log RECORDING --to …`: flows a second of CPU, and what it wrote is counted."""
    flows = plan["log_flows"]
    many, few = recording(flows), recording(10)
    figures: dict[str, Any] = {"flows": flows, "recording_bytes": many.stat().st_size, "sinks": {}}
    with data.scratch() as folder:
        targets = {
            "parquet:": (f"parquet:{folder}/ledger", folder / "ledger"),
            "parquet:, NAT alone": (f"parquet:{folder}/nat?nat_only=yes", folder / "nat"),
            "jsonl:": (f"jsonl:{folder}/flows.jsonl", folder / "flows.jsonl"),
            "null:": ("null:", None),
        }
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
        for number in range(plan["log_rounds"]):
            for name in sorted(targets, reverse=number % 2 == 1):
                target, left = targets[name]
                started = log(few, target, left, 10)[0]
                cost, size = log(many, target, left, flows)
                runs[name].append(
                    {
                        "rate": flows / (cost.cpu - started.cpu),
                        "wall_rate": flows / (cost.wall - started.wall),
                        "start_s": started.cpu,
                        "peak_mib": cost.peak_kib / 1024,
                        "bytes": size / flows,
                    }
                )
        for name, found in runs.items():
            figures["sinks"][name] = {key: spread([run[key] for run in found]) for key in found[0]}
    return figures


def log(path: Path, target: str, left: Path | None, flows: int) -> tuple[Any, int]:
    """One run of the command: its cost, and the bytes that it left; it must have recorded every flow."""
    with data.scratch() as folder:
        summary = folder / "summary.json"
        cost = timed([conntap(), "log", str(path), "--to", target, "--quiet", "--summary", str(summary)])
        told = json.loads(summary.read_text())["ledger"]
    size, recorded = written(left, told["flows"])
    if not told["flows"] == recorded == flows or told["open"] or told["lost"]:
        raise SystemExit(f"bench: {target}: {flows:,} flows, recorded {told['flows']:,}, written {recorded:,}: {told}")
    return cost, size


def written(left: Path | None, flows: int) -> tuple[int, int]:
    """Bytes and records of what a run left, which is then deleted."""
    if left is None:
        return 0, flows
    if left.is_dir():
        segments = Manifest.read(left).segments.values()
        found = sum(one.bytes for one in segments), sum(one.rows for one in segments)
        shutil.rmtree(left)
        return found
    size = left.stat().st_size
    with left.open("rb") as file:
        lines = sum(1 for _ in file)
    left.unlink()
    return size, lines


def memory(plan: dict[str, Any]) -> dict[str, Any]:
    """What open flows take: in a process of its own, whose memory nothing else has touched."""
    command = [sys.executable, "-m", "benches.ledger_memory", str(plan["open_flows"])]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def size(plan: dict[str, Any]) -> dict[str, Any]:
    """Bytes a record on disk, as written and when merged; and nfcapd's file of the same flows."""
    with data.scratch() as folder:
        figures = ledger_write.measure(Shape(flows=plan["size_flows"]), str(folder))
    figures["nfcapd"] = ledger_nfcapd.measure(recording(plan["nfcapd_flows"]), plan["nfcapd_flows"])
    return figures
