"""The logger over sources that need no kernel; on the real one: tests/lab/test_log.py."""

from __future__ import annotations

import threading
import time

import pytest

import conntap
from conntap import _core
from conntap.errors import ConntapError
from conntap.journal import Journal
from conntap.pipeline import Pipeline, Settings
from conntap.sinks.runner import Runner
from conntap.sources import FileSource
from records import SAMPLES, FakeSink, Receiver, events, made, numbers


class Live:
    """A live source whose events and table the test says."""

    live = True
    ended = False

    def __init__(self, batches=(), table=()):
        self.counters: dict[str, int] = {}
        self.queue, self.table, self.dumps = list(batches), list(table), 0
        self.closed = False

    def receive(self, timeout):
        return self.queue.pop(0) if self.queue else None

    def dump(self):
        self.dumps += 1
        yield from self.table

    def close(self):
        self.closed = True


def table() -> _core.Batch:
    """The recorded beginnings, as a dump would show them (NLM_F_MULTI)."""
    messages = [row.message() for batch in events() for row in batch.events() if row.kind == "NEW"]
    return _core.Batch.of([(message[:6] + b"\x02\x00" + message[8:], 1) for message in messages])


def logger(source, receiver, state=None, **settings):
    runner = Runner(FakeSink(receiver), state=None if state is None else state / "sinks")
    journal = None if state is None else Journal(state / "journal")
    return Pipeline(source, [runner], Settings(bindings="all", **settings), journal=journal)


def test_a_file_becomes_its_records():
    receiver = Receiver()
    pipeline = logger(FileSource(conntap.replay(SAMPLES), None), receiver)
    pipeline.start()
    pipeline.run(threading.Event())
    pipeline.stop()
    assert receiver.got == numbers(made())
    assert pipeline.ledger.balanced


def test_a_live_logger_compares_with_the_table_when_it_begins(tmp_path):
    source, receiver = Live(table=[table()]), Receiver()
    pipeline = logger(source, receiver, tmp_path)
    pipeline.start()
    assert source.dumps == 1
    assert len(pipeline.ledger) == pipeline.ledger.counters["found"] > 0
    pipeline.stop()
    assert source.closed


def test_a_crash_loses_no_record_and_numbers_go_on(tmp_path):
    receiver = Receiver()
    first = logger(Live(events()), receiver, tmp_path)
    first.start()
    while first.source.queue:
        first.step(0)
    seq = first.ledger.seq
    # The process dies: nothing is flushed, nothing closed, but the lock goes.
    crashed, receiver.got = list(receiver.got), []
    assert crashed == []
    first.journal.close()

    second = logger(Live(), receiver, tmp_path)
    second.start()
    second.stop()
    assert receiver.got[:seq] == list(range(1, seq + 1))
    assert receiver.got[seq:] == list(range(seq + 1, second.ledger.seq + 1))
    first.stop(0)  # the threads of the one that "died"


def test_a_restart_is_a_gap_and_what_ended_meanwhile_is_told(tmp_path):
    receiver = Receiver()
    first = logger(Live(events()), receiver, tmp_path)
    first.start()
    while first.source.queue:
        first.step(0)
    open_before = len(first.ledger)
    assert open_before
    first.stop()

    second = logger(Live(), receiver, tmp_path, grace_ns=0)
    second.start()
    second.step(0)
    assert second.ledger.counters["restored"] == open_before
    stamp = time.time_ns()
    second.source.queue.append(_core.Batch.gap("tick", stamp, stamp))
    second.step(0)
    assert second.ledger.counters["missed_ends"] == open_before
    assert len(second.ledger) == 0
    second.stop()
    assert second.ledger.balanced


def test_a_loss_leads_to_a_comparison(tmp_path):
    stamp = time.time_ns()
    source, receiver = Live([_core.Batch.gap("overrun", stamp - 5, stamp, 7)]), Receiver()
    pipeline = logger(source, receiver, tmp_path)
    pipeline.start()
    deadline = time.monotonic() + 10
    while source.dumps < 2:
        pipeline.step(0)
        assert time.monotonic() < deadline
    assert pipeline.ledger.counters["lost"] == 7
    pipeline.stop()


def test_a_clock_that_is_set_is_a_gap(monkeypatch, tmp_path):
    source, receiver = Live(), Receiver()
    pipeline = logger(source, receiver, tmp_path)
    said = []
    pipeline._say = said.append
    pipeline.start()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    pipeline.step(0)
    assert said == ["the clock was set back by 3600.0 s"]
    assert pipeline.ledger.counters["gaps"] == 1
    monkeypatch.undo()
    pipeline.stop()


def test_epochs_go_when_the_sinks_have_all(tmp_path):
    receiver = Receiver()
    pipeline = logger(Live(events()), receiver, tmp_path, epoch_bytes=1)
    pipeline.start()
    while pipeline.source.queue:
        pipeline.step(0)
    pipeline.stop()
    assert len(list((tmp_path / "journal").glob("*.json"))) == 1


def test_without_room_the_logger_waits(tmp_path, monkeypatch):
    receiver = Receiver()
    pipeline = logger(Live(), receiver, tmp_path)
    said = []
    pipeline._say = said.append
    pipeline.start()
    pipeline.source.queue += events()
    real, left = pipeline.journal.write, [2]

    def full(batch):
        if left[0]:
            left[0] -= 1
            raise OSError(28, "No space left on device")
        real(batch)

    monkeypatch.setattr(pipeline.journal, "write", full)
    pipeline.step(0)
    assert len(said) == pipeline.progress.stalls == 1
    pipeline.stop()
    assert receiver.got


def test_a_sink_that_can_never_work_ends_the_start():
    class Hopeless(FakeSink):
        def open(self):
            raise ConntapError("no such thing")

    pipeline = Pipeline(Live(), [Runner(Hopeless(Receiver()))])
    with pytest.raises(ConntapError, match="no such thing"):
        pipeline.start()
    pipeline.source.close()
