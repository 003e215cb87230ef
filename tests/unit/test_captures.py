"""Captures become the kernel's events: one file or several, faults told, options of the engine heeded."""

from __future__ import annotations

import struct

import pytest

import conntap
from conntap import _core
from conntap.captures import ROWS, Capture
from conntap.errors import FilterError, RecordingError, UsageError
from conntap.helpers.assign import assign

ETHERNET = 1


@pytest.fixture
def pcap(data):
    return data / "pcap"


def pcap_file(*records: tuple[int, bytes, int], snaplen: int = 262_144) -> bytes:
    """A classic capture of (time in µs, frame, original length)."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, ETHERNET)
    for at, frame, length in records:
        out += struct.pack("<IIII", at // 1_000_000, at % 1_000_000, len(frame), length) + frame
    return out


def records_of(content: bytes) -> list[tuple[int, bytes]]:
    """(time in µs, frame) of a classic capture."""
    at, found = 24, []
    order = "<" if content[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    while at < len(content):
        seconds, micros, length, _ = struct.unpack_from(f"{order}IIII", content, at)
        found.append((seconds * 1_000_000 + micros, content[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def kinds(events) -> list[str]:
    return [event.kind for event in events]


def rows(capture: Capture, where: str = "") -> list[tuple[bytes, int]]:
    return [row for batch in capture.batches(where) for row in batch.messages()]


def test_a_capture_is_replayed_as_a_recording_is(pcap):
    events = list(conntap.replay(pcap / "tcp_basic.pcap").events())
    assert kinds(events) == ["NEW", *["UPDATE"] * 6]
    states = [event.flow.tcp_state for event in events]
    assert states == ["SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT"]


def test_each_event_has_the_time_of_its_packet(pcap):
    times = [at * 1000 for at, _ in records_of((pcap / "tcp_basic.pcap").read_bytes())]
    assert {event.received_ns for event in conntap.replay(pcap / "tcp_basic.pcap")} <= set(times)


def test_counters_and_times_are_kept_unless_told_otherwise(pcap):
    [flow] = Capture([pcap / "tcp_basic.pcap"]).tables()[0].flows()
    assert flow.original_counters.packets + flow.reply_counters.packets == 11
    assert flow.start_ns == 1_700_000_000_000_000_000
    [bare] = Capture([pcap / "tcp_basic.pcap"], conntap.Setup()).tables()[0].flows()
    assert (bare.original_counters, bare.start_ns) == (None, None)


def test_a_walk_can_be_repeated(pcap):
    capture = conntap.replay(pcap / "tcp_basic.pcap")
    first, counters = rows(capture), capture.counters
    assert rows(capture) == first
    assert capture.counters == counters


def test_several_files_come_in_order_of_time(pcap, tmp_path):
    found = records_of((pcap / "ftp_passive.pcap").read_bytes())
    for part in range(3):
        dealt = [(at, frame, len(frame)) for at, frame in found[part::3]]
        (tmp_path / f"{part}.pcap").write_bytes(pcap_file(*dealt))
    setup = conntap.Setup(helpers=assign("ftp"))
    dealt = conntap.replay(*(tmp_path / f"{part}.pcap" for part in range(3)), setup=setup)
    assert rows(dealt) == rows(conntap.replay(pcap / "ftp_passive.pcap", setup=setup))
    assert dealt.counters["frames"] == len(found)


def test_drain_lets_every_connection_end_at_its_own_time(pcap):
    left = list(conntap.replay(pcap / "tcp_basic.pcap", drain=True))
    assert left[-1].kind == "DESTROY"
    assert (left[-1].received_ns - left[-2].received_ns) // 1_000_000_000 == 120  # of TIME_WAIT


def test_a_filter_counts_what_it_left_out(pcap):
    capture = conntap.replay(pcap / "tcp_basic.pcap")
    assert len(rows(capture, "new")) == 1
    assert (capture.counters["rows"], capture.counters["filtered_here"]) == (1, 6)


def test_a_wrong_filter_is_told(pcap):
    with pytest.raises(FilterError):
        list(conntap.replay(pcap / "tcp_basic.pcap").batches("tcp and and"))


def test_tables_are_those_behind_the_last_packet(pcap):
    flows, expectations = Capture([pcap / "irc_evict.pcap"], conntap.Setup(helpers=assign("irc"))).tables()
    assert [flow.helper for flow in flows.flows()] == ["irc"]
    assert {expectation.helper for expectation in expectations.expectations()} == {"irc"}


def test_columns_are_those_of_events(pcap):
    table = conntap.replay(pcap / "tcp_basic.pcap").arrow()
    assert table.num_rows == 7


class TestFaults:
    def test_a_cut_file_gives_what_it_has_and_says_where_it_ends(self, pcap, tmp_path):
        (tmp_path / "cut.pcap").write_bytes((pcap / "tcp_basic.pcap").read_bytes()[:-20])
        capture = conntap.replay(tmp_path / "cut.pcap")
        assert len(rows(capture)) == 6
        [fault] = capture.faults
        assert "cut.pcap" in fault
        assert capture.counters["capture_truncated"] == 1

    def test_faults_are_those_of_the_last_walk(self, pcap, tmp_path):
        (tmp_path / "cut.pcap").write_bytes((pcap / "tcp_basic.pcap").read_bytes()[:-20])
        capture = conntap.replay(tmp_path / "cut.pcap")
        rows(capture)
        rows(capture)
        assert len(capture.faults) == 1

    def test_damaged_compression_is_told_too(self, pcap, tmp_path):
        import gzip

        (tmp_path / "cut.gz").write_bytes(gzip.compress((pcap / "ftp_passive.pcap").read_bytes())[:-300])
        capture = conntap.replay(tmp_path / "cut.gz")
        assert rows(capture)
        assert any("is damaged gzip: it ends too early" in fault for fault in capture.faults)

    def test_a_fault_names_the_file_of_several(self, pcap, tmp_path):
        (tmp_path / "cut.pcap").write_bytes((pcap / "tcp_basic.pcap").read_bytes()[:-20])
        capture = conntap.replay(pcap / "udp_stream.pcap", tmp_path / "cut.pcap")
        rows(capture)
        assert [fault.partition(" ")[0] for fault in capture.faults] == [str(tmp_path / "cut.pcap")]

    def test_headers_that_the_snap_length_cuts_are_counted(self, pcap, tmp_path):
        """34 bytes: Ethernet and IP and nothing of TCP."""
        found = records_of((pcap / "tcp_basic.pcap").read_bytes())
        short = [(at, frame[:34], len(frame)) for at, frame in found]
        (tmp_path / "snap.pcap").write_bytes(pcap_file(*short, snaplen=34))
        capture = conntap.replay(tmp_path / "snap.pcap")
        assert rows(capture) == []
        assert capture.counters["cut"] == len(found)

    def test_payload_that_the_snap_length_cuts_is_tracked_all_the_same(self, pcap, tmp_path):
        found = records_of((pcap / "tcp_basic.pcap").read_bytes())
        short = [(at, frame[:74], len(frame)) for at, frame in found]
        (tmp_path / "snap.pcap").write_bytes(pcap_file(*short, snaplen=74))
        capture = conntap.replay(tmp_path / "snap.pcap")
        assert kinds(capture) == kinds(conntap.replay(pcap / "tcp_basic.pcap"))
        assert 0 < capture.counters["cut"] < len(found)

    def test_time_that_goes_backwards_is_counted(self, pcap, tmp_path):
        found = records_of((pcap / "udp_stream.pcap").read_bytes())
        found[2], found[3] = found[3], found[2]
        (tmp_path / "mixed.pcap").write_bytes(pcap_file(*((at, frame, len(frame)) for at, frame in found)))
        capture = conntap.replay(tmp_path / "mixed.pcap")
        rows(capture)
        assert capture.counters["time_backwards"] == 1


class TestWrongFiles:
    def test_a_recording_among_captures_is_refused(self, pcap, data):
        with pytest.raises(RecordingError, match="replayed alone"):
            conntap.replay(pcap / "tcp_basic.pcap", data / "recordings/samples.pcapng")

    def test_a_recording_is_no_capture(self, data):
        with pytest.raises(RecordingError, match="is a recording of events, not of packets"):
            Capture([data / "recordings/samples.pcapng"])

    def test_no_file_is_a_mistake(self):
        with pytest.raises(UsageError, match="no file"):
            conntap.replay()

    @pytest.mark.parametrize(
        ("setup", "what"),
        [
            (conntap.Setup(settings={"ip_forward": 1}), "no setting 'ip_forward'"),
            (conntap.Setup(helper_options={"ftp": {"lose": 1}}), "no parameter 'lose'"),
        ],
    )
    def test_a_setup_at_fault_is_told_before_the_first_packet(self, pcap, setup, what):
        with pytest.raises(UsageError, match=what):
            conntap.replay(pcap / "tcp_basic.pcap", setup=setup)

    def test_a_capture_without_packets_is_empty(self, tmp_path):
        (tmp_path / "none.pcap").write_bytes(pcap_file())
        assert list(conntap.replay(tmp_path / "none.pcap")) == []
        flows, expectations = Capture([tmp_path / "none.pcap"]).tables()
        assert (len(flows), len(expectations)) == (0, 0)


def test_a_program_may_stop_in_the_middle(pcap, tmp_path):
    """Closing the walk closes the files and keeps the counters so far."""
    frames = [(at * 1000, udp_frame(at % 60_000 + 1), 60) for at in range(3 * ROWS)]
    (tmp_path / "many.pcap").write_bytes(pcap_file(*frames))
    capture = Capture([tmp_path / "many.pcap"])
    batches = capture.batches()
    first = len(next(batches))
    assert 0 < first <= ROWS
    batches.close()
    assert capture.counters["rows"] == first
    assert len(rows(capture)) == 3 * ROWS


def test_a_trace_keeps_what_the_engine_thought(pcap):
    trace = _core.Trace()
    capture = conntap.replay(pcap / "tcp_invalid.pcap")
    for _ in capture.batches(trace=trace):
        pass
    packets = trace.take_packets()
    assert [packet.number for packet in packets] == list(range(1, capture.counters["frames"] + 1))
    invalid = [packet for packet in packets if packet.verdict == "INVALID"]
    assert len(invalid) == capture.counters["invalid"] > 0
    assert all(packet.why for packet in packets)


def udp_frame(sport: int) -> bytes:
    """10.0.0.1:sport → 10.0.0.2:53, no checksum."""
    udp = struct.pack("!HHHH", sport, 53, 26, 0) + bytes(18)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return bytes(12) + b"\x08\x00" + header + udp
