"""DuckDB fetches nothing by itself, and what goes into SQL is quoted."""

from __future__ import annotations

import sys

import pytest

from conntap.errors import ConntapError
from conntap.store import duck


def one(sql):
    database = duck.connect()
    try:
        return database.execute(sql).fetchone()[0]
    finally:
        database.close()


def test_it_fetches_nothing_by_itself():
    for setting in ("autoload_known_extensions", "autoinstall_known_extensions"):
        assert one(f"SELECT current_setting('{setting}')") is False


def test_without_duckdb_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConntapError, match="needs the duckdb package") as caught:
        duck.connect()
    assert "conntap[ledger]" in caught.value.hint


@pytest.mark.parametrize("value", ["plain", "it's", "''; DROP TABLE x; --", "ä\\n"])
def test_text_comes_back_as_it_was(value):
    assert one(f"SELECT {duck.text(value)}") == value
    assert one(f"SELECT {duck.texts([value, 'b'])}") == [value, "b"]
