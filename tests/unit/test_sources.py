from __future__ import annotations

import conntap
from conntap.filter import Filter
from conntap.sources import FileSource
from records import SAMPLES


def rows(source: FileSource) -> int:
    count = 0
    while not source.ended:
        batch = source.receive(0.0)
        count += len(batch) if batch is not None else 0
    return count


def test_a_file_is_read_to_its_end_and_counted():
    source = FileSource(conntap.replay(SAMPLES), None)
    assert not source.live
    assert rows(source) == source.counters["rows"] >= 50
    assert source.dump() is None


def test_a_filter_is_applied_where_the_rows_are_read():
    source = FileSource(conntap.replay(SAMPLES), Filter("udp"))
    assert 0 < rows(source) < rows(FileSource(conntap.replay(SAMPLES), None))
    assert source.counters["filtered_here"] > 0


def test_a_file_that_is_not_read_to_its_end_can_be_closed():
    source = FileSource(conntap.replay(SAMPLES), None)
    assert source.receive(0.0) is not None
    source.close()
