"""A flood of new flows in a namespace of its own, and what the kernel tells of it and of its listeners."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.affinity import on_cpu
from benches.process import conntap, tool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEADLINE_S", "LINK", "RULES", "SYSCTL", "cpu_ns", "drained", "empty_table", "entries", "evict", "flood",
    "listener_inode", "prepare", "socket_of", "wait_for",
]  # fmt: skip

SYSCTL = Path("/proc/sys/net/netfilter")
NETLINK = Path("/proc/net/netlink")
DEADLINE_S = 120.0

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


def prepare(*, rules: str = RULES, link: str = LINK, acct: bool = False) -> None:
    """Make the link and the rules of this namespace; entries live a second and tell their times."""
    subprocess.run(["ip", "-batch", "-"], input=link, text=True, check=True)
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    settings = {"udp_timeout": 1, "timestamp": 1, "acct": int(acct)} | ({"events": 1} if acct else {})
    for name, value in settings.items():
        (SYSCTL / f"nf_conntrack_{name}").write_text(str(value))


def flood(seconds: float, rate: int, *, pinned: bool) -> dict[str, Any]:
    """Run the generator; *rate* 0: as fast as it can."""
    failed_before = not_inserted()
    command = [tool(), "flood", "--seconds", str(seconds), "--rate", str(rate)]
    with on_cpu(0 if pinned else None):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    made = json.loads(done.stdout)
    made["created"] = made["sent"] + made["failed"] - (not_inserted() - failed_before)
    made["flows_per_second"] = made["created"] / made["seconds"]
    made["flows_per_cpu_second"] = made["created"] / made["cpu_seconds"]
    return made


def empty_table() -> None:
    """Delete all entries, and wait until they are gone."""
    subprocess.run([conntap("conntap-conntrack"), "-F"], stderr=subprocess.DEVNULL, check=True)
    wait_for(lambda: entries() == 0, "the table to be empty")


def evict() -> None:
    """Wait until all entries have gone; a dump deletes those that have expired."""

    def gone() -> bool:
        time.sleep(0.2)
        subprocess.run(
            [conntap("conntap-conntrack"), "-L"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        return entries() == 0

    wait_for(gone, "the entries to expire")


def entries() -> int:
    """Entries of this namespace's table."""
    return int((SYSCTL / "nf_conntrack_count").read_text())


def not_inserted() -> int:
    """Packets whose entry could not be kept, over all CPUs: insert_failed + drop."""
    header, *rows = Path("/proc/net/stat/nf_conntrack").read_text().splitlines()
    columns = [header.split().index(name) for name in ("insert_failed", "drop")]
    return sum(int(row.split()[column], 16) for row in rows for column in columns)


def sockets() -> list[dict[str, str]]:
    """Netlink sockets, by column."""
    header, *lines = NETLINK.read_text().splitlines()
    return [dict(zip(header.split(), line.split(), strict=False)) for line in lines]


def listener_inode() -> str | None:
    """The socket of this namespace that hears NEW events (netlink family 12 = netfilter, group bit 0)."""
    for one in sockets():
        if one["Eth"] == "12" and int(one["Groups"], 16) & 1:
            return one["Inode"]
    return None


def socket_of(inode: str) -> dict[str, Any]:
    """What the kernel tells of a netlink socket."""
    found = next(one for one in sockets() if one["Inode"] == inode)
    return {**found, "Rmem": int(found["Rmem"]), "Drops": int(found["Drops"])}


def drained(inode: str, pid: int) -> bool:
    """The queue is empty and the reader has stopped working."""
    before = cpu_ns(pid)
    time.sleep(0.1)
    return socket_of(inode)["Rmem"] == 0 and cpu_ns(pid) - before < 1_000_000


def cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU of all threads of a process."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait until *condition* gives something, and return that."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"bench: waited {DEADLINE_S:.0f} s for {what}")
        time.sleep(0.02)
    return found
