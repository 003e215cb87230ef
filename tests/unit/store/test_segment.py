"""A segment's file: whole under its name, or not there."""

from __future__ import annotations

import hashlib
import os

import pytest
from arro3.io import read_parquet

from conntap import _core
from conntap.store.segment import clean, file_name, write
from ledgers import Connection, records_of


@pytest.fixture
def table():
    records, _ = records_of([Connection(("10.0.0.5", 40000), ("198.51.100.77", 443), outside=("203.0.113.7", 50510))])
    builder = _core.SegmentBuilder()
    for batch in records:
        builder.append(batch)
    return builder.finish()


def test_what_is_told_of_a_file_is_so(tmp_path, table):
    made = write(tmp_path, "segments/2026-11-02/flows-1.parquet", table, {"conntap.class": "flows"})
    data = (tmp_path / made.file).read_bytes()
    assert (made.bytes, made.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert read_parquet(str(tmp_path / made.file)).read_all().num_rows == 1
    assert [path.name for path in (tmp_path / made.file).parent.iterdir()] == ["flows-1.parquet"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_nothing_is_left_when_the_disk_refuses(tmp_path, table, monkeypatch, call):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, "segments/2026-11-02/flows-1.parquet", table, {})
    assert not list((tmp_path / "segments/2026-11-02").iterdir())


def test_names_sort_by_day_and_number():
    assert file_name("nat", 1_793_628_000 * 10**9, 1, 20, level=1, part=2) == (
        "segments/2026-11-02/nat-000000000001-000000000020-m1-2.parquet"
    )


def test_what_a_crash_left_goes_and_nothing_else(tmp_path):
    day = tmp_path / "segments/2026-11-02"
    day.mkdir(parents=True)
    for name in ("flows-1.parquet", "flows-2.parquet", "flows-3.parquet.part", "mine.txt", "mine.parquet"):
        (day / name).touch()
    removed = clean(tmp_path, {"segments/2026-11-02/flows-1.parquet"})
    assert [os.path.basename(name) for name in removed] == ["flows-2.parquet", "flows-3.parquet.part"]
    assert sorted(path.name for path in day.iterdir()) == ["flows-1.parquet", "mine.parquet", "mine.txt"]
