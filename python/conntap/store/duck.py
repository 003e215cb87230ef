"""DuckDB, started so that it fetches nothing by itself; and values as its SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap.errors import ConntapError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["connect", "text", "texts"]

HINT = "pip install 'conntap[ledger]'"
#: Nothing is fetched, nothing is loaded that a question does not need.
CONFIG = {"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}


def connect() -> Any:
    """A database in memory.

    Raises:
        ConntapError: duckdb is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ConntapError("this question needs the duckdb package, which is not there", hint=HINT) from error
    return duckdb.connect(":memory:", config=dict(CONFIG))


def text(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of texts as SQL."""
    return "[" + ", ".join(text(value) for value in values) + "]"
