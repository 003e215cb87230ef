"""What every source must do, for those that run packets through the engine: docs/components.md.

The rows must be the same whatever the packets come out of; that they are the kernel's is held by
tests/golden/test_engine_samples.py.
"""

from __future__ import annotations

import gzip
import os
import random
import threading
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

import conntap
from conntap import _core
from conntap.errors import RecordingError
from conntap.helpers.assign import well_known_assignments
from conntap.tracker import COUNTED
from contract.packets import Frame, frames_of, pcap_of, pcapng_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from conntap import Batch, Capture

Timed = list[tuple[bytes, int]]

SETUP = conntap.Setup(settings=COUNTED.settings, helpers=well_known_assignments())
SAMPLES = ("tcp_misc", "ftp_passive", "sip_invite", "fragments", "icmp_corner", "sctp", "tftp")


@dataclass
class Read:
    """What a source gave and counted."""

    rows: Timed
    counters: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    name: str
    read: Callable[[list[Frame], Path], Read]


def rows_of(batches: Iterable[Batch]) -> Timed:
    return [row for batch in batches for row in batch.messages()]


def read_all(capture: Capture, where: str = "") -> Read:
    return Read(rows_of(capture.batches(where)), capture.counters, capture.faults)


def put(content: bytes, tmp: Path) -> Path:
    path = tmp / f"{len(list(tmp.iterdir()))}"
    path.write_bytes(content)
    return path


def from_tracker(frames: list[Frame], _tmp: Path) -> Read:
    """One by one, from the IP header on."""
    tracker = conntap.Tracker(SETUP)
    for frame in frames:
        tracker.packet(frame.time_us * 1000, frame.data[14:])
    batch = tracker.take_events()
    return Read(batch.messages(), {**tracker.counters, "rows": len(batch)})


def from_pcap(frames: list[Frame], tmp: Path) -> Read:
    return read_all(conntap.replay(put(pcap_of(frames), tmp), setup=SETUP))


def from_pcapng(frames: list[Frame], tmp: Path) -> Read:
    return read_all(conntap.replay(put(pcapng_of(frames), tmp), setup=SETUP))


def from_gzip(frames: list[Frame], tmp: Path) -> Read:
    return read_all(conntap.replay(put(gzip.compress(pcap_of(frames)), tmp), setup=SETUP))


def from_zstd(frames: list[Frame], tmp: Path) -> Read:
    return read_all(conntap.replay(put(zstandard.compress(pcapng_of(frames)), tmp), setup=SETUP))


def from_several(frames: list[Frame], tmp: Path) -> Read:
    """Dealt to three files, as by a capture on three interfaces."""
    paths = [put(pcap_of(frames[part::3]), tmp) for part in range(3)]
    return read_all(conntap.replay(*paths, setup=SETUP))


def from_pieces(frames: list[Frame], tmp: Path) -> Read:
    """A pipe that gives pieces of any size."""
    content = pcap_of(frames)
    fifo = tmp / f"fifo{len(list(tmp.iterdir()))}"
    os.mkfifo(fifo)

    def write() -> None:
        dice = random.Random(len(content))
        at = 0
        with fifo.open("wb", buffering=0) as pipe:
            while at < len(content):
                at += pipe.write(content[at : at + dice.randint(1, 900)])

    writer = threading.Thread(target=write)
    writer.start()
    found = read_all(conntap.replay(fifo, setup=SETUP))
    writer.join()
    return found


SOURCES = [
    Case("tracker", from_tracker),
    Case("pcap", from_pcap),
    Case("pcapng", from_pcapng),
    Case("gzip", from_gzip),
    Case("zstd", from_zstd),
    Case("several", from_several),
    Case("pieces", from_pieces),
]


