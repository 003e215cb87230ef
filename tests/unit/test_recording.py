"""Recordings come back to the same bytes, and what is no recording is told apart."""

from __future__ import annotations

import gzip
import io
import os

import pytest
import zstandard

import conntap
from conntap.errors import ClosedError, FilterError, RecordingError, UsageError
from conntap.recording import Recording, RecordWriter


@pytest.fixture
def sample(data):
    return data / "recordings/samples.pcapng"


def messages(path):
    return [pair for batch in Recording(path).batches() for pair in batch.messages()]


def test_a_copy_holds_the_same_bytes_and_times(sample, tmp_path):
    copy = tmp_path / "copy.pcapng"
    with RecordWriter(copy) as writer:
        for batch in Recording(sample).batches():
            writer.write(batch)
    assert messages(copy) == messages(sample)
    assert len(messages(sample)) > 30


def test_gzip_is_read_as_it_is(sample, tmp_path):
    packed = tmp_path / "packed.pcapng.gz"
    packed.write_bytes(gzip.compress(sample.read_bytes()))
    assert messages(packed) == messages(sample)


def test_zstd_is_read_as_it_is(sample, tmp_path):
    packed = tmp_path / "packed.pcapng.zst"
    packed.write_bytes(zstandard.compress(sample.read_bytes()))
    assert messages(packed) == messages(sample)


def test_damaged_compression_gives_what_came_before_it_and_says_so(sample, tmp_path):
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(sample.read_bytes())[:-400])
    recording = Recording(cut)
    assert 0 < len(list(recording)) < len(messages(sample))
    assert any("is damaged gzip: it ends too early" in fault for fault in recording.faults)


def test_a_fault_names_the_file(sample, tmp_path):
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(sample.read_bytes()[:-100])
    recording = Recording(cut)
    list(recording)
    assert all(fault.startswith(f"{cut} ") for fault in recording.faults)
    assert recording.faults


def test_a_recording_that_is_not_walked_leaves_nothing_open(sample):
    before = len(os.listdir("/proc/self/fd"))
    recording = conntap.replay(sample)
    assert len(os.listdir("/proc/self/fd")) == before
    assert isinstance(recording, Recording)


def test_standard_input_is_a_file_like_any_other(sample, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(sample.read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin)
    assert messages("-") == messages(sample)


def test_a_picture_is_no_recording(tmp_path):
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0 and so on, for long enough to be looked at")
    with pytest.raises(RecordingError, match=r"holiday\.jpg is neither .* \(it begins with ff d8 ff e0\)"):
        list(Recording(picture))


def test_a_cut_file_gives_what_it_has_and_says_where_it_ends(sample, tmp_path):
    whole = sample.read_bytes()
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    recording = Recording(cut)
    rows = list(recording)
    assert 0 < len(rows) < len(messages(sample))
    assert len(recording.faults) == 1


def test_a_missing_file_is_told_at_once():
    with pytest.raises(FileNotFoundError):
        conntap.replay("/no/such/file.pcapng")


def test_a_wrong_filter_is_told(sample):
    with pytest.raises(FilterError):
        list(Recording(sample).batches("tcp and and"))


def test_an_existing_file_is_kept_unless_told(sample, tmp_path):
    target = tmp_path / "there.pcapng"
    target.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists"):
        RecordWriter(target)
    assert target.read_bytes() == b"precious"
    RecordWriter(target, overwrite=True).close()
    assert messages(target) == []


def test_a_finished_recording_takes_nothing_more(sample, tmp_path):
    writer = RecordWriter(tmp_path / "x.pcapng")
    writer.close()
    writer.close()
    [batch] = list(Recording(sample).batches())
    with pytest.raises((ClosedError, ValueError)):
        writer.write(batch)
