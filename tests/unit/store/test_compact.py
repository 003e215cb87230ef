"""Merging: same rows, sorted, numbers whole; readers and failures see the old or the new, never half."""

from __future__ import annotations

import threading

import pytest

from conntap import _core
from conntap.errors import ConntapError
from conntap.store import compact as module
from conntap.store.compact import DAY_NS, GRACE_NS, HOUR_NS, compact, due, remove_gone
from conntap.store.manifest import Manifest, SegmentEntry, Writer
from conntap.store.query import Ledger
from conntap.store.verify import verify
from ledgers import START, Connection, numbers, publish, records_of, rows

#: Long after all.
LATER = START + 3 * DAY_NS
PARTS = 6


@pytest.fixture
def ledger(tmp_path):
    """Six segments of two hours, addresses and families mixed."""
    connections = [
        Connection(
            (f"10.0.{part}.{one}", 40000 + one),
            ("198.51.100.77", 443),
            outside=(f"203.0.113.{(one * 7 + part) % 5}", 1000 + one),
            start=part * 1200 + one,
            stop=part * 1200 + one + 5,
        )
        for part in range(PARTS)
        for one in range(20)
    ] + [
        Connection(("fd00::5", 1), ("2001:db8::77", 443), start=part * 1200, stop=part * 1200 + 1)
        for part in range(PARTS)
    ]
    whole = _core.Batch.concat(records_of(connections)[0])
    size = 21
    publish(tmp_path, *([whole.after(at * size).head(size)] for at in range(PARTS)))
    return tmp_path


@pytest.fixture
def manifest(ledger):
    writer = Writer(ledger, at_ns=LATER)
    yield writer
    writer.close()


def test_all_becomes_one_and_stays_the_same(ledger, manifest):
    before = sorted(rows(ledger), key=repr)
    made = compact(str(ledger), manifest, now_ns=LATER)
    assert [one.level for one in made] == [1, 1, 2]
    assert len(manifest.state.segments) == 1
    assert sorted(rows(ledger), key=repr) == before
    assert sorted(numbers(ledger)) == list(range(1, PARTS * 21 + 1))
    assert verify(ledger).faults == []
    assert compact(str(ledger), manifest, now_ns=LATER) == []


def test_merged_rows_are_sorted_as_the_builder_sorts(ledger, manifest):
    compact(str(ledger), manifest, now_ns=LATER)
    found = rows(ledger, "out_addr IS NULL, coalesce(out_addr, 0), out_port, l4proto, start_ns")
    assert found == sorted(found)


def test_bounds_are_those_of_all(ledger, manifest):
    entries = list(manifest.state.segments.values())
    compact(str(ledger), manifest, now_ns=LATER)
    (made,) = manifest.state.segments.values()
    for name, of_all in (
        ("rows", sum), ("snat", sum), ("dnat", sum), ("min_start_ns", min), ("max_stop_ns", max),
        ("min_out_addr", min), ("max_out_addr", max), ("first_seq", min), ("last_seq", max), ("ipv6", any),
    ):  # fmt: skip
        assert getattr(made, name) == of_all(getattr(one, name) for one in entries), name


def test_only_past_hours_and_days_are_due():
    def entry(end_ns, level=0, cls="flows"):
        return SegmentEntry(f"{end_ns}-{level}-{cls}", cls=cls, rows=1, level=level, max_stop_ns=end_ns)

    start = START - START % DAY_NS
    hour = [entry(start + 1), entry(start + 2)]
    assert due(hour, start + HOUR_NS) == []
    assert due(hour, start + HOUR_NS + HOUR_NS // 2) == [hour]
    assert due([hour[0], entry(start + HOUR_NS)], start + DAY_NS * 2) == []
    assert due([hour[0], entry(start + 2, cls="nat")], start + DAY_NS * 2) == []


def test_old_files_stay_for_those_who_read_them(ledger, manifest):
    reader = Ledger(ledger)
    asked = reader.sql("SELECT count(*) FROM records")
    old = list(manifest.state.segments)
    compact(str(ledger), manifest, now_ns=LATER)
    assert asked.fetch()[1] == [(PARTS * 21,)]
    assert remove_gone(str(ledger), manifest, now_ns=LATER + GRACE_NS - 1) == 0
    assert all((ledger / file).exists() for file in old)
    assert remove_gone(str(ledger), manifest, now_ns=LATER + GRACE_NS) == PARTS + 2
    assert not any((ledger / file).exists() for file in old)
    assert reader.sql("SELECT count(*) FROM records").fetch()[1] == [(PARTS * 21,)]


def test_whoever_reads_meanwhile_sees_each_row_once(ledger, manifest):
    counted: set[int] = set()
    done = threading.Event()

    def read():
        while True:
            last = done.is_set()
            counted.add(len(rows(ledger, "kind")))
            if last:
                return

    thread = threading.Thread(target=read)
    thread.start()
    compact(str(ledger), manifest, now_ns=LATER)
    done.set()
    thread.join()
    assert counted == {PARTS * 21}


def test_a_damaged_file_is_not_merged(ledger, manifest):
    state = Manifest.read(ledger)
    file = next(iter(state.segments))
    (ledger / file).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(ConntapError) as failed:
        compact(str(ledger), manifest, now_ns=LATER)
    assert failed.value.hint == "conntap ledger verify says what is damaged"
    assert Manifest.read(ledger).segments == state.segments
    assert not (ledger / "segments/sorting").exists()


def test_a_full_disk_changes_nothing(ledger, manifest, monkeypatch):
    state = Manifest.read(ledger)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write", refuse)
        with pytest.raises(OSError, match="No space"):
            compact(str(ledger), manifest, now_ns=LATER)
    assert Manifest.read(ledger).segments == state.segments
    assert verify(ledger).whole
    assert compact(str(ledger), manifest, now_ns=LATER)


def test_it_stops_between_segments(ledger, manifest):
    stop = threading.Event()
    stop.set()
    assert compact(str(ledger), manifest, now_ns=LATER, stop=stop) == []
