"""The collector as a source: what our own exporter sends comes back, and rubbish does no harm."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap import _core
from conntap.collector import Collector
from conntap.errors import ClosedError, UsageError
from exported import ends, flows, messages, records, tiny


def send(collector: Collector, datagrams: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for datagram in datagrams:
            exporter.sendto(datagram, collector.addresses[0])


@pytest.mark.parametrize("name", ["ftp_passive", "ftp6", "fragments"])
@pytest.mark.parametrize("version", [10, 9])
@pytest.mark.parametrize("nat", [False, True])
def test_what_our_own_exporter_sends_comes_back(name, version, nat, gather):
    wanted = records(name, nat=nat)
    with Collector("ipfix://127.0.0.1:0") as collector:
        send(collector, messages(wanted, version=version))
        count = len(flows(wanted)) + len(flows(wanted, "BINDING"))
        batch = gather(collector, lambda batch: len(batch) >= count)
        assert ends(batch) == ends(wanted)
        for mine, theirs in zip(by_id(batch), by_id(wanted), strict=True):
            assert mine.record.flow_id == theirs.record.flow_id
            assert mine.original_counters == theirs.original_counters
            assert mine.reply_counters == theirs.reply_counters
            assert mine.record.end_reason == theirs.record.end_reason
            assert mine.start_ns // 1_000_000 == theirs.start_ns // 1_000_000
            assert mine.stop_ns // 1_000_000 == theirs.stop_ns // 1_000_000
        assert len(flows(batch, "BINDING")) == len(flows(wanted, "BINDING"))
        assert collector.counters["lost"] == collector.counters["miscounting"] == collector.counters["gaps"] == 0


def by_id(batch: _core.Batch) -> list[_core.Flow]:
    return sorted(flows(batch), key=lambda flow: flow.record.flow_id)


def test_a_ledger_takes_its_records_under_numbers_of_its_own(gather):
    with Collector("ipfix://127.0.0.1:0") as collector:
        send(collector, [tiny(0, 1), tiny(1, 2)])
        batch = gather(collector, lambda batch: len(batch) == 2)
    ledger = _core.Ledger(seq=10)
    numbered = flows(ledger.feed(batch))
    assert [flow.record.seq for flow in numbered] == [11, 12]
    assert len({flow.record.flow_id for flow in numbered}) == 2
    assert {flow.record.exporter for flow in numbered} == {"127.0.0.1"}


def test_a_filter_says_which_records(gather):
    with Collector("ipfix://127.0.0.1:0", where="sport 2") as collector:
        send(collector, [tiny(0, 1), tiny(1, 2)])
        (event,) = gather(collector, len).events()
        assert event.flow.original.sport == 2
        assert (collector.counters["rows"], collector.counters["filtered_here"]) == (1, 1)


def test_a_gap_goes_through_any_filter(gather):
    with Collector("ipfix://127.0.0.1:0", where="sport 2") as collector:
        send(collector, [tiny(0, 1), tiny(8, 1)])
        batch = gather(collector, len)
        assert [event.gap.lost for event in batch.events()] == [7]


def test_several_places_are_one_source(gather):
    with Collector("ipfix://127.0.0.1:0", "ipfix://127.0.0.1:0?transport=tcp") as collector:
        send(collector, [tiny(0, 1)])
        with socket.create_connection(collector.addresses[1]) as exporter:
            exporter.sendall(tiny(0, 2))
            batch = gather(collector, lambda batch: len(batch) == 2)
        assert sorted(flow.original.sport for flow in flows(batch)) == [1, 2]
        assert collector.fileno() >= 0
        assert collector.dump() is None


def test_nothing_comes_in_time():
    with Collector("ipfix://127.0.0.1:0") as collector:
        assert collector.receive(0) is None
        assert (collector.live, collector.ended) == (True, False)


def test_every_counter_is_explained(root, tmp_path):
    path = tmp_path / "a.ipfix"
    path.write_bytes(tiny(0, 1))
    text = (root / "docs/collect.md").read_text()
    for places in (["ipfix://127.0.0.1:0", "ipfix://127.0.0.1:0?transport=tcp"], [f"ipfix:{path}"]):
        with Collector(*places) as collector:
            assert not [name for name in collector.counters if f"`{name}`" not in text]


def test_files_and_sockets_are_not_mixed(tmp_path):
    path = tmp_path / "a.ipfix"
    path.write_bytes(tiny(0, 1))
    with pytest.raises(UsageError, match="files are read alone"):
        Collector("ipfix://127.0.0.1:0", f"ipfix:{path}")
    with pytest.raises(UsageError, match="no place"):
        Collector()


def test_several_files_are_read_one_behind_the_other(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.ipfix").write_bytes(tiny(0, number))
    with Collector(*(f"ipfix:{tmp_path}/{number}.ipfix" for number in (1, 2))) as collector:
        assert [event.flow.original.sport for event in collector] == [1, 2]
        assert collector.ended
        assert collector.receive() is None


def test_a_closed_collector_says_so_and_keeps_its_counters():
    collector = Collector("ipfix://127.0.0.1:0")
    collector.close()
    with pytest.raises(ClosedError):
        collector.receive(0)
    assert collector.counters["rows"] == 0


@given(
    st.lists(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: tiny(0, 1)[:40] + tail), max_size=20)
)
def test_any_bytes_are_read_or_counted_and_memory_stays_bounded(datagrams):
    reader = _core.IpfixReader(sessions=4)
    rows = sum(len(reader.feed(datagram, "192.0.2.1", 0, port)) for port, datagram in enumerate(datagrams))
    for datagram in datagrams:
        batch, used, fault = reader.feed_stream(datagram, "192.0.2.2", None, 1)
        rows += len(batch)
        assert used <= len(datagram)
        assert fault is None or isinstance(fault, str)
    counters = reader.counters
    rows += len(reader.settle(1 << 62))
    counters = reader.counters
    assert rows == counters["flows"] + counters["interims"] + counters["bindings"] + counters["gaps"]
    assert counters["sessions_held"] <= 4
    assert counters["waiting_bytes_held"] <= 4 * (128 << 10)
