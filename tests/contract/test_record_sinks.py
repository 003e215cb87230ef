"""What every sink of records must do, whichever it is. `tests/places.py` says where each one's records arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conntap import _core
from conntap.sinks.base import SinkUnavailableError
from places import PLACES
from records import every_kind, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conntap.sinks.base import Sink
    from places import Place


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = PLACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def sink(place: Place) -> Iterator[Sink]:
    made = place.sink()
    made.open()
    yield made
    made.close()


def offered_again(sink: Sink, batches: list[_core.Batch]) -> None:
    """Offer as the runner does after a failure: what was not flushed comes again."""
    sink.open()
    for batch in batches:
        sink.write(batch)
    sink.flush()


def until_unavailable(sink: Sink, batches: list[_core.Batch]) -> None:
    """Write until the sink says that its receiver is away; flush where writing alone does not tell."""

    def keep_on() -> None:
        for _ in range(1000):
            for batch in batches:
                sink.write(batch)
                sink.flush()

    with pytest.raises(SinkUnavailableError):
        keep_on()


class TestRecordSink:
    def test_every_kind_arrives_in_order(self, place, sink):
        batches = every_kind()
        for batch in batches:
            sink.write(batch)
        sink.flush()
        sent = numbers(batches)
        assert place.numbers(len(sent)) == sent

    def test_a_flush_is_a_receipt(self, sink):
        batches = every_kind()
        for batch in batches:
            sink.write(batch)
        sink.flush()
        assert sink.durable in (0, numbers(batches)[-1])

    def test_what_was_offered_was_written_or_is_counted(self, place, sink):
        batches = every_kind()
        for batch in batches:
            sink.write(batch)
        sink.flush()
        lost = sum(sink.counters[name] for name in place.losses)
        assert sink.counters["written"] + lost == len(numbers(batches))

    def test_cutting_into_batches_changes_nothing(self, place, sink):
        whole = _core.Batch.concat(every_kind())
        for at in range(len(whole)):
            sink.write(whole.head(at + 1).after(numbers([whole])[at] - 1))
        sink.flush()
        assert place.numbers(len(whole)) == numbers([whole])

    def test_an_empty_batch_writes_nothing(self, place, sink):
        sink.write(_core.Batch.of([]))
        sink.write(every_kind()[0])
        sink.flush()
        assert len(place.numbers(1)) == 1

    def test_close_flushes(self, place, sink):
        batches = every_kind()
        for batch in batches:
            sink.write(batch)
        sink.close()
        sent = numbers(batches)
        assert place.numbers(len(sent)) == sent

    def test_close_can_be_called_again_and_before_open(self, place, sink):
        sink.close()
        sink.close()
        place.sink().close()

    def test_another_run_goes_on(self, place, sink):
        batches = every_kind()
        for batch in batches[:2]:
            sink.write(batch)
        sink.flush()
        sink.close()
        later = place.sink()
        known = later.open()
        assert known in (0, numbers(batches[:2])[-1])
        for batch in batches[2:]:
            later.write(batch)
        later.flush()
        later.close()
        sent = numbers(batches)
        assert place.numbers(len(sent)) == sent

    def test_a_receiver_that_was_away_gets_everything(self, place, sink):
        batches = every_kind()
        sink.write(batches[0])
        sink.flush()
        place.numbers(1)
        place.go()
        until_unavailable(sink, batches[1:])
        place.come()
        offered_again(sink, batches[1:])
        sent = numbers(batches)
        got = place.numbers(len(sent))
        assert sorted(set(got)) == sent
        if place.exact:
            assert got == sent

    def test_a_receiver_that_is_away_at_first_is_waited_for(self, place):
        first = place.sink()
        first.open()
        first.write(every_kind()[0])
        first.close()
        place.numbers(1)
        place.go()
        late = place.sink()
        try:
            late.open()
        except SinkUnavailableError:
            pass
        else:
            until_unavailable(late, every_kind()[1:])
        place.come()
        offered_again(late, every_kind()[1:])
        late.close()
        sent = numbers(every_kind())
        assert sorted(set(place.numbers(len(sent)))) == sent

    def test_writing_while_not_open_is_refused(self, place):
        with pytest.raises(SinkUnavailableError):
            place.sink().write(every_kind()[0])

    def test_what_a_filter_keeps_away_is_counted(self, sink):
        sink.write(every_kind()[0])
        sink.note_filtered(3, 4)
        sink.flush()
        assert sink.counters["filtered"] == 3

    def test_a_tick_changes_no_record(self, place, sink):
        sink.write(every_kind()[0])
        sink.tick(1_795_474_031_000_000_000)
        sink.flush()
        assert len(place.numbers(1)) == 1

    def test_it_has_a_name(self, place):
        assert ":" in place.sink().target
