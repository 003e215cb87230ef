"""Live capture over a veth pair: a sender on CPU 0, `conntap.Interface` in Python on CPU 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benches.affinity import on_cpu
from benches.figures import spread
from benches.process import ROOT, tool

__all__ = ["measure"]

LINK = """
link add live0 type veth peer name live1
link set live0 address 02:00:00:00:00:01 addrgenmode none up
link set live1 address 02:00:00:00:00:03 addrgenmode none up
"""


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Send at the rate of the plan, then as fast as one core can."""
    if len(os.sched_getaffinity(0)) < 2:
        return {"skipped": "one CPU: sender and receiver need one each"}
    subprocess.run(["ip", "-batch", "-"], input=LINK, text=True, check=True)
    rates = {"at the rate": plan["live_rate"], "as fast as it goes": 0}
    seconds, rounds = plan["live_seconds"], plan["live_rounds"]
    return {name: _sum_up([_run(rate, seconds) for _ in range(rounds)]) for name, rate in rates.items()}


def _run(rate: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benches.packet_readers", "live", "live1"]
    with on_cpu(1):
        receiver = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        if receiver.stdout.readline().strip() != "ready":
            raise SystemExit("bench: the receiver did not begin")
        size = ["--rate", str(rate), "--seconds", str(seconds)]
        with on_cpu(0):
            done = subprocess.run(
                [tool(), "packets-send", "--interface", "live0", *size], stdout=subprocess.PIPE, text=True, check=True
            )
        output, _ = receiver.communicate(timeout=60)
    finally:
        receiver.kill()
        receiver.wait()
    return {"sent": json.loads(done.stdout), "received": json.loads(output)}


def _sum_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    sent = [run["sent"] for run in runs]
    received = [run["received"] for run in runs]
    return {
        "packets_a_second": spread([run["packets_a_second"] for run in sent]),
        "mean_bytes": sum(run["bytes"] for run in sent) / sum(run["sent"] for run in sent),
        "sent": sum(run["sent"] for run in sent),
        "received": sum(run["packets"] for run in received),
        "lost": sum(run["lost"] for run in received),
        "events": sum(run["events"] for run in received),
        "ns_a_packet": spread([run["cpu_seconds"] * 1e9 / max(1, run["packets"]) for run in received]),
    }
