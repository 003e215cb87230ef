from __future__ import annotations

from conntap.sinks.null import NullSink
from records import made, numbers


def test_it_counts_what_it_forgets():
    sink, batches = NullSink("null:"), made()
    assert sink.open() == 0
    for batch in batches:
        sink.write(batch)
    sink.flush()
    sink.close()
    assert sink.counters == {"records": len(numbers(batches))}
