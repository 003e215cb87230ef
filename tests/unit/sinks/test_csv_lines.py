from __future__ import annotations

import csv

import pytest

from conntap.errors import ConntapError, UsageError
from conntap.sinks.csv_lines import FIELDS, CsvSink
from records import every_kind, numbers


def written(path, **options):
    sink = CsvSink(str(path), **options)
    sink.open()
    for batch in every_kind():
        sink.write(batch)
    sink.close()
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_what_most_records_have(tmp_path):
    rows = written(tmp_path / "out")
    assert tuple(rows[0]) == FIELDS
    assert [int(row["seq"]) for row in rows] == numbers(every_kind())
    assert rows[-1]["kind"] == "GAP"
    assert rows[-1]["orig_src"] == ""


def test_columns_stand_as_said(tmp_path):
    rows = written(tmp_path / "out", fields=["kind", "seq", "kind"])
    assert list(rows[0]) == ["kind", "seq"]


def test_an_unknown_column():
    with pytest.raises(UsageError, match="no field 'sq'"):
        CsvSink("-", fields=["sq"])


def test_another_run_goes_on_without_another_head(tmp_path):
    path = tmp_path / "out"
    written(path)
    sink = CsvSink(str(path))
    assert sink.open() == numbers(every_kind())[-1]
    sink.close()
    assert path.read_bytes().count(b"seq,") == 1


def test_a_file_with_other_columns_is_rotated_away(tmp_path):
    path = tmp_path / "out"
    before = written(path, fields=["seq"])
    rows = written(path, fields=["seq", "kind"])
    assert list(rows[0]) == ["seq", "kind"]
    (old,) = (other for other in tmp_path.iterdir() if other != path)
    assert len(old.read_text().splitlines()) == len(before) + 1


@pytest.mark.parametrize("content", ["name,price\r\npear,3", "text\nmore", "text", "name,pri"])
def test_other_tables_are_left_alone(tmp_path, content):
    path = tmp_path / "out"
    path.write_bytes(content.encode())
    with pytest.raises(ConntapError, match="holds something else"):
        CsvSink(str(path)).open()
    assert path.read_bytes() == content.encode()


@pytest.mark.parametrize("torn", ["s", "seq,ki", "seq,kind,flow_id"])
def test_a_torn_head_is_written_again(tmp_path, torn):
    path = tmp_path / "out"
    path.write_text(torn)
    assert len(written(path)) == len(numbers(every_kind()))
