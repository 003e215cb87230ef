"""Which files and gaps a manifest gives, and of which time all is known."""

from __future__ import annotations

import fcntl
import json
import os
from ipaddress import ip_address

import pytest

from conntap import _core
from conntap.errors import UsageError
from conntap.store.catalog import FOREVER_NS, Catalog, Gap, Segment, is_running
from conntap.store.manifest import SegmentEntry, Writer
from conntap.store.overlay import Held, Overlay
from conntap.store.who import Question
from ledgers import Connection, at, records_of, write_ledger

WEB, OUT = ("198.51.100.77", 443), ("203.0.113.7", 50510)
SEGMENT = Segment("a.parquet", 3, 100, 100, 200, None, ipv6=False, dnat=0, whole=True)


def question(address="203.0.113.7", low=0, high=0):
    return Question(ip_address(address), None, None, low, high, 0)


def manifest(directory, *lines):
    """A ledger of these lines; a SegmentEntry becomes a segment's."""
    writer = Writer(directory, at_ns=1)
    for line in lines:
        if isinstance(line, SegmentEntry):
            writer.segment(line, at_ns=line.written_ns)
        else:
            writer.append(line)
    writer.close()
    return str(directory)


def test_a_ledger_of_one_segment_and_a_gap(tmp_path):
    gap = _core.Batch.gap("overrun", at(100), at(110), 5)
    records, _ = records_of([Connection(("10.0.0.5", 1), WEB, outside=OUT)], batches=[gap])
    catalog = Catalog.read(str(write_ledger(tmp_path, records)))
    (segment,) = catalog.segments
    assert (segment.rows, segment.min_start_ns, segment.max_stop_ns) == (1, at(0), at(10))
    assert os.path.getsize(segment.path) == segment.size
    assert [(found.cause, found.after_ns, found.lost) for found in catalog.gaps] == [("overrun", at(100), 5)]
    assert (catalog.begin_ns, catalog.last_seq) == (at(-3600), 2)


def test_no_ledger_is_the_askers_mistake_unless_a_logger_has_just_begun(tmp_path):
    with pytest.raises(UsageError, match="has no ledger"):
        Catalog.read(str(tmp_path))
    (tmp_path / "journal").mkdir()
    catalog = Catalog.read(str(tmp_path))
    assert (catalog.segments, catalog.begin_ns, catalog.privacy) == ([], None, None)


def test_a_line_that_was_changed_makes_a_gap_of_all_time(tmp_path):
    directory = manifest(tmp_path, {"type": "session", "event": "start", "at_ns": 5})
    path = tmp_path / "manifest.jsonl"
    path.write_text(path.read_text().replace('"version":1', '"version":1,"x":1'))
    assert Catalog.read(directory).gaps == [Gap("damage", 0, FOREVER_NS)]


def test_what_retention_dropped_is_not_known(tmp_path):
    directory = manifest(
        tmp_path,
        {"type": "session", "event": "start", "at_ns": 5},
        SegmentEntry("segments/a.parquet", rows=1, min_start_ns=10, max_stop_ns=50, written_ns=60),
        {"type": "dropped", "files": ["segments/a.parquet"], "at_ns": 90},
    )
    assert Catalog.read(directory).begin_ns == 50


def test_the_last_session_says_what_is_not_told(tmp_path):
    start = {"type": "session", "event": "start", "at_ns": 5}
    directory = manifest(tmp_path, {**start, "privacy": {"hash_inside": True}})
    assert Catalog.read(directory).privacy == {"hash_inside": True}
    manifest(tmp_path, start)
    assert Catalog.read(directory).privacy == {}


@pytest.mark.parametrize(("low", "high", "lived"), [
    (None, None, True), (200, None, True), (201, None, False), (None, 100, True), (None, 99, False), (120, 130, True),
])  # fmt: skip
def test_a_segment_that_did_not_live_then_is_not_read(low, high, lived):
    assert SEGMENT.lived(low, high) is lived


def test_a_segment_may_hold_an_answer():
    assert SEGMENT.may_hold(question(low=150, high=150), 150, open_known=True)
    assert not SEGMENT.may_hold(question("2001:db8::1", 150, 150), 150, open_known=True)  # it has no IPv6
    assert not SEGMENT.may_hold(question(low=300, high=300), 300, open_known=True)
    assert SEGMENT.may_hold(question(low=300, high=300), 300, open_known=False)  # what began in it may go on


def test_a_question_hears_of_gaps_that_overlap_and_of_what_is_outside():
    catalog = Catalog([], [Gap("overrun", 100, 110), Gap("restart", 200, 210)], 10, 1000, 0)
    causes = lambda low, high: [gap.cause for gap in catalog.unknown(low, high)]  # noqa: E731
    assert causes(105, 105) == ["overrun"]
    assert causes(50, 205) == ["overrun", "restart"]
    assert causes(5, 20) == ["before"]
    assert causes(900, 1001) == ["behind"]
    assert causes(120, 190) == []


def test_around_a_time_all_is_known_up_to_the_next_gap():
    catalog = Catalog([], [Gap("overrun", 100, 110), Gap("restart", 200, 210)], 10, 1000, 0)
    assert catalog.known(120, 130) == (110, 200)
    assert catalog.known(20, 30) == (10, 100)
    assert catalog.known(300, 300) == (210, 1000)


def test_a_journal_adds_its_gaps_in_order_and_its_time(tmp_path):
    catalog = Catalog([], [Gap("overrun", at(100), at(110))], 10, at(110), 0)
    made = _core.Ledger().feed(_core.Batch.gap("restart", at(1), at(2), None))
    catalog.extend(Overlay(Held([made], [], at(500))), running=False)
    assert [gap.cause for gap in catalog.gaps] == ["restart", "overrun"]
    assert catalog.end_ns == at(500)
    before = _core.now_ns()
    catalog.extend(Overlay(None), running=True)
    assert catalog.end_ns > before - 3_000_000_000


def test_a_logger_is_at_work_while_it_holds_the_journal(tmp_path):
    assert not is_running(str(tmp_path))
    (tmp_path / "journal").mkdir()
    with open(tmp_path / "journal/lock", "w") as file:
        assert not is_running(str(tmp_path))
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_running(str(tmp_path))
    assert not is_running(str(tmp_path))


def test_gaps_and_segments_are_views(tmp_path):
    import duckdb

    catalog = Catalog([SEGMENT], [Gap("overrun", 0, 1_000, lost=5)], None, 0, 0)
    with duckdb.connect() as database:
        database.execute(catalog.gaps_view() + catalog.segments_view())
        assert database.sql("SELECT cause, epoch_ns(gap_before_ns), lost FROM gaps").fetchall() == [
            ("overrun", 1_000, 5)
        ]
        assert database.sql("SELECT path, rows, whole FROM segments").fetchall() == [("a.parquet", 3, True)]


def test_a_gap_for_json_has_no_ends_that_are_open():
    told = json.loads(json.dumps(Gap("behind", 7, FOREVER_NS).as_dict()))
    assert (told["after_ns"], told["before_ns"]) == (7, None)
