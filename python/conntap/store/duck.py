"""DuckDB, started as lean as it goes: one thread, no extensions, for `who` not even its Python package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap.errors import ConntapError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["blob", "connect", "is_fault_of_file", "text", "texts"]

HINT = "pip install 'conntap[ledger]'"
#: Nothing is fetched, nothing is loaded that a question does not need.
CONFIG = {"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}


def connect(*, lean: bool = False) -> Any:
    """A database in memory.

    Args:
        lean: for one short question: the bare extension module, which starts in a fifth of the package's time.

    Raises:
        ConntapError: duckdb is not installed.
    """
    if lean:
        try:
            import _duckdb
        except ImportError:
            pass  # an older duckdb keeps it elsewhere
        else:
            return _duckdb.connect(":memory:", config={**CONFIG, "threads": "1"})
    try:
        import duckdb
    except ImportError as error:
        raise ConntapError("reading a ledger needs the duckdb package, which is not there", hint=HINT) from error
    return duckdb.connect(":memory:", config=dict(CONFIG))


def text(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """A list of texts as SQL."""
    return "[" + ", ".join(text(value) for value in values) + "]"


def blob(value: bytes) -> str:
    """Bytes as SQL."""
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"


def is_fault_of_file(error: Exception) -> bool:
    """Is it an error of DuckDB? Over SQL of ours that is a file that is damaged, or not there."""
    return "duckdb" in type(error).__module__
