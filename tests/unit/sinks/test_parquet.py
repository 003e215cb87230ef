"""The embedded ledger as a sink: when it publishes, what it survives; the contract of sinks has the rest."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conntap import _core
from conntap.config.model import RetentionConfig
from conntap.errors import ConntapError
from conntap.sinks import parquet
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.parquet import ParquetSink
from conntap.store import publish as publishing
from conntap.store.manifest import Manifest
from conntap.store.verify import verify
from ledgers import numbers, rows
from records import made

DEADLINE = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def sink(tmp_path):
    one = ParquetSink("parquet:", str(tmp_path), keep_ids=True, rows=1000)
    one.open()
    yield one
    one.close()


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)  # waits: between two looks


def refuse(*_, **__):
    raise OSError(28, "No space left on device")


class TestPublishing:
    def test_a_full_segment_is_durable_without_a_flush(self, tmp_path):
        sink = ParquetSink("parquet:", str(tmp_path), rows=10)
        sink.open()
        batch = made()[0]
        sink.write(batch)
        sink.write(batch)  # the segment is full: it is published beside
        wait_until(lambda: sink.durable == batch.last_seq)
        assert Manifest.read(tmp_path).last_seq == batch.last_seq
        sink.close()

    def test_an_old_segment_is_published_by_a_tick(self, tmp_path):
        sink = ParquetSink("parquet:", str(tmp_path), seconds=0)
        sink.open()
        batch = made()[0]
        sink.write(batch)
        sink.tick(0)
        wait_until(lambda: sink.durable == batch.last_seq)
        sink.close()

    def test_records_that_come_again_are_counted_and_not_written(self, sink, tmp_path):
        batch = made()[0]
        for _ in range(2):
            sink.write(batch)
            sink.flush()
        assert sorted(numbers(tmp_path)) == list(range(1, len(batch) + 1))
        assert verify(tmp_path).whole

    def test_what_a_filter_keeps_away_is_accounted_for(self, sink, tmp_path):
        batch = made()[0]
        sink.note_filtered(5, 5)
        sink.write(batch.after(5))
        sink.flush()
        report = verify(tmp_path)
        assert (report.faults, report.filtered, sink.durable) == ([], 5, batch.last_seq)

    def test_translations_alone(self, tmp_path):
        sink = ParquetSink("parquet:", str(tmp_path), nat_only=True)
        sink.open()
        for batch in made():
            sink.write(batch)
        sink.close()
        assert all(nat for (nat,) in rows(tmp_path, "nat"))
        assert verify(tmp_path).faults == []

    def test_retention_is_carried_out_beside(self, tmp_path, monkeypatch):
        monkeypatch.setattr(parquet, "UPKEEP_SECONDS", 0)
        sink = ParquetSink("parquet:", str(tmp_path), retention=RetentionConfig(max_bytes=0))
        sink.open()
        sink.write(made()[0])
        sink.flush()
        sink.tick(_core.now_ns())
        wait_until(lambda: sink.counters["dropped"] == 1)
        sink.close()
        assert rows(tmp_path) == []


class TestFailures:
    def test_a_second_writer_is_refused(self, sink, tmp_path):
        with pytest.raises(ConntapError, match=f"process {os.getpid()} writes to"):
            ParquetSink("parquet:", str(tmp_path)).open()
        sink.write(made()[0])
        sink.flush()
        assert verify(tmp_path).whole

    @pytest.mark.parametrize("step", ["write", "append"])
    def test_a_full_disk_loses_nothing(self, sink, tmp_path, monkeypatch, step):
        first, more = made(), made(_core.Ledger(seq=made()[-1].last_seq))
        with monkeypatch.context() as patch:
            if step == "write":
                patch.setattr(publishing, "write", refuse)
            else:
                patch.setattr(sink._manifest, "append", refuse)
            sink.write(first[0])
            for call in (sink.flush, sink.open, sink.flush, lambda: sink.tick(0), lambda: sink.write(more[0])):
                with pytest.raises(SinkUnavailableError, match="No space left on device"):
                    call()
            assert sink.durable == 0
            assert not Manifest.read(tmp_path).segments
        assert sink.open() == first[-1].last_seq
        sink.write(more[0])
        sink.flush()
        assert sorted(numbers(tmp_path)) == list(range(1, more[-1].last_seq + 1))
        assert verify(tmp_path).faults == []
        assert sink.counters["refusals"] >= 5

    def test_a_full_disk_while_it_starts(self, tmp_path, monkeypatch):
        sink = ParquetSink("parquet:", str(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(SinkUnavailableError, match="No space left on device"):
                sink.open()
        assert sink.open() == 0
        sink.close()
        assert verify(tmp_path).whole

    def test_a_failure_that_is_no_matter_of_the_disk_is_told(self, sink, monkeypatch):
        def fail(*_, **__):
            raise ValueError("nonsense")

        monkeypatch.setattr(publishing, "write", fail)
        sink.write(made()[0])
        with pytest.raises(ConntapError, match="writing a segment failed: nonsense"):
            sink.flush()

    @pytest.mark.lab
    def test_a_real_file_system_that_is_full(self, tmp_path):
        """A file system of a few pages in namespaces of its own."""
        found = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FULL, str(tmp_path)],
            capture_output=True, text=True, timeout=DEADLINE * 2, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        if found.stderr.startswith("unshare:"):
            pytest.skip(f"the kernel refuses a user namespace: {found.stderr.strip()}")
        assert found.stdout.split() == ["refused", "whole"], found.stderr

    def test_killed_at_any_moment_nothing_published_is_lost(self, tmp_path):
        """The child says each number that its sink calls durable; after its death the ledger must have them all."""
        chance = random.Random(6)
        deaths, known = 0, 0
        while deaths < 50:
            with subprocess.Popen(
                [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=ENVIRONMENT
            ) as child:
                assert child.stdout is not None
                for _ in range(chance.randrange(1, 4)):
                    known = max(known, int(child.stdout.readline()))
                time.sleep(chance.random() / 100)  # waits: for death anywhere in the writing of the next one
                child.send_signal(signal.SIGKILL)
                rest = child.stdout.read().splitlines(keepends=True)
                known = max([known, *(int(line) for line in rest if line.endswith(b"\n"))])
                assert child.wait() == -signal.SIGKILL
            deaths += 1
            report = verify(tmp_path)
            assert report.faults == [], deaths
            assert report.last_seq >= known
        assert sorted(numbers(tmp_path)) == list(range(1, Manifest.read(tmp_path).last_seq + 1))
        ParquetSink("parquet:", str(tmp_path)).open()
        left = {path.relative_to(tmp_path).as_posix() for path in Path(tmp_path).glob("segments/*/*")}
        assert left == set(Manifest.read(tmp_path).segments)


#: Writes segments until it is killed, and says what is durable.
CHILD = """
import sys
from conntap import _core
from conntap.sinks.parquet import ParquetSink
from records import events
sink = ParquetSink("parquet:", sys.argv[1], keep_ids=True)
seq = sink.open()
print(seq, flush=True)
ledger = _core.Ledger(bindings="all", seq=seq)
batches = events()
while True:
    for batch in batches:
        sink.write(ledger.feed(batch))
    sink.flush()
    print(sink.durable, flush=True)
"""

#: Fills a small file system, makes room, and goes on.
FULL = """
import os, subprocess, sys
from conntap import _core
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.parquet import ParquetSink
from conntap.store.verify import verify
from ledgers import Connection, records_of
place = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)
with open(place + "/ballast", "wb") as file:
    file.write(bytes(40960))
sink = ParquetSink("parquet:", place + "/ledger")
sink.open()
records, _ = records_of(
    Connection((f"10.{n % 251}.{n % 241}.1", n), ("192.0.2.1", 443), start=n / 7, bytes=n * 7919)
    for n in range(1, 4000)
)
for batch in records:
    sink.write(batch)
try:
    sink.flush()
except SinkUnavailableError:
    print("refused")
os.unlink(place + "/ballast")
subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
assert sink.open() == 3999
sink.close()
report = verify(place + "/ledger")
print("whole" if report.whole and report.rows == 3999 else report)
"""
