"""DuckDB, started as lean as it goes: one thread, no extensions, for `who` not even its Python package."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from conntap.errors import ConntapError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["begin", "blob", "connect", "is_fault_of_file", "text", "texts"]

HINT = "pip install 'conntap[ledger]'"
#: Nothing is fetched, nothing is loaded that a question does not need.
CONFIG = {"autoload_known_extensions": "false", "autoinstall_known_extensions": "false"}

#: A database that somebody began to open, and nobody has taken yet.
_begun: list[Begun] = []


class Begun:
    """A lean database that is opened in a thread."""

    def __init__(self) -> None:
        self._made: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._open, name="duckdb", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            self._made = lean_database()
        except BaseException as error:  # noqa: BLE001 - it is raised where the database is asked for
            self._error = error

    def result(self) -> Any:
        """The database, when it is open."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._made


def begin() -> None:
    """Begin to open a database for the next `connect(lean=True)`: that takes as long as reading the manifest."""
    _begun.append(Begun())


def connect(*, lean: bool = False) -> Any:
    """A database in memory.

    Args:
        lean: for one short question: the bare extension module, which starts in a fifth of the package's time.

    Raises:
        ConntapError: duckdb is not installed.
    """
    if lean:
        return _begun.pop().result() if _begun else lean_database()
    return whole_database()


def lean_database() -> Any:
    try:
        import _duckdb
    except ImportError:
        return whole_database()  # an older duckdb keeps it elsewhere
    return _duckdb.connect(":memory:", config={**CONFIG, "threads": "1"})


def whole_database() -> Any:
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
