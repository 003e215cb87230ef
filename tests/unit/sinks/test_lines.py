from __future__ import annotations

import pytest

from conntap import _core
from conntap.sinks.files import LineFile
from conntap.sinks.lines import FileSink
from records import every_kind, numbers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "numbers.csv"


def sink(path, **options) -> FileSink:
    formatter = _core.LineFormatter("csv", fields=["seq"])
    file = LineFile(str(path), head=formatter.head(), **options)
    return FileSink(f"csv:{path}", file, formatter, seq_of=int)


def there(path):
    return [int(line) for line in path.read_text().split()[1:]]


def test_what_is_not_flushed_is_taken_back_and_counted(path):
    first, second, *_ = every_kind()
    writer = sink(path)
    writer.open()
    writer.write(first)
    writer.flush()
    writer.write(second)
    assert writer.open() == writer.durable == numbers([first])[-1]
    assert writer.counters["taken_back"] == len(second)
    writer.write(second)
    writer.close()
    assert there(path) == numbers([first, second])
    assert writer.counters["written"] == len(first) + len(second)


def test_a_rotation_makes_durable_and_what_comes_again_is_left_out(path):
    batches = every_kind()
    writer = sink(path, rotate_bytes=1)
    writer.open()
    writer.write(batches[0])  # rotates
    writer.open()  # after a failure elsewhere all comes again
    writer.write(batches[0])
    assert writer.counters["again"] == len(batches[0])
    writer.close()
    (old,) = (other for other in path.parent.iterdir() if other != path)
    assert there(old) == numbers(batches[:1])
    assert there(path) == []


def test_the_last_line_says_where_another_run_goes_on(path):
    batches = every_kind()
    writer = sink(path)
    writer.open()
    for batch in batches:
        writer.write(batch)
    writer.close()
    later = sink(path)
    assert later.open() == numbers(batches)[-1]
    later.close()


def test_a_moved_file_is_left_in_the_next_tick(path):
    first, second, *_ = every_kind()
    writer = sink(path)
    writer.open()
    writer.write(first)
    moved = path.with_suffix(".1")
    path.rename(moved)
    writer.tick(0)
    writer.write(second)
    writer.close()
    assert (there(moved), there(path)) == (numbers([first]), numbers([second]))
