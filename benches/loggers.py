"""Other programs that log connections, beside ours, under the same floods: conntap, ulogd2, and softflowd with nfcapd.

Every flow of the flood has its source translated. Two floods: one that all survive, for CPU a flow (schedstat, start-up
left out; rounds alternate), and one of 80,000 events a second, for what is recorded and lost. Before the second a ping
and an IPv6 datagram are sent, so that what a program knows of ICMP and IPv6 can be looked up in what it wrote; and so
can the address that the source was translated to.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches import data
from benches.figures import ratio, spread
from benches.flood import (
    DEADLINE_S,
    RULES,
    SYSCTL,
    cpu_ns,
    drained,
    empty_table,
    entries,
    evict,
    flood,
    listener_inode,
    prepare,
    socket_of,
    wait_for,
)
from benches.loggers_probe import probe
from benches.loggers_programs import PUBLIC, Program, missing, programs

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["measure"]

# The other end is up, so that what captures packets sees them; it refuses them, since they are not for its address.
LINK = """
link add flood0 type veth peer name flood1
link set flood1 up
link set flood0 arp off up
addr add 10.9.0.1/16 dev flood0
addr add 2001:db8:9::1/64 dev flood0 nodad
route add 198.18.0.0/15 via 10.9.255.254 dev flood0
"""
NAT = f"""
table ip flood_nat {{
  chain before {{ type filter hook output priority raw; oifname "lo" notrack; }}
  chain behind {{ type nat hook postrouting priority srcnat; oifname "flood0" ip protocol udp snat to {PUBLIC}; }}
}}
"""


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Return CPU a flow with ratios, and the table of losses and abilities."""
    prepare(rules=RULES + NAT, link=LINK, acct=True)
    (SYSCTL / "nf_conntrack_icmp_timeout").write_text("1")  # the ping's entry shall not outlive the flood's
    figures: dict[str, Any] = {"skipped": {}, "cost": {}, "loss": {}}
    with data.scratch() as folder:
        chosen: dict[str, Program] = {}
        for program in programs(folder):
            if reason := missing(program):
                figures["skipped"][program.name] = reason
            else:
                chosen[program.name] = program
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
        for number in range(plan["logger_rounds"]):
            for name in sorted(chosen, reverse=number % 2 == 1):
                if chosen[name].costs:
                    seconds, rate = plan["modest_seconds"], plan["modest_rate"]
                    runs[name].append(run(chosen[name], folder, seconds, rate))
        figures["cost"] = {name: costs(found, runs, chosen[name]) for name, found in runs.items() if found}
        for name, program in chosen.items():
            if not program.compared:
                continue
            found = run(program, folder, plan["loss_seconds"], plan["loss_rate"], probing=True, patient=plan["patient"])
            figures["loss"][name] = {"kind": program.kind, "notes": program.notes, **found}
    return figures


def costs(found: list[dict[str, Any]], runs: dict[str, list[dict[str, Any]]], program: Program) -> dict[str, Any]:
    """CPU a flow of one program, and that of its opposite in our CPU."""
    figures: dict[str, Any] = {
        "cpu_us_a_flow": spread([one["cpu_us_a_flow"] for one in found]),
        "created": sum(one["created"] for one in found),
        "recorded": sum(one["recorded"] for one in found),
    }
    if theirs := runs.get(program.against):
        figures["against"] = program.against
        ours = [one["cpu_us_a_flow"] for one in found]
        figures["ratio"] = ratio(ours, [one["cpu_us_a_flow"] for one in theirs])
    return figures


def run(
    program: Program, folder: Path, seconds: float, rate: int, *, probing: bool = False, patient: bool = False
) -> dict[str, Any]:
    """One flood under one program.

    Args:
        patient: leave it to the kernel's collector to find what has expired, in its own time: no burst at the end.
    """
    empty_table()
    place = folder / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    with program.receiver(place) as receiver:
        command = program.command(place, receiver)
        with (place / "errors").open("w") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, cwd=place
            )
        try:
            idle = subscribed(program, process.pid)
            wait_for(idle, f"{program.name} to be idle")
            before = cpu_ns(process.pid)
            if probing:
                probe()
            made = flood(seconds, rate, pinned=False)
            if patient:
                wait_for(lambda: entries() == 0, "the entries to expire")
            else:
                evict()
            wait_for(idle, f"{program.name} to catch up")
            time.sleep(program.settle)
            found: dict[str, Any] = {"cpu_us_a_flow": (cpu_ns(process.pid) - before) / 1000 / made["created"]}
            found["overruns"] = socket_of(inode)["Drops"] if (inode := listener_inode()) else None
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()
        receiver.finish()
        found |= {"created": made["created"], "flows_a_second": made["flows_per_second"]}
        found |= program.seen(place, receiver)
    found["lost"] = made["created"] - found["recorded"]
    return found


def subscribed(program: Program, pid: int) -> Callable[[], bool]:
    """Wait until the program listens; return what says whether it has nothing to do."""
    if program.captures:
        wait_for(lambda: len(Path("/proc/net/packet").read_text().splitlines()) > 1, f"{program.name} to capture")
        return lambda: quiet(pid)
    inode = wait_for(listener_inode, f"{program.name} to subscribe")
    return lambda: drained(inode, pid)


def quiet(pid: int) -> bool:
    """It hardly works."""
    before = cpu_ns(pid)
    time.sleep(0.2)
    return cpu_ns(pid) - before < 2_000_000
