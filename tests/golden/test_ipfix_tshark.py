"""tshark reads our IPFIX file, and finds in it every field that the kernel told."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from conntap import Batch, _core
from conntap.sinks.ipfix_file import IpfixFileSink
from flow_messages import ALL, DNAT, PING, PING6, PLAIN6, SNAT, SNAT6, START_NS, TUNNEL, ended

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs the program tshark")

V4 = ["srcaddr", "dstaddr", "post_natsource_ipv4_address", "post_natdestination_ipv4_address"]
V6 = ["srcaddrv6", "dstaddrv6", "post_nat_source_ipv6_address", "post_nat_destination_ipv6_address"]
PORTS = ["srcport", "dstport", "post_naptsource_transport_port", "post_naptdestination_transport_port"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """All forms of flows, with their NAT events and a gap."""
    path = tmp_path_factory.mktemp("ipfix") / "flows.ipfix"
    sink = IpfixFileSink("ipfix:", path, extended=True)
    sink.open()
    gap = _core.Ledger().feed(Batch.gap("overrun", START_NS, START_NS, 5))
    for connection in (
        replace(SNAT, helper="ftp"),
        *ALL[1:],
    ):  # a batch each, so that each is a message: one line of tshark's
        sink.write(ended(connection, bindings="nat"))
    sink.write(gap)
    sink.close()
    return path


def tshark(path, *arguments: str) -> str:
    command = ["tshark", "-r", str(path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def fields(path, where: str, *names: str) -> list[list[str]]:
    options = [word for name in names for word in ("-e", f"cflow.{name}")]
    text = tshark(path, "-T", "fields", "-E", "separator=/t", "-Y", where, *options)
    return [line.split("\t") for line in text.splitlines()]


def ends(connection):
    o, r = connection.orig, connection.reply
    return [o.src, o.dst, r.dst, r.src], [str(port) for port in (*o.ports, r.ports[1], r.ports[0])]


def test_nothing_is_malformed_and_nothing_is_missing(path):
    text = tshark(path, "-V")
    assert "Malformed" not in text
    assert "sequence" in text.lower()
    assert "expected" not in text.lower()  # what it says of a sequence number that is not the next one
    assert tshark(path, "-Y", "_ws.expert.severity >= 4194304") == ""


@pytest.mark.parametrize(("connection", "names"), [(SNAT, V4), (DNAT, V4), (PLAIN6, V6), (SNAT6, V6)])
def test_addresses_and_ports_of_both_sides(path, connection, names):
    addresses, ports = ends(connection)
    key = f"cflow.{names[0]} == {addresses[0]} && cflow.flow_end_reason && cflow.protocol == {connection.proto}"
    assert fields(path, key, *names, *PORTS) == [addresses + ports]


@pytest.mark.parametrize(
    ("connection", "names"), [(PING, ["icmp_type_code_ipv4"]), (PING6, ["icmp_ipv6_type", "icmp_ipv6_code"])]
)
def test_icmp(path, connection, names):
    where = f"cflow.protocol == {connection.proto} && cflow.flow_end_reason"
    identifier, kind, code = connection.orig.echo
    told = ["0x0800"] if connection is PING else [str(kind), str(code)]
    assert fields(path, where, *names, "srcport", "post_naptsource_transport_port") == [
        [*told, str(identifier), str(connection.reply.echo[0])]
    ]


def test_a_protocol_without_ports(path):
    assert fields(path, f"cflow.protocol == {TUNNEL.proto} && cflow.flow_end_reason", "srcaddr", "srcport") == [
        [TUNNEL.orig.src, ""]
    ]


def test_counters_of_both_directions(path):
    text = tshark(path, "-V", "-Y", "cflow.srcaddr == 10.0.0.5 && cflow.srcport == 40000 && cflow.flow_end_reason")
    lines = [line.strip() for line in text.splitlines()]
    packets, octets, reply_packets, reply_octets = SNAT.counters
    assert f"Octets: {octets}" in lines
    assert f"Packets: {packets}" in lines
    assert f"Octets: {reply_octets} (Reverse Type 1 BYTES)" in lines
    assert f"Packets: {reply_packets} (Reverse Type 2 PKTS)" in lines


def test_times(path):
    ((start, end),) = fields(path, "cflow.srcport == 40000 && cflow.flow_end_reason", "abstimestart", "abstimeend")
    assert ".123" in start
    assert ".123" in end
    assert start != end


def test_nat_events(path):
    found = fields(path, "cflow.nat_event && cflow.srcport == 40000", "nat_event", *V4, *PORTS)
    addresses, ports = ends(SNAT)
    twice = [",".join([value, value]) for value in addresses + ports]
    assert [[row[0].replace(" ", ""), *row[1:]] for row in found] == [["4,5", *twice]]


def test_the_helper_is_the_application(path):
    assert fields(path, "cflow.srcport == 40000 && cflow.flow_end_reason", "appl_name") == [["ftp"]]
