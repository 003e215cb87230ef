"""What a ledger has, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conntap.store.hold import active, holds
from conntap.store.lock import holder
from conntap.store.manifest import Manifest

if TYPE_CHECKING:
    import os

__all__ = ["info"]


def info(directory: str | os.PathLike[str], *, now_ns: int) -> dict[str, Any]:
    """Rows, bytes and times by class of segment; ready for JSON.

    Raises:
        UsageError: there is no ledger.
    """
    state = Manifest.read(directory)
    classes: dict[str, dict[str, Any]] = {}
    for one in state.segments.values():
        told = classes.setdefault(
            one.cls, {"segments": 0, "rows": 0, "bytes": 0, "kinds": {}, "min_start_ns": None, "max_stop_ns": None}
        )
        told["segments"] += 1
        told["rows"] += one.rows
        told["bytes"] += one.bytes
        for kind, count in one.kinds.items():
            told["kinds"][kind] = told["kinds"].get(kind, 0) + count
        for key, value, choose in (("min_start_ns", one.min_start_ns, min), ("max_stop_ns", one.max_stop_ns, max)):
            if value is not None:
                told[key] = value if told[key] is None else choose(told[key], value)
    for told in classes.values():
        told["bytes_a_row"] = round(told["bytes"] / told["rows"], 2) if told["rows"] else None
    return {
        "id": state.id,
        "began_ns": state.began_ns,
        "last_seq": state.last_seq,
        "classes": classes,
        "gaps": len(state.gaps),
        "waiting_for_removal": len(state.gone),
        "holds": [hold.id for hold in active(holds(directory), now_ns)],
        "written_by_pid": holder(directory),
        "damaged_lines": len(state.faults),
    }
