"""The programs of `loggers`: how each is started, and what is in what it wrote."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benches.ledger_nfcapd import Nfcapd
from benches.loggers_probe import PING, SIX
from benches.process import conntap, tool
from conntap.store.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["PUBLIC", "Program", "missing", "programs"]

#: The address that sources are translated to.
PUBLIC = "203.0.113.7"
PATH = "/usr/local/bin:/usr/bin:/usr/sbin:/sbin"
ULOGD_LIBRARIES = "/usr/lib/x86_64-linux-gnu/ulogd"
PINGED = re.compile(rb'"icmp"|"orig.ip.protocol": ?1,')
FLOOD = re.compile(rb'"198\.1[89]\.')

ULOGD = """\
[global]
logfile="{place}/ulogd.log"
loglevel=5
plugin="{libraries}/ulogd_inpflow_NFCT.so"
plugin="{libraries}/ulogd_filter_IP2STR.so"
plugin="{libraries}/ulogd_output_{output}.so"
stack={stack}
[ct1]
event_mask=5
hash_enable=1
hash_buckets=65536
hash_max_entries=2000000
{tuning}
[json1]
sync=0
file="{place}/flows.jsonl"
[ipfix1]
oid=1
host="127.0.0.1"
port={port}
proto="udp"
mtu=1400
send_template="always"
"""
#: So much as helps it, by its own options.
TUNED = "netlink_socket_buffer_size=134217728\nnetlink_socket_buffer_maxsize=134217728\nreliable=1"


class Nothing:
    """No receiver."""

    port = 0

    def finish(self) -> None:
        """There is nothing to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program.

    Attributes:
        name: in the report.
        kind: what it is, in words.
        needs: programs, by name.
        command: what is run.
        seen: records of the flood, and what is known of NAT, ICMP and IPv6, in what was written.
        receiver: where it sends to.
        against: the program that its cost is compared with.
        compared: it is a row of the comparison.
        costs: its CPU is measured in the modest flood.
        captures: packets instead of the kernel's events.
        settle: seconds until it has sent what it holds.
        notes: what its documentation or settings say, for the table.
    """

    name: str
    kind: str
    needs: tuple[str, ...]
    command: Callable[[Path, Any], list[str]]
    seen: Callable[[Path, Any], dict[str, Any]]
    receiver: Callable[[Path], Any]
    against: str = ""
    compared: bool = True
    costs: bool = True
    captures: bool = False
    settle: float = 0.0
    notes: dict[str, str] = field(default_factory=dict)


def missing(program: Program) -> str:
    """Why it cannot be run; empty where it can."""
    lacking = [name for name in program.needs if shutil.which(name, path=PATH) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def programs(_folder: Path) -> list[Program]:
    """All of them, ours first."""

    def ulogd(output: str, stack: str, tuning: str = TUNED) -> Callable[[Path, Any], list[str]]:
        def command(place: Path, receiver: Any) -> list[str]:
            settings = place / "ulogd.conf"
            settings.write_text(
                ULOGD.format(
                    place=place,
                    libraries=ULOGD_LIBRARIES,
                    output=output,
                    stack=stack,
                    tuning=tuning,
                    port=receiver.port,
                )
            )
            return ["/usr/sbin/ulogd", "-c", str(settings)]

        return command

    def ours(target: str) -> Callable[[Path, Any], list[str]]:
        def command(place: Path, receiver: Any) -> list[str]:
            where = target.format(place=place, port=receiver.port)
            return [conntap(), "log", "--to", where, "--quiet", "--summary", str(place / "summary.json")]

        return command

    json_stack, ipfix_stack = "ct1:NFCT,ip2str1:IP2STR,json1:JSON", "ct1:NFCT,ipfix1:IPFIX"
    said = {"says its losses": "yes: GAP records in the log, counters"}
    silent = {"says its losses": "no: its records have no place for them"}
    packets = {"says its losses": "not in its records; softflowctl tells what libpcap dropped"}
    return [
        Program(
            name="conntap, jsonl:", kind="conntrack events → JSON lines", needs=(),
            command=ours("jsonl:{place}/flows.jsonl"), seen=in_lines, receiver=nobody,
            against="ulogd2, JSON", notes=said,
        ),
        Program(
            name="conntap, ipfix:", kind="conntrack events → IPFIX over UDP → nfcapd", needs=("nfcapd", "nfdump"),
            command=ours("ipfix://127.0.0.1:{port}?transport=udp&nat_events=no"), seen=in_nfcapd, receiver=nfcapd,
            against="ulogd2, IPFIX", notes=said,
        ),
        Program(
            name="conntap, parquet:", kind="conntrack events → segments of Parquet, journal", needs=(),
            command=ours("parquet:{place}/ledger"), seen=in_ledger, receiver=nobody, against="ulogd2, JSON", notes=said,
        ),
        Program(
            name="ulogd2, JSON", kind="conntrack events → JSON lines; large buffer, reliable=1", needs=("ulogd",),
            command=ulogd("JSON", json_stack), seen=in_lines, receiver=nobody, notes=silent,
        ),
        Program(
            name="ulogd2, JSON, its defaults", kind="the same; default buffer, reliable=0", needs=("ulogd",),
            command=ulogd("JSON", json_stack, ""), seen=in_lines, receiver=nobody, costs=False, notes=silent,
        ),
        Program(
            name="ulogd2, IPFIX", kind="conntrack events → IPFIX over UDP → nfcapd; large buffer, reliable=1",
            needs=("ulogd", "nfcapd", "nfdump"), command=ulogd("IPFIX", ipfix_stack), seen=in_nfcapd, receiver=nfcapd,
            notes=silent,
        ),
        Program(
            name="floor: receive, count, discard", kind="conntrack events → nowhere", needs=(),
            command=lambda place, _: [tool(), "listen-floor", "--summary", str(place / "floor.json")],
            seen=in_floor, receiver=nobody, compared=False,
        ),
        Program(
            name="softflowd → nfcapd", kind="packets of the outside interface → IPFIX over UDP → nfcapd",
            needs=("softflowd", "nfcapd", "nfdump"), command=softflowd, seen=in_nfcapd, receiver=nfcapd, captures=True,
            settle=5.0, notes=packets,
        ),
    ]  # fmt: skip


def softflowd(place: Path, receiver: Any) -> list[str]:
    timeouts = [word for name in ("udp", "general", "icmp", "expint") for word in ("-t", f"{name}=1")]
    where = ["-n", f"127.0.0.1:{receiver.port}", "-v", "10", "-p", str(place / "pid"), "-c", "none"]
    return ["/usr/sbin/softflowd", "-d", "-6", "-i", "flood0", "-m", "2000000", "-B", "134217728", *timeouts, *where]


@contextmanager
def nobody(_place: Path) -> Iterator[Nothing]:
    yield Nothing()


@contextmanager
def nfcapd(place: Path) -> Iterator[Collector]:
    collector = Collector(place)
    try:
        yield collector
    finally:
        collector.finish()


class Collector:
    """nfcapd, and whether its socket dropped anything."""

    def __init__(self, place: Path) -> None:
        self.nfcapd = Nfcapd(place / "nfcapd")
        self.port = self.nfcapd.port

    def finish(self) -> None:
        """End it."""
        if self.nfcapd.process.poll() is None:
            self.nfcapd.stop()


def in_nfcapd(place: Path, receiver: Collector) -> dict[str, Any]:
    """Ask nfdump; flows of the flood are UDP to 198.18.0.0/15."""
    store = receiver.nfcapd
    flows = store.flows()
    pings, six = store.count(f"proto icmp and ip {PING}"), store.count(f"ip {SIX}")
    return {
        "recorded": flows - pings - six,
        "bytes_a_flow": store.bytes() / max(1, flows),
        "icmp": pings > 0,
        "ipv6": six > 0,
        "nat": PUBLIC in store.ask("-c", "1", "-o", "json", "proto udp and src ip 10.9.0.1"),
        **told(place),
    }


def in_lines(place: Path, _receiver: Any) -> dict[str, Any]:
    """JSON lines of the flood, and of what came before it."""
    recorded = size = 0
    found = {"icmp": False, "ipv6": False, "nat": False}
    with (place / "flows.jsonl").open("rb") as file:
        for line in file:
            if SIX.encode() in line:
                found["ipv6"] = True
            elif PINGED.search(line):
                found["icmp"] = True
            elif FLOOD.search(line):
                recorded += 1
                size += len(line)
                if recorded == 1:
                    found["nat"] = PUBLIC in line.decode() and "10.9.0.1" in line.decode()
    return {"recorded": recorded, "bytes_a_flow": size / max(1, recorded), **told(place), **found}


def in_ledger(place: Path, _receiver: Any) -> dict[str, Any]:
    """Rows of the segments, asked by `conntap flows`."""
    import duckdb

    segments = Manifest.read(place / "ledger").segments.values()
    size, rows = sum(one.bytes for one in segments), sum(one.rows for one in segments)
    files = [str(place / "ledger" / one.file) for one in segments]
    protocol, family, nat = duckdb.sql(
        "SELECT count(*) FILTER (l4proto = 1), count(*) FILTER (family = 10), count(*) FILTER (nat > 0) "
        f"FROM read_parquet({files}, union_by_name = true)"
    ).fetchall()[0]
    return {
        "recorded": rows - protocol - family,
        "bytes_a_flow": size / max(1, rows),
        "icmp": protocol > 0,
        "ipv6": family > 0,
        "nat": nat > 0,
        **told(place),
    }


def in_floor(place: Path, _receiver: Any) -> dict[str, Any]:
    """DESTROY events that were counted."""
    return {"recorded": json.loads((place / "floor.json").read_text())["kinds"].get("DESTROY", 0)}


def told(place: Path) -> dict[str, Any]:
    """What our logger says that it lost."""
    summary = place / "summary.json"
    return {"told_lost": json.loads(summary.read_text())["ledger"]["lost"]} if summary.exists() else {}
