"""Other people's exporters feed the collector: each flow of a capture arrives with what the engine saw of it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conntap import _core
from conntap.collector import Collector
from exported import PCAP, flows, messages, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
SECOND = 1_000_000_000
#: Milliseconds of uptime have 32 bits.
WRAP = (1 << 32) * 1_000_000
#: (source, destination, source port, destination port, protocol).
Ends = tuple[object, ...]


@pytest.fixture
def need() -> Callable[[str], str]:
    """Find a program, or skip."""

    def find(program: str) -> str:
        path = shutil.which(program, path=SYSTEM_PATH)
        if path is None:
            pytest.skip(f"needs the program {program}")
        return path

    return find


def wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"not within twenty seconds: {what}"
        time.sleep(0.01)  # waits: polled


def receive(collector: Collector, rows: int) -> _core.Batch:
    """Wait for so many rows."""
    deadline = time.monotonic() + 20
    batch = _core.Batch.concat([])
    while len(batch) < rows:
        assert time.monotonic() < deadline, f"{len(batch)} of {rows} rows: {collector.counters}"
        more = collector.receive(0.1)
        if more is not None:
            batch = _core.Batch.concat([batch, more])
    return batch


def softflowd(program: str, name: str, port: int, *options: str) -> None:
    """Let softflowd track a capture and export it."""
    command = [program, "-r", str(PCAP / f"{name}.pcap"), "-n", f"127.0.0.1:{port}", "-d", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def ends(tuple_: _core.Tuple) -> Ends:
    return (str(tuple_.src), str(tuple_.dst), tuple_.sport, tuple_.dport, tuple_.l4proto)


def counted(counters: _core.Counters | None) -> tuple[int, int]:
    assert counters is not None
    return (counters.packets or 0, counters.bytes or 0)


def both_ways(batch: _core.Batch) -> dict[Ends, tuple[tuple[int, int], tuple[int, int]]]:
    """Packets and bytes there and back, by the original direction."""
    return {
        ends(flow.original): (counted(flow.original_counters), counted(flow.reply_counters)) for flow in flows(batch)
    }


def one_way(batch: _core.Batch) -> dict[Ends, tuple[int, int]]:
    """Packets and bytes of each direction that had any."""
    found: dict[Ends, tuple[int, int]] = {}
    for flow in flows(batch):
        found[ends(flow.original)] = counted(flow.original_counters)
        if flow.reply_counters is not None:
            found[ends(flow.reply)] = counted(flow.reply_counters)
    return {side: counts for side, counts in found.items() if counts[0]}


def starts(batch: _core.Batch) -> dict[Ends, int]:
    found: dict[Ends, int] = {}
    for flow in flows(batch):
        assert flow.start_ns is not None
        found[ends(flow.original)] = flow.start_ns
    return found


@pytest.mark.parametrize("name", ["ftp_passive", "ftp_active", "ftp6", "tcp_basic", "udp_stream", "tftp"])
def test_a_biflow_of_softflowd_is_one_flow_with_both_counters(name, need):
    wanted = records(name)
    with Collector("ipfix://127.0.0.1:0") as collector:
        softflowd(need("softflowd"), name, collector.addresses[0][1], "-v", "10", "-b", "-A", "milli")
        batch = receive(collector, len(flows(wanted)))
        # softflowd calls the lower address the source, whoever began.
        assert one_way(batch) == one_way(wanted)
        begun = starts(wanted)
        for side, start_ns in starts(batch).items():
            assert side not in begun or abs(start_ns - begun[side]) <= 2_000_000, side
        lost = {name: count for name, count in collector.counters.items() if "malformed" in name or "dropped" in name}
        assert not any(lost.values())
        assert collector.counters["lost"] == collector.counters["miscounting"] == 0
    assert {flow.record.exporter for flow in flows(batch) if flow.record} == {"127.0.0.1"}
    assert all(flow.record and flow.record.start_from == "exporter" for flow in flows(batch))


@pytest.mark.parametrize("name", ["ftp_passive", "ftp6", "udp_stream"])
@pytest.mark.parametrize("options", [("-v", "9"), ("-v", "10", "-A", "nano"), ("-v", "10")])
def test_directions_that_are_told_apart_are_flows_of_their_own(name, options, need):
    wanted = one_way(records(name))
    with Collector("ipfix://127.0.0.1:0") as collector:
        softflowd(need("softflowd"), name, collector.addresses[0][1], *options)
        batch = receive(collector, len(wanted))
        assert one_way(batch) == wanted
        begun = starts(records(name))
        for side, start_ns in starts(batch).items():
            if side in begun:
                # By uptime a time is known to 2^32 ms, and the capture is older; and softflowd cuts seconds off, twice.
                off_by = (start_ns - begun[side] + 2 * SECOND) % WRAP
                assert off_by <= 3 * SECOND, side


def test_messages_by_tcp_are_those_by_udp(need):
    wanted = records("ftp_passive")
    with Collector("ipfix://127.0.0.1:0?transport=tcp") as collector:
        port = collector.addresses[0][1]
        softflowd(need("softflowd"), "ftp_passive", port, "-v", "10", "-b", "-P", "tcp")
        assert both_ways(receive(collector, len(flows(wanted)))) == both_ways(wanted)


def test_icmp_is_told_by_type_and_code(need):
    with Collector("ipfix://127.0.0.1:0") as collector:
        softflowd(need("softflowd"), "icmp_echo", collector.addresses[0][1], "-v", "9")
        found = {
            (str(flow.original.src), flow.original.icmp_type, flow.original.icmp_code, counted(flow.original_counters))
            for flow in flows(receive(collector, 2))
        }
    (flow,) = flows(records("icmp_echo"))
    there, back = counted(flow.original_counters), counted(flow.reply_counters)
    assert found == {(str(flow.original.src), 8, 0, there), (str(flow.original.dst), 0, 0, back)}


@contextmanager
def nfcapd(program: str, folder: Path) -> Iterator[tuple[str, int]]:
    """nfcapd at a free port; its file is whole behind the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [program, "-w", str(folder), "-p", str(port), "-b", "127.0.0.1", "-t", "3600"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text(), "nfcapd listens")
        yield "127.0.0.1", port
        # It has read all that was sent when its receive queue is empty (tx:rx stands behind the state).
        wait(lambda: queue_of(port) == 0, "nfcapd has read all")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def queue_of(port: int) -> int:
    """Bytes that wait in the socket bound to this port."""
    line = next(line for line in Path("/proc/net/udp").read_text().splitlines() if f":{port:04X} " in line)
    return int(line.split()[4].partition(":")[2], 16)


@pytest.mark.parametrize("version", [10, 9])
def test_what_nfdump_replays_is_what_it_was_sent(version, need, tmp_path):
    wanted = records("ftp_passive")
    with nfcapd(need("nfcapd"), tmp_path) as address, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for message in messages(wanted, version=version, nat_events="no"):
            exporter.sendto(message, address)
    (file,) = tmp_path.glob("nfcapd.2*")
    with Collector("ipfix://127.0.0.1:0") as collector:
        port = collector.addresses[0][1]
        command = [need("nfreplay"), "-r", str(file), "-H", "127.0.0.1", "-p", str(port), "-v", "9"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        batch = receive(collector, len(flows(wanted)))
        assert both_ways(batch) == both_ways(wanted)
        assert {side: ns // 1_000_000 for side, ns in starts(batch).items()} == {
            side: ns // 1_000_000 for side, ns in starts(wanted).items()
        }
        assert collector.counters["lost"] == 0
