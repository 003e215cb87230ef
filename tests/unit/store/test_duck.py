"""DuckDB is started lean, and what goes into SQL is quoted."""

from __future__ import annotations

import sys

import pytest

from conntap.errors import ConntapError
from conntap.store import duck


def one(sql, *, lean=True):
    database = duck.connect(lean=lean)
    try:
        return database.execute(sql).fetchone()[0]
    finally:
        database.close()


@pytest.mark.parametrize("lean", [True, False])
def test_it_fetches_nothing_by_itself(lean):
    for setting in ("autoload_known_extensions", "autoinstall_known_extensions"):
        assert one(f"SELECT current_setting('{setting}')", lean=lean) is False


def test_a_short_question_takes_one_thread():
    assert one("SELECT current_setting('threads')") == 1


def test_a_database_that_was_begun_is_the_next_lean_one():
    duck.begin()
    first, second = duck.connect(lean=True), duck.connect(lean=True)
    first.execute("CREATE TABLE t (i INTEGER)")
    with pytest.raises(Exception, match="does not exist"):
        second.execute("SELECT * FROM t")
    first.close()
    second.close()


def test_what_failed_while_it_was_begun_is_raised_where_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "_duckdb", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    duck.begin()
    with pytest.raises(ConntapError, match="needs the duckdb package"):
        duck.connect(lean=True)


def test_an_older_duckdb_has_no_bare_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "_duckdb", None)
    assert one("SELECT 7") == 7


def test_without_duckdb_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "_duckdb", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConntapError, match="needs the duckdb package") as caught:
        duck.connect()
    assert "conntap[ledger]" in caught.value.hint


@pytest.mark.parametrize("value", ["plain", "it's", "''; DROP TABLE x; --", "ä\\n"])
def test_text_comes_back_as_it_was(value):
    assert one(f"SELECT {duck.text(value)}") == value
    assert one(f"SELECT {duck.texts([value, 'b'])}") == [value, "b"]


def test_bytes_come_back_as_they_were():
    assert one(f"SELECT {duck.blob(bytes(range(256)))}") == bytes(range(256))


def test_an_error_of_a_file_is_told_from_one_of_ours(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"rubbish")
    with pytest.raises(Exception, match=r"a\.parquet") as caught:
        one(f"FROM read_parquet({duck.text(str(tmp_path / 'a.parquet'))})")
    assert duck.is_fault_of_file(caught.value)
    assert not duck.is_fault_of_file(ValueError("ours"))
