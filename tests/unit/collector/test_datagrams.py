"""UDP: datagrams become records, and those that the kernel drops are counted."""

from __future__ import annotations

import socket

import pytest

from conntap.collector import Collector
from conntap.collector.datagrams import plain
from exported import tiny

SENDERS = {"127.0.0.1": socket.AF_INET, "[::1]": socket.AF_INET6}


@pytest.mark.parametrize("host", SENDERS)
def test_records_say_who_sent_them(host, gather):
    with Collector(f"ipfix://{host}:0") as collector, socket.socket(SENDERS[host], socket.SOCK_DGRAM) as exporter:
        exporter.sendto(tiny(0, 4000), collector.addresses[0])
        (event,) = gather(collector, len).events()
        assert event.flow is not None
        assert event.flow.record is not None
        assert (event.flow.record.exporter, event.flow.original.sport) == (host.strip("[]"), 4000)
        assert (collector.counters["datagrams"], collector.counters["kernel_drops"]) == (1, 0)


def test_two_exporters_at_one_address_do_not_share_templates(gather):
    with (
        Collector("ipfix://127.0.0.1:0") as collector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.sendto(tiny(0, 1), collector.addresses[0])
        other.sendto(tiny(0, 2, template=False), collector.addresses[0])
        other.sendto(tiny(1, 3), collector.addresses[0])
        ports = [event.flow.original.sport for event in gather(collector, lambda batch: len(batch) == 3).events()]
        assert ports == [1, 2, 3]
        assert (collector.counters["waited"], collector.counters["waited_read"]) == (1, 1)


def test_what_does_not_fit_the_buffer_is_counted_and_its_records_are_a_gap(gather):
    with (
        Collector("ipfix://127.0.0.1:0?buffer=4096") as collector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter,
    ):
        for seq in range(200):
            exporter.sendto(tiny(seq, seq), collector.addresses[0])
        first = gather(collector, len)
        dropped = collector.counters["kernel_drops"]
        assert dropped == 200 - len(first) > 0
        exporter.sendto(tiny(200, 200), collector.addresses[0])
        rest = gather(collector, lambda batch: any(event.kind == "GAP" for event in batch.events()))
        gaps = [event.gap for event in rest.events() if event.gap is not None]
        assert [(gap.cause, gap.lost) for gap in gaps] == [("overrun", dropped)]
        assert collector.counters["lost"] == dropped


def test_strangers_are_refused_and_counted(gather):
    with (
        Collector("ipfix://127.0.0.1:0?from=127.0.0.2") as collector,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter,
    ):
        exporter.bind(("127.0.0.2", 0))
        stranger.sendto(tiny(0, 1), collector.addresses[0])
        exporter.sendto(tiny(0, 2), collector.addresses[0])
        assert [event.flow.original.sport for event in gather(collector, len).events()] == [2]
        assert (collector.counters["refused_exporter"], collector.counters["datagrams"]) == (1, 1)


def test_rubbish_is_counted_and_a_sample_kept(gather):
    with Collector("ipfix://127.0.0.1:0") as collector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for rubbish in (b"", b"\x00", b"\x00\x05" + bytes(70), b"hello"):
            exporter.sendto(rubbish, collector.addresses[0])
        exporter.sendto(tiny(0, 1), collector.addresses[0])
        assert len(gather(collector, len)) == 1
        assert (collector.counters["malformed_length"], collector.counters["malformed_version"]) == (2, 2)
        assert collector.sample is not None


def test_addresses_are_plain():
    assert plain("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain("fe80::1%eth0") == "fe80::1"
    assert plain("2001:db8::1") == "2001:db8::1"
