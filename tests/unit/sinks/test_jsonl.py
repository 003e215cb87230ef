from __future__ import annotations

import json

import pytest

from conntap.errors import ConntapError, UsageError
from conntap.sinks.jsonl import JsonlSink
from records import every_kind, numbers


def written(path, **options):
    sink = JsonlSink(str(path), **options)
    sink.open()
    for batch in every_kind():
        sink.write(batch)
    sink.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_is_an_object_of_its_fields(tmp_path):
    rows = written(tmp_path / "out")
    assert [row["seq"] for row in rows] == numbers(every_kind())
    assert rows[0]["kind"] == "BINDING"


def test_chosen_fields(tmp_path):
    assert {key for row in written(tmp_path / "out", fields=["orig_src", "seq"]) for key in row} == {"orig_src", "seq"}


def test_the_keys_of_ulogd(tmp_path):
    rows = written(tmp_path / "out", keys="ulogd", device="gw", utc_offset=0)
    assert all(list(row)[:2] == ["timestamp", "dvc"] and row["dvc"] == "gw" for row in rows)
    assert rows[0]["ct.event"] == 1


@pytest.mark.parametrize("options", [{"keys": "elastic"}, {"keys": "ulogd", "fields": ["seq"]}, {"fields": ["sq"]}])
def test_options_that_cannot_be(options):
    with pytest.raises(UsageError):
        JsonlSink("-", **options)


def test_resume_goes_by_the_last_line(tmp_path):
    path = tmp_path / "out"
    written(path)
    for resume, known in ((True, numbers(every_kind())[-1]), (False, 0)):
        sink = JsonlSink(str(path), resume=resume)
        assert sink.open() == known
        sink.close()


@pytest.mark.parametrize(
    "content", ['{"name":"a package"}', '{"name":"a package"}\n', "{\n  1\n}", "[1]", "text\nmore"]
)
def test_other_files_of_json_are_left_alone(tmp_path, content):
    path = tmp_path / "out"
    path.write_text(content)
    with pytest.raises(ConntapError, match="holds something else"):
        JsonlSink(str(path)).open()
    assert path.read_text() == content


@pytest.mark.parametrize("torn", ["{", '{"kind":"FLO', '{"seq":1,"ki', '{"timestamp": "2026'])
def test_a_first_line_that_is_torn_is_kept_elsewhere(tmp_path, torn):
    path = tmp_path / "out"
    path.write_text(torn)
    assert len(written(path)) == len(numbers(every_kind()))
    (old,) = (other for other in tmp_path.iterdir() if other != path)
    assert old.read_text() == torn


def test_a_torn_line_behind_whole_ones_is_written_again(tmp_path):
    path = tmp_path / "out"
    written(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    sink = JsonlSink(str(path))
    known = sink.open()
    assert known == numbers(every_kind())[-2]
    sink.write(every_kind()[-1].after(known))
    sink.close()
    assert path.read_bytes() == whole
