from __future__ import annotations

import errno
import gzip
import os

import pytest

from conntap.errors import ConntapError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.files import LineFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flows.txt"


def opened(path, **options) -> LineFile:
    file = LineFile(str(path), **options)
    file.open()
    return file


def rotated(path):
    return sorted(other for other in path.parent.iterdir() if other != path)


def test_open_takes_back_what_was_not_flushed(path):
    file = opened(path)
    file.write(b"one\n")
    file.flush()
    file.write(b"two\n")
    file.open()
    file.write(b"two\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_write_that_fails_leaves_nothing_of_it(path, monkeypatch):
    file = opened(path)
    file.write(b"one\n")
    write, calls = os.write, []

    def full(fd, data):
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:3])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(SinkUnavailableError, match="No space left"):
            file.write(b"second\n")
    assert path.read_bytes() == b"one\n"
    file.close()


def test_after_a_sync_that_failed_another_file_is_used(path, monkeypatch):
    file = opened(path)
    file.write(b"one\n")
    file.flush()
    file.write(b"two\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, os.strerror(errno.EIO))))
        with pytest.raises(SinkUnavailableError, match="syncing"):
            file.flush()
    file.open()
    file.write(b"two\n")
    file.close()
    (old,) = rotated(path)
    assert (old.read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_a_torn_last_line_is_cut(path):
    path.write_bytes(b"one\ntwo\nthr")
    file = LineFile(str(path))
    assert file.open() == b"two\n"
    assert file.counters["torn_bytes"] == 3
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def a_flow(begin: bytes) -> bool:
    return begin.startswith(b"flow ")


@pytest.mark.parametrize("content", [b"hello", b"hello\nworld", b"hello\nworld\n"])
def test_what_is_not_ours_is_refused_and_not_touched(path, content):
    path.write_bytes(content)
    with pytest.raises(ConntapError, match="holds something else"):
        opened(path, is_ours=a_flow)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"plain text", gzip.compress(b"hello\n"), gzip.compress(bytes(range(97, 123)) * 9)[:-3]]
)
def test_packed_files_that_are_not_ours_are_refused_and_not_touched(tmp_path, content):
    path = tmp_path / "flows.gz"
    path.write_bytes(content)
    with pytest.raises(ConntapError, match=r"is no gzip file|holds something else"):
        opened(path, is_ours=a_flow, packing="gzip")
    assert path.read_bytes() == content


def test_one_line_that_is_not_whole_stays_under_another_name(path):
    path.write_bytes(b"flow 1")
    file = opened(path, is_ours=a_flow)
    file.close()
    assert path.read_bytes() == b""
    assert [old.read_bytes() for old in rotated(path)] == [b"flow 1"]


def test_behind_damage_nothing_is_written_or_cut(tmp_path):
    path = tmp_path / "flows.gz"
    damaged = gzip.compress(b"flow 1\n") + b"garbage" + gzip.compress(b"flow 3\n")
    path.write_bytes(damaged)
    opened(path, is_ours=a_flow, packing="gzip").close()
    assert [old.read_bytes() for old in rotated(path)] == [damaged]


def test_a_file_that_logrotate_moved_away_is_noticed_by_its_inode(path):
    file = opened(path)
    file.write(b"one\n")
    assert not file.is_due(0)
    path.rename(path.with_suffix(".1"))
    assert file.is_due(0)
    file.rotate()
    file.write(b"two\n")
    file.close()
    assert path.with_suffix(".1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"


def test_rotation_keeps_as_many_files_as_said(path):
    file = opened(path, rotate_bytes=4, keep=2, head=b"h\n")
    for _ in range(4):
        file.write(b"line\n")
        assert file.is_full
        file.rotate()
    file.close()
    assert len(rotated(path)) == 2
    assert file.counters["rotated"] == 4
    assert file.counters["removed_files"] == 2
    assert path.read_bytes() == b"h\n"


def test_time_rotates_a_file_that_holds_something(path):
    file = opened(path, rotate_seconds=60)
    now = path.stat().st_mtime_ns
    assert not file.is_due(now + 60 * 10**9)  # empty
    file.write(b"one\n")
    assert file.is_due(now + 120 * 10**9)
    file.close()


def test_a_file_made_shorter_by_others_is_not_filled_with_zeros(path):
    file = opened(path)
    file.write(b"one\n")
    file.flush()
    os.truncate(path, 0)
    file.open()
    file.write(b"two\n")
    file.close()
    assert path.read_bytes() == b"two\n"


def test_two_do_not_write_to_one_file(path):
    first = opened(path)
    with pytest.raises(ConntapError, match="another conntap writes to it"):
        opened(path)
    first.close()


def test_a_closed_standard_output_is_said_clearly(monkeypatch):
    reads, writes = os.pipe()
    with monkeypatch.context() as patch:
        dup = os.dup
        patch.setattr(os, "dup", lambda _: dup(writes))
        file = opened("-")
    os.close(writes)
    file.write(b"one\n")
    assert os.read(reads, 9) == b"one\n"
    os.close(reads)
    with pytest.raises(ConntapError, match="nobody reads it any more") as caught:
        file.write(b"two\n")
    assert not isinstance(caught.value, SinkUnavailableError)
    file.close()


def test_a_pipe_waits_for_a_reader(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = LineFile(str(pipe), head=b"h\n")
    with pytest.raises(SinkUnavailableError, match="nobody reads it"):
        file.open()
    for line in (b"one\n", b"two\n"):
        reads = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        file.open()
        file.write(line)
        assert os.read(reads, 9) == b"h\n" + line
        os.close(reads)
        with pytest.raises(SinkUnavailableError, match="nobody reads it"):
            file.write(line)
    file.close()
