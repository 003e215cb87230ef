from __future__ import annotations

import time

import pytest

from conntap.filter import Filter
from conntap.sinks import runner as runner_module
from conntap.sinks.runner import Runner
from records import FakeSink, Receiver, made, numbers


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(runner_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(runner_module, "TICK_SECONDS", 0.01)


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)  # waits: for the condition, with a deadline


def run(receiver: Receiver, batches, **options) -> Runner:
    runner = Runner(FakeSink(receiver), **options)
    runner.start()
    for batch in batches:
        assert runner.offer(batch)
    return runner


def test_records_arrive_in_order_and_are_answered_for():
    receiver, batches = Receiver(), made(rounds=3)
    runner = run(receiver, batches)
    runner.ask()
    until(lambda: runner.receipt == numbers(batches)[-1])
    runner.stop()
    assert receiver.got == numbers(batches)
    assert runner.counters["not_sent"] == 0
    assert runner.sink.closed == 1


def test_what_the_filter_refuses_is_counted_and_gaps_pass():
    receiver, batches = Receiver(), made()
    runner = run(receiver, batches, where=Filter("udp"))
    runner.stop()
    gaps = [row.gap.seq for batch in batches for row in batch.events() if row.gap]
    assert gaps
    assert set(gaps) <= set(receiver.got)
    assert runner.counters["filtered"] == runner.sink.filtered == runner.counters["offered"] - len(receiver.got)


def test_a_receiver_that_goes_away_gets_all_when_it_is_back(tmp_path):
    receiver, batches = Receiver(), made(rounds=4)
    runner = run(receiver, batches[:1], state=tmp_path)
    runner.ask()
    until(lambda: runner.receipt)
    receiver.away = receiver.loses_unflushed = True
    for batch in batches[1:]:
        runner.offer(batch)
    runner.ask()
    until(lambda: runner.safe == numbers(batches)[-1])  # on disk
    assert runner.away == "the receiver is away"
    assert runner.spooled_bytes > 0
    assert runner.receipt < runner.safe
    receiver.away = False
    until(lambda: runner.receipt == numbers(batches)[-1])
    runner.stop()
    assert receiver.got == numbers(batches)
    assert runner.spooled_bytes == 0


def test_what_waits_at_the_end_is_found_by_the_next_run(tmp_path):
    receiver, batches = Receiver(), made(rounds=4)
    receiver.away = True
    first = run(receiver, batches, state=tmp_path)
    first.stop(patience=0.05)
    assert first.counters["not_sent"] == 0  # spilled
    receiver.away = False
    second = run(receiver, batches, state=tmp_path)  # a journal tells all again
    second.ask()
    until(lambda: second.receipt == numbers(batches)[-1])
    second.stop()
    assert receiver.got == numbers(batches)


def test_a_receipt_outlives_the_run(tmp_path):
    receiver, batches = Receiver(), made(rounds=2)
    run(receiver, batches, state=tmp_path).stop()
    again = run(receiver, batches, state=tmp_path)
    again.stop()
    assert receiver.got == numbers(batches)
    assert again.counters["offered"] == 0


def test_without_a_spool_a_full_queue_holds_the_source_back():
    receiver, batches = Receiver(), made(rounds=4)
    receiver.away = True
    runner = Runner(FakeSink(receiver), queue_bytes=1)
    runner.start()
    assert runner.offer(batches[0])
    assert not runner.offer(batches[1], timeout=0.01)
    receiver.away = False
    assert runner.offer(batches[1])  # there is room again
    runner.stop()
    assert receiver.got == numbers(batches[:2])


def test_what_could_not_be_sent_is_counted():
    receiver, batches = Receiver(), made(rounds=2)
    receiver.away = True
    runner = run(receiver, batches)
    runner.stop(patience=0.05)
    assert runner.counters["not_sent"] == len(numbers(batches))


def test_several_end_side_by_side():
    runners = []
    for _ in range(2):
        receiver = Receiver()
        receiver.away = True
        runners.append(run(receiver, made()))
    for runner in runners:
        runner.end(patience=0.05)
    until(lambda: all(runner.sink.closed for runner in runners))  # nobody has waited for the first one yet
    for runner in runners:
        runner.stop()
        assert runner.counters["not_sent"] > 0
