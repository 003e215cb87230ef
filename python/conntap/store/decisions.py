"""What a guard decided, beside the records: `DIR/decisions/YYYY-MM-DD.jsonl`, and the view `decisions` over it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conntap.journal import append_whole
from conntap.store import duck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DecisionLog", "view"]

FOLDER: Final = "decisions"
#: Column → type; lines may have more, and lack some.
COLUMNS: Final = {
    "received_ns": "BIGINT", "what": "VARCHAR", "allowed": "BOOLEAN", "outcome": "VARCHAR", "rule": "VARCHAR",
    "reason": "VARCHAR", "reaction_ns": "BIGINT", "helper": "VARCHAR", "protocol": "VARCHAR", "src": "VARCHAR",
    "src_mask": "VARCHAR", "dst": "VARCHAR", "dport": "INTEGER", "master_src": "VARCHAR", "master_dst": "VARCHAR",
    "master_sport": "INTEGER", "master_dport": "INTEGER", "zone": "INTEGER",
}  # fmt: skip


class DecisionLog:
    """Appends decisions to a ledger's directory, a file a day."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made.
        """
        self._folder = Path(directory) / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)

    def write(self, decisions: Iterable[Mapping[str, Any]]) -> None:
        """Append them: of each day all, or nothing.

        Raises:
            OSError: no room, say.
        """
        days: dict[str, list[str]] = {}
        for one in decisions:
            day = time.strftime("%Y-%m-%d", time.gmtime(int(one["received_ns"]) // 1_000_000_000))
            days.setdefault(day, []).append(json.dumps(one, separators=(",", ":")) + "\n")
        for day, lines in days.items():
            descriptor = os.open(self._folder / f"{day}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                append_whole(descriptor, "".join(lines).encode(), os.fstat(descriptor).st_size)
            finally:
                os.close(descriptor)


def view(directory: str | os.PathLike[str]) -> str:
    """The view `decisions` as SQL: `received_ns` as a time, all else as the guard tells it."""
    files = sorted(str(path) for path in (Path(directory) / FOLDER).glob("*.jsonl"))
    rest = ", ".join(name for name in COLUMNS if name != "received_ns")
    typed = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    source = (
        f"read_json({duck.texts(files)}, format = 'newline_delimited', columns = {{{typed}}}, ignore_errors = true)"
    )
    if not files:
        nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
        source = f"(SELECT {nothing} WHERE false)"
    chosen = f"make_timestamp_ns(received_ns) AS received_ns, {rest}"
    return f"CREATE OR REPLACE VIEW decisions AS SELECT {chosen} FROM {source};\n"
