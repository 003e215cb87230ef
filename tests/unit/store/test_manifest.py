"""The manifest: chained lines, a torn end, what replaces what."""

from __future__ import annotations

import errno
import json
import os

import pytest

from conntap.errors import UsageError
from conntap.store.manifest import NAME, Manifest, SegmentEntry, Writer


@pytest.fixture
def written(tmp_path):
    """A ledger of two segments with a gap."""
    manifest = Writer(tmp_path, at_ns=1)
    manifest.append({"type": "session", "event": "start", "at_ns": 2})
    manifest.segment(SegmentEntry("a", rows=3, first_seq=1, last_seq=3, numbered=3), at_ns=3)
    gap = {"seq": 5, "cause": "overrun", "after_ns": 4, "before_ns": 6, "lost": 2, "alive": 0, "ended": 0}
    manifest.segment(SegmentEntry("b", rows=1, first_seq=4, last_seq=5, numbered=2), at_ns=4, gaps=[gap])
    manifest.close()
    return tmp_path


def test_what_was_written_is_read(written):
    state = Manifest.read(written)
    assert list(state.segments) == ["a", "b"]
    assert state.segments["a"] == SegmentEntry("a", rows=3, first_seq=1, last_seq=3, numbered=3)
    assert (state.last_seq, state.began_ns, len(state.gaps)) == (5, 2, 1)
    assert not state.faults


def test_there_must_be_one(tmp_path):
    with pytest.raises(UsageError, match="there is no ledger"):
        Manifest.read(tmp_path)
    with pytest.raises(UsageError, match="there is no ledger"):
        Writer(tmp_path, at_ns=1, make=False)


@pytest.mark.parametrize("bytes_left", range(1, 40, 7))
def test_a_torn_line_is_left_by_readers_and_cut_off_by_the_next_writer(written, bytes_left):
    path = written / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"segment","at_ns":5,"file":"c","rows":1,"prev":"00"}'[:bytes_left])
    assert Manifest.read(written).torn == bytes_left
    assert list(Manifest.read(written).segments) == ["a", "b"]
    Writer(written, at_ns=9).close()
    assert path.read_bytes().startswith(whole)
    repaired = json.loads(path.read_bytes()[len(whole) :])
    assert (repaired["type"], repaired["cut_bytes"]) == ("repaired", bytes_left)
    assert not Manifest.read(written).faults


def test_a_line_that_was_changed_is_named_and_the_rest_is_read(written):
    path = written / NAME
    path.write_bytes(path.read_bytes().replace(b'"rows":3', b'"rows":4'))
    state = Manifest.read(written)
    assert list(state.segments) == ["a", "b"]
    assert [fault.partition(":")[0] for fault in state.faults] == ["line 4"]


@pytest.mark.parametrize("line", [b"no json", b"[]", b"{}", b'{"type":1}', b"\xff"])
def test_a_line_that_is_none_is_named(written, line):
    path = written / NAME
    first, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(first + b"\n" + line + b"\n" + rest)
    assert Manifest.read(written).faults[0].startswith("line 2: it is no JSON object")
    assert list(Manifest.read(written).segments) == ["a", "b"]


def test_what_replaces_and_what_is_dropped(written):
    manifest = Writer(written, at_ns=9)
    manifest.segment(SegmentEntry("c", rows=4, replaces=("a", "b")), at_ns=10, also=[SegmentEntry("d", rows=1)])
    manifest.append({"type": "dropped", "at_ns": 11, "files": ["d"], "gaps_before_ns": 7})
    manifest.close()
    state = Manifest.read(written)
    assert list(state.segments) == ["c"]
    assert state.gone == {"a": 10, "b": 10, "d": 11}
    assert (state.gaps, state.last_seq) == ([], 5)


def test_a_source_that_begins_later_makes_a_gap(written):
    manifest = Writer(written, at_ns=9)
    manifest.append({"type": "session", "event": "begin", "at_ns": 100})
    manifest.close()
    assert Manifest.read(written).gaps[-1]["before_ns"] == 100


def test_nothing_of_a_line_is_left_when_there_is_no_room(written, monkeypatch):
    manifest = Writer(written, at_ns=9)
    before = (written / NAME).read_bytes()
    real = os.write

    def half(descriptor, data):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            manifest.append({"type": "dropped", "at_ns": 11, "files": ["a"]})
    assert (written / NAME).read_bytes() == before
    manifest.append({"type": "dropped", "at_ns": 11, "files": ["a"]})
    manifest.close()
    assert not Manifest.read(written).faults
