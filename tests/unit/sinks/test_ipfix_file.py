"""IPFIX files: whole when they have their name, and nothing missing or doubled after a crash or a full disk."""

from __future__ import annotations

import errno
import gzip
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conntap import _core
from conntap.errors import UsageError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.ipfix_file import IpfixFileSink
from flow_messages import ALL, SECOND, SNAT, batch, ended, many
from ipfix_reader import OURS, read

if TYPE_CHECKING:
    from pathlib import Path


def messages(data: bytes) -> list[bytes]:
    found = []
    while data:
        length = int.from_bytes(data[2:4], "big")
        assert length
        found.append(data[:length])
        data = data[length:]
    return found


def flows(path: Path, unpack=bytes):
    reader = read(messages(unpack(path.read_bytes())))
    assert reader.faults == []
    return reader.flows()


def sources(records):
    return [record[8] for record in records]


class Numbered:
    """Records of one ledger, in portions."""

    def __init__(self) -> None:
        self.ledger = _core.Ledger()
        self.made = 0

    def next(self, count: int) -> _core.Batch:
        from flow_messages import DESTROY

        rows = []
        for _ in range(count):
            self.made += 1
            flow = replace(
                SNAT, number=self.made, orig=replace(SNAT.orig, src=f"10.9.{self.made // 250}.{self.made % 250}")
            )
            rows.append((DESTROY, flow))
        return self.ledger.feed(batch(*rows))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "flows.ipfix"


def test_the_file_has_its_name_when_it_is_whole(path):
    sink = IpfixFileSink("ipfix:flows.ipfix", path)
    assert sink.open() == 0
    sink.write(ended(*ALL))
    sink.flush()
    assert [file.name for file in path.parent.iterdir()] == ["flows.ipfix.part"]
    sink.close()
    assert [file.name for file in path.parent.iterdir()] == ["flows.ipfix"]
    assert len(flows(path)) == len(ALL)
    assert (sink.counters["records"], sink.counters["files"]) == (len(ALL), 1)


def test_templates_stand_at_the_head(path):
    sink = IpfixFileSink("ipfix:", path)
    sink.open()
    sink.write(many(1))
    sink.close()
    first = read(messages(path.read_bytes())[:1])
    assert (1, 256) in first.templates
    assert first.records == []


def test_nothing_written_no_file(path):
    sink = IpfixFileSink("ipfix:", path)
    sink.open()
    sink.write(_core.Batch.of([]))
    sink.flush()
    sink.tick(_core.now_ns())
    sink.close()
    assert list(path.parent.iterdir()) == []


def test_the_next_run_replaces_nothing(path):
    records = Numbered()
    for count in (2, 3):
        sink = IpfixFileSink("ipfix:", path)
        sink.open()
        sink.write(records.next(count))
        sink.close()
    assert len(flows(path)) == 2
    (other,) = path.parent.glob("flows-*-000000000005.ipfix")
    assert len(flows(other)) == 3
    assert IpfixFileSink("ipfix:", path).open() == 5


@pytest.mark.parametrize("by", ["size", "time"])
def test_rotation_loses_nothing(path, by):
    options = {"size": {"rotate_bytes": 10_000}, "time": {"rotate_seconds": 60}}[by]
    sink = IpfixFileSink("ipfix:", path, **options)
    sink.open()
    records, now = Numbered(), _core.now_ns()
    for minute in range(1, 6):
        sink.write(records.next(200))
        sink.tick(now + minute * 61 * SECOND if by == "time" else now)
    sink.write(records.next(7))
    sink.close()
    files = sorted(path.parent.iterdir(), key=lambda file: file.name.rpartition("-")[2])
    assert len(files) == 6
    assert [len(flows(file)) for file in files] == [200] * 5 + [7]
    assert len({source for file in files for source in sources(flows(file))}) == 1007
    assert sink.open() == 1007


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_finished_files_are_compressed(path, kind):
    if kind == "zstd":
        zstandard = pytest.importorskip("zstandard")
    sink = IpfixFileSink("ipfix:", path, rotate_bytes=1, compress=kind)
    sink.open()
    sink.write(many(500))
    sink.close()
    (file,) = path.parent.iterdir()
    assert file.name.endswith("-000000000500.ipfix" + {"gzip": ".gz", "zstd": ".zst"}[kind])
    unpack = (
        gzip.decompress
        if kind == "gzip"
        else lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)
    )
    assert len(flows(file, unpack)) == 500
    assert sink.open() == 500


@pytest.mark.parametrize("torn", [0, 1, 17, 900])
def test_after_a_crash_the_file_ends_at_the_last_flush(path, torn):
    """What stands behind it will be offered again; so it must not stand twice."""
    records = Numbered()
    crashed = IpfixFileSink("ipfix:", path)
    crashed.open()
    crashed.write(records.next(10))
    crashed.flush()
    crashed.write(records.next(20))
    part = path.with_name("flows.ipfix.part")
    os.truncate(part, part.stat().st_size - torn)

    sink = IpfixFileSink("ipfix:", path)
    assert sink.open() == 10
    assert len(flows(path)) == 10
    assert sink.counters["recovered"] == 1
    assert sink.counters["cut_octets"] > 1000
    sink.close()
    crashed._let_go()


def test_a_crash_before_the_first_flush_leaves_nothing(path):
    crashed = IpfixFileSink("ipfix:", path)
    crashed.open()
    crashed.write(many(10))
    sink = IpfixFileSink("ipfix:", path)
    assert sink.open() == 0
    assert list(path.parent.iterdir()) == []
    crashed._let_go()


class Refusing:
    """A file on a disk that is full after so many octets."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self.file.write(data[: self.room])
        self.room -= written
        return written

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_takes_all_of_a_batch_or_nothing(path):
    records = Numbered()
    sink = IpfixFileSink("ipfix:", path)
    sink.open()
    sink.write(records.next(10))
    whole = sink._file
    sink._file = Refusing(whole, room=1000)
    refused = records.next(50)
    with pytest.raises(SinkUnavailableError, match="No space left on device"):
        sink.write(refused)
    sink._file = whole  # there is room again
    assert sink.open() == 10
    sink.write(refused)
    sink.close()
    assert len(flows(path)) == 60
    assert sink.counters["flows"] == 60


def test_a_flush_that_fails_goes_back_to_the_last_one(path, monkeypatch):
    records = Numbered()
    sink = IpfixFileSink("ipfix:", path)
    sink.open()
    sink.write(records.next(10))
    sink.flush()
    lost = records.next(20)
    sink.write(lost)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, os.strerror(errno.EIO))))
        with pytest.raises(SinkUnavailableError, match="Input/output error"):
            sink.flush()
    assert sink.open() == 10
    sink.write(lost)
    sink.close()
    found = [source for file in path.parent.iterdir() for source in sources(flows(file))]
    assert len(found) == len(set(found)) == 30


def test_each_flush_says_how_far_the_file_has_come(path):
    sink = IpfixFileSink("ipfix:", path)
    sink.open()
    sink.write(many(5))
    sink.flush()
    sink.flush()  # nothing new: nothing more is said
    sink.close()
    told = [record[OURS, 6] for record in read(messages(path.read_bytes())).options if 149 in record.values]
    assert told == [5, 5]  # of the domains of flows and of NAT events


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkUnavailableError):
        IpfixFileSink("ipfix:", tmp_path / "file" / "flows.ipfix").open()


def test_an_unknown_compression():
    with pytest.raises(UsageError, match="unknown compression 'lzma'"):
        IpfixFileSink("ipfix:", "flows.ipfix", compress="lzma")
