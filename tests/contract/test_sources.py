"""What every source must do, whichever it is: docs/components.md."""

from __future__ import annotations

import gzip
import os
import random
import threading
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conntap
from conntap import _core
from conntap.recording import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap import Batch

Timed = list[tuple[bytes, int]]


@dataclass
class Read:
    """What a source gave and counted."""

    rows: Timed
    counters: dict[str, int] = field(default_factory=dict)
    sample: tuple[str, bytes] | None = None


@dataclass(frozen=True)
class Case:
    name: str
    read: Callable[[Timed, Path], Read]


def rows_of(batches: list[Batch]) -> Timed:
    return [row for batch in batches for row in batch.messages()]


def from_memory(datagrams: Timed, _tmp: Path) -> Read:
    return Read(rows_of([conntap.Batch.of(datagrams)]))


def recorded(datagrams: Timed, tmp: Path) -> Path:
    path = tmp / f"{len(list(tmp.iterdir()))}.pcapng"
    with RecordWriter(path) as writer:
        writer.write(conntap.Batch.of(datagrams))
    return path


def from_recording(datagrams: Timed, tmp: Path) -> Read:
    recording = conntap.replay(recorded(datagrams, tmp))
    return Read(rows_of(list(recording.batches())), recording.counters, recording.sample)


def from_compressed_recording(datagrams: Timed, tmp: Path) -> Read:
    path = recorded(datagrams, tmp)
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    recording = conntap.replay(path.with_suffix(".gz"))
    return Read(rows_of(list(recording.batches())), recording.counters, recording.sample)


def from_pieces(datagrams: Timed, tmp: Path) -> Read:
    """A recording that arrives in pieces of any size, as from a pipe."""
    reader = _core.RecordingReader()
    content = recorded(datagrams, tmp).read_bytes()
    pieces, at = [], 0
    dice = random.Random(len(content))
    while at < len(content):
        step = dice.randint(1, 900)
        pieces.append(reader.feed(content[at : at + step])[0])
        at += step
    assert reader.finish() is None
    return Read(rows_of(pieces), reader.counters, reader.sample)


SOURCES = [
    Case("memory", from_memory),
    Case("recording", from_recording),
    Case("recording-gzip", from_compressed_recording),
    Case("recording-pieces", from_pieces),
]


def aligned(message: bytes) -> bytes:
    """Netlink messages in one datagram begin at multiples of four."""
    return message + bytes(-len(message) % 4)


@pytest.mark.parametrize("case", SOURCES, ids=attrgetter("name"))
class TestSource:
    def test_bytes_are_unchanged(self, case, timed, tmp_path):
        assert case.read(timed, tmp_path).rows == timed

    def test_order_is_kept(self, case, timed, tmp_path):
        assert case.read(timed[::-1], tmp_path).rows == timed[::-1]

    def test_grouping_changes_nothing(self, case, messages, tmp_path):
        """All in one datagram, or one each: the same rows."""
        now = 1_000
        together = case.read([(b"".join(aligned(message) for message in messages), now)], tmp_path)
        assert together.rows == case.read([(message, now) for message in messages], tmp_path).rows

    def test_a_gap_stays_in_its_place(self, case, timed, gap, tmp_path):
        [(_, before), *_] = timed[3:]
        with_gap = [*timed[:3], (gap, before), *timed[3:]]
        assert case.read(with_gap, tmp_path).rows == with_gap

    def test_malformed_is_counted_and_the_rest_goes_on(self, case, timed, tmp_path):
        cut = bytearray(timed[0][0])
        cut[20:22] = (0xFFFF).to_bytes(2, "little")  # the first attribute claims more than there is
        assert case.read([(bytes(cut), 1), *timed], tmp_path).rows == timed

    def test_nothing_is_left_behind(self, case, timed, tmp_path):
        descriptors, threads = set(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(3):
            case.read(timed, tmp_path)
        assert len(set(os.listdir("/proc/self/fd"))) == len(descriptors)
        assert threading.active_count() == threads


def test_reading_twice_gives_equal_rows(timed, tmp_path):
    recording = conntap.replay(recorded(timed, tmp_path))
    assert list(recording.events()) == list(recording.events())


def damaged(content: bytes, at: int) -> bytes:
    spoilt = bytearray(content)
    spoilt[at] ^= 0xFF
    return bytes(spoilt)


def test_the_sum_closes(timed, tmp_path):
    """Whatever byte of a recording is spoilt, each message received is a row or has a name."""
    content = recorded(timed, tmp_path).read_bytes()
    for at in range(200, len(content), 97):
        reader = _core.RecordingReader(conntap.Filter("udp"))
        batch, _ = reader.feed(damaged(content, at))
        reader.finish()
        counters = reader.counters
        told = counters["rows"] + counters["filtered_here"] + counters["foreign"]
        told += sum(count for name, count in counters.items() if name.startswith("malformed_"))
        assert counters["rows"] == len(batch)
        assert told >= counters["received"], (at, counters)


@given(noise=st.lists(st.tuples(st.binary(max_size=200), st.integers(0, 2**62)), max_size=8))
def test_noise_never_raises(noise):
    batch = conntap.Batch.of(noise)
    assert len(list(batch.events())) == len(batch) == len(batch.messages())


SAMPLES = sorted((Path(__file__).parent.parent / "data/ctnetlink").glob("ev_*.bin"))


@given(sample=st.sampled_from(SAMPLES), at=st.integers(0, 10_000), bits=st.integers(1, 255))
def test_one_spoilt_byte_never_raises(sample, at, bits):
    spoilt = bytearray(sample.read_bytes())
    spoilt[at % len(spoilt)] ^= bits
    batch = conntap.Batch.of([(bytes(spoilt), 1)])
    for event in batch.events():
        assert event.json()
        assert event.text() is not None


@given(noise=st.binary(max_size=400))
def test_noise_is_no_recording_and_says_so(noise):
    reader = _core.RecordingReader()
    batch, faults = reader.feed(noise)
    end = reader.finish()
    assert len(batch) == 0
    assert faults or end is not None or not noise
