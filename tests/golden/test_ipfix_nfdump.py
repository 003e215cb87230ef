"""nfcapd takes what we send over loopback, and nfdump reads every field that the kernel told.

nfdump 1.7.1 keeps no post-NAT addresses of IPv6 from IPFIX (it does from NetFlow v9), and no flowId.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime

import pytest

from conntap.sinks.ipfix import IpfixSink
from flow_messages import ALL, DNAT, ICMP, ICMPV6, PING, PING6, PLAIN6, SNAT, SNAT6, START_NS, TUNNEL, ended, many

PATH = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
NFCAPD, NFDUMP = shutil.which("nfcapd", path=PATH), shutil.which("nfdump", path=PATH)

pytestmark = pytest.mark.skipif(not (NFCAPD and NFDUMP), reason="needs the program nfcapd")

UTC_ENVIRONMENT = os.environ | {"TZ": "UTC"}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nfcapd:
    """The collector of nfdump, on loopback."""

    def __init__(self, directory) -> None:
        self.directory, self.port, self.log = directory, free_port(), directory.with_name("log")
        command = [NFCAPD, "-w", directory, "-p", str(self.port), "-b", "127.0.0.1", "-t", "3600"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=UTC_ENVIRONMENT)
        self._wait(self._listens, "nfcapd listens")

    def _listens(self) -> bool:
        return any(line.split()[1].endswith(f":{self.port:04X}") for line in open_udp())

    def _wait(self, condition, what: str) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"not within 20 seconds: {what}"
            time.sleep(0.01)  # waits: polls with a deadline

    def drained(self) -> None:
        """It has taken what was sent to it from the socket."""
        ours = f":{self.port:04X}"
        self._wait(
            lambda: all(line.split()[4].endswith(":00000000") for line in open_udp() if line.split()[1].endswith(ours)),
            "nfcapd has read all",
        )

    def stop(self) -> list[dict]:
        """End it, and read what it has kept."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        command = [NFDUMP, "-R", self.directory, "-o", "json"]
        text = subprocess.run(command, check=True, capture_output=True, text=True, env=UTC_ENVIRONMENT).stdout
        return json.loads(text) if text.strip() else []


def open_udp() -> list[str]:
    with open("/proc/net/udp", encoding="ascii") as table:
        return table.read().splitlines()[1:]


def sent(tmp_path, batches, **options):
    """What nfdump says of those records, flows and NAT events apart, and what nfcapd wrote to its log."""
    (tmp_path / "data").mkdir()
    collector = Nfcapd(tmp_path / "data")
    try:
        sink = IpfixSink("ipfix:", host="127.0.0.1", port=collector.port, **options)
        sink.open()
        for records in batches:
            sink.write(records)
            collector.drained()
        sink.close()
        collector.drained()
    finally:
        rows = collector.stop()
    rows = [row for row in rows if "proto" in row]
    events = [row for row in rows if "nat_event" in row]
    return [row for row in rows if row not in events], events, collector.log.read_text()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return sent(tmp_path_factory.mktemp("nfdump"), [ended(*ALL, bindings="nat")])


def found(rows, connection):
    family = 6 if ":" in connection.orig.src else 4
    (row,) = [
        row
        for row in rows
        if (row.get(f"src{family}_addr"), row.get(f"dst{family}_addr"), row["proto"])
        == (connection.orig.src, connection.orig.dst, connection.proto)
    ]
    return row


@pytest.mark.parametrize("connection", [SNAT, DNAT])
def test_nat_of_flows(kept, connection):
    row = found(kept[0], connection)
    assert (row["src_port"], row["dst_port"]) == connection.orig.ports
    assert (row["src4_xlt_ip"], row["dst4_xlt_ip"]) == (connection.reply.dst, connection.reply.src)
    assert (int(row["src_xlt_port"]), int(row["dst_xlt_port"])) == connection.reply.ports[::-1]


@pytest.mark.parametrize("connection", ALL)
def test_counters_of_both_directions(kept, connection):
    row = found(kept[0], connection)
    told = [row[name] for name in ("in_packets", "in_bytes", "out_packets", "out_bytes")]
    assert told == list(connection.counters)


@pytest.mark.parametrize("connection", ALL)
def test_times(kept, connection):
    row = found(kept[0], connection)
    first = datetime.fromtimestamp(START_NS // 10**6 / 1000, UTC)
    assert row["first"] == first.strftime("%Y-%m-%dT%H:%M:%S.") + f"{START_NS // 10**6 % 1000:03}"
    assert row["last"] > row["first"]


@pytest.mark.parametrize("connection", [PLAIN6, SNAT6])
def test_ipv6(kept, connection):
    row = found(kept[0], connection)
    assert (row["src_port"], row["dst_port"]) == connection.orig.ports


@pytest.mark.parametrize("connection", [PING, PING6])
def test_icmp(kept, connection):
    row = found(kept[0], connection)
    assert row["proto"] in {ICMP, ICMPV6}
    assert (row["icmp_type"], row["icmp_code"]) == connection.orig.echo[1:]


def test_a_protocol_without_ports(kept):
    assert found(kept[0], TUNNEL)["proto"] == 50


def test_nat_events(kept):
    events = [event for event in kept[1] if event.get("src_port") == 40_000]
    assert [event["nat_event_id"] for event in events] == ["4", "5"]
    assert [event["nat_event"] for event in events] == ["NAT44 session create", "NAT44 session delete"]
    for event in events:
        assert (event["src4_addr"], event["src4_xlt_ip"], int(event["src_xlt_port"])) == (
            "10.0.0.5", "203.0.113.7", 41_234,
        )  # fmt: skip


def test_no_sequence_error(tmp_path):
    """Many messages, templates among them."""
    flows, events, log = sent(tmp_path, [many(300) for _ in range(5)])
    assert len(flows) == len(events) == 1500
    errors = [line for line in log.splitlines() if "Sequence Errors" in line]
    assert errors
    assert all("Sequence Errors: 0," in line for line in errors)


def test_netflow_9_brings_the_ipv6_translation(tmp_path):
    flows, events, _ = sent(tmp_path, [ended(*ALL, bindings="nat")], version=9)
    assert [event["nat_event_id"] for event in events if event["proto"] == 6] == ["4", "5"]
    assert found(flows, PING6)["icmp_type"] == 128
    row = found(flows, SNAT6)
    assert (row["src6_xlt_ip"], row["dst6_xlt_ip"]) == (SNAT6.reply.dst, SNAT6.reply.src)
    for connection in ALL:
        row = found(flows, connection)
        assert [row[name] for name in ("in_packets", "in_bytes", "out_packets", "out_bytes")] == list(
            connection.counters
        )