@pytest.mark.parametrize("case", SOURCES, ids=attrgetter("name"))
class TestPacketSource:
    @pytest.mark.parametrize("sample", SAMPLES)
    def test_grouping_changes_nothing(self, case, sample, tmp_path):
        """One packet at a time, in a file of whatever form, in three files, in pieces: the same rows."""
        frames = frames_of(sample)
        assert case.read(frames, tmp_path).rows == from_tracker(frames, tmp_path).rows

    def test_order_is_kept(self, case, tmp_path):
        """A packet's events come behind those of the packet before."""
        found = case.read(frames_of("ftp_passive"), tmp_path)
        times = [at for _, at in found.rows]
        assert times == sorted(times)

    def test_malformed_is_counted_and_the_rest_goes_on(self, case, tmp_path):
        frames = frames_of("tcp_misc")
        noise = Frame(frames[1].time_us, frames[0].data[:14] + b"\x45" + bytes(19))
        found = case.read([*frames[:2], noise, *frames[2:]], tmp_path)
        assert found.rows == from_tracker(frames, tmp_path).rows
        assert found.counters["packet_bad_header_checksum"] == 1

    def test_the_sum_closes(self, case, tmp_path):
        """Every frame is a packet that the engine has met, every event a row."""
        frames = frames_of("tcp_invalid")
        found = case.read(frames, tmp_path)
        assert found.counters["packets"] == found.counters.get("frames", len(frames)) == len(frames)
        assert found.counters["rows"] == len(found.rows)
        assert found.counters["invalid"] > 0

    def test_nothing_is_left_behind(self, case, tmp_path):
        frames = frames_of("tcp_misc")
        descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(3):
            case.read(frames, tmp_path)
        assert len(os.listdir("/proc/self/fd")) == descriptors
        assert threading.active_count() == threads


def test_reading_twice_gives_equal_rows(tmp_path):
    capture = conntap.replay(put(pcap_of(frames_of("sip_invite")), tmp_path), setup=SETUP)
    first = read_all(capture)
    assert read_all(capture) == first


def test_a_gap_stays_in_its_place(tmp_path):
    """A pcapng that says how many frames the capture lost before one: the row stands between the two."""
    frames = frames_of("udp_stream")
    frames[2] = frames[2]._replace(lost=17)
    capture = conntap.replay(put(pcapng_of(frames), tmp_path))
    events = list(capture)
    [at] = [at for at, event in enumerate(events) if event.kind == "GAP"]
    gap = events[at].gap
    assert gap.lost == 17
    assert (gap.after_ns, gap.before_ns) == (frames[1].time_us * 1000, frames[2].time_us * 1000)
    assert all(event.received_ns <= gap.after_ns for event in events[:at])
    assert all(event.received_ns >= gap.before_ns for event in events[at + 1 :])
    assert capture.counters["lost"] == 17


def test_stopping_in_the_middle_leaves_nothing_behind(tmp_path):
    descriptors = len(os.listdir("/proc/self/fd"))
    walk = conntap.replay(put(pcap_of(frames_of("ftp_passive")), tmp_path)).events()
    next(walk)
    walk.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_what_is_never_walked_leaves_nothing_behind(tmp_path):
    descriptors = len(os.listdir("/proc/self/fd"))
    capture = conntap.replay(put(pcap_of(frames_of("ftp_passive")), tmp_path))
    assert len(os.listdir("/proc/self/fd")) == descriptors
    del capture


MAGICS = [b"", pcap_of([]), pcap_of([])[:4], pcapng_of([]), pcapng_of([])[:28]]


@settings(max_examples=300)
@given(begin=st.sampled_from(MAGICS), noise=st.binary(max_size=400))
def test_noise_never_raises(begin, noise, tmp_path_factory):
    """Nothing but the error that names the file."""
    path = put(begin + noise, tmp_path_factory.mktemp("noise"))
    fault = fault_of(path)
    assert fault == "" or str(path) in fault
    assert fault or begin, "noise alone is no capture"


def fault_of(path: Path) -> str:
    """The error of reading a file, "" where there is none."""
    try:
        list(conntap.replay(path, setup=SETUP))
    except RecordingError as error:
        return str(error)
    return ""


CONTENTS = [form(frames_of("ftp_passive")) for form in (pcap_of, pcapng_of)]


@settings(max_examples=200)
@given(content=st.sampled_from(CONTENTS), at=st.integers(24, 20_000), bits=st.integers(1, 255))
def test_one_spoilt_byte_never_raises_once_a_packet_was_read(content, at, bits, tmp_path_factory):
    """Whatever byte behind the first packet is spoilt, the sum closes, and what could not be read is told."""
    whole = reader_counters(content)["frames"]
    spoilt = bytearray(content)
    spoilt[max(at % len(spoilt), 250)] ^= bits
    capture = conntap.replay(put(bytes(spoilt), tmp_path_factory.mktemp("spoilt")), setup=SETUP)
    found = read_all(capture)
    counters = found.counters
    assert counters["packets"] == counters["frames"] <= whole
    assert counters["rows"] == len(found.rows)
    if counters["frames"] < whole:
        assert found.faults or counters["capture_other_blocks"]


def reader_counters(content: bytes) -> dict[str, int]:
    reader = _core.PacketReader()
    reader.feed(0, content)
    reader.finish(0)
    engine = _core.Engine([], bytes(16))
    while engine.run(reader, lambda: True, 1_000_000)[0] != "end":
        pass
    return reader.counters
