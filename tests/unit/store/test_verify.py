"""Verify finds every fault and names it; what is whole stays readable."""

from __future__ import annotations

import json

import pytest

from conntap import _core
from conntap.errors import UsageError
from conntap.store.manifest import NAME, Manifest
from conntap.store.verify import verify
from ledgers import Connection, numbers, publish, records_of
from records import made


@pytest.fixture
def ledger(tmp_path):
    """Two segments."""
    first = made()
    publish(tmp_path, first, made(_core.Ledger(seq=first[-1].last_seq)))
    return tmp_path


def files(ledger):
    return list(Manifest.read(ledger).segments)


def test_whole(ledger):
    report = verify(ledger)
    assert (report.whole, report.segments, report.missing, report.notes) == (True, 2, 0, [])
    assert report.last_seq == len(numbers(ledger))


def test_there_must_be_one(tmp_path):
    with pytest.raises(UsageError, match="there is no ledger"):
        verify(tmp_path)


def test_a_bit_that_flipped(ledger):
    path = ledger / files(ledger)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    report = verify(ledger)
    assert report.faults == [f"{files(ledger)[0]}: its bytes are not those that were written (sha256)"]
    assert report.segments == 1
    assert verify(ledger, contents=False).whole


def test_a_file_that_was_cut(ledger):
    path = ledger / files(ledger)[0]
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    assert verify(ledger).faults == [f"{files(ledger)[0]}: it has {size - 7} bytes, the manifest tells {size}"]


def test_a_file_that_is_missing_and_what_still_can_be_read(ledger):
    (ledger / files(ledger)[0]).unlink()
    report = verify(ledger)
    assert report.faults == [f"{files(ledger)[0]}: it is missing"]
    assert (report.segments, report.rows) == (1, Manifest.read(ledger).segments[files(ledger)[1]].rows)


def test_a_line_that_was_removed(ledger):
    path = ledger / NAME
    lines = path.read_bytes().splitlines(keepends=True)
    (at,) = [number for number, line in enumerate(lines) if b'"first_seq":1,' in line]
    first = json.loads(lines.pop(at))
    path.write_bytes(b"".join(lines))
    report = verify(ledger)
    assert f"records 1 to {first['last_seq']} are in no segment" in " ".join(report.faults)
    assert "it does not follow line" in " ".join(report.faults)
    assert report.missing == first["last_seq"]
    assert [note.partition(":")[0] for note in report.notes] == [first["file"]]


def test_numbers_that_never_came(tmp_path):
    records, _ = records_of([Connection(("10.0.0.5", port), ("198.51.100.7", 443), start=port) for port in (1, 2, 3)])
    whole = _core.Batch.concat(records)
    publish(tmp_path, [whole.head(1), whole.after(2)])
    assert verify(tmp_path).missing == 1
    assert "1 of the records 1 to 3 never came" in verify(tmp_path).faults[0]


def test_a_torn_line_and_a_file_of_others_are_no_faults(ledger):
    with (ledger / NAME).open("ab") as file:
        file.write(b'{"type":')
    (ledger / files(ledger)[0]).with_name("mine.parquet").touch()
    report = verify(ledger)
    assert report.whole
    assert len(report.notes) == 2
