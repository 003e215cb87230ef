"""What is in no segment yet: the newest records and the flows that are open, in the form of a segment.

They lie in the logger's journal as batches. As a Parquet file in memory they are asked like any other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from conntap import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["Held", "Overlay", "Source", "of_journal"]


class Held(NamedTuple):
    """What a logger holds beside its segments."""

    #: Records; those that are in a segment already may be among them.
    records: Iterable[_core.Batch]
    #: Flows that are open.
    opened: Iterable[_core.Batch]
    #: When the last event was received.
    until_ns: int


#: Reads it; None where nothing is left.
Source: TypeAlias = "Callable[[], Held | None]"


def of_journal(directory: str) -> Source | None:
    """The journal beside the segments; None where there is none."""
    folder = Path(directory) / "journal"
    if not folder.is_dir():
        return None

    def read() -> Held | None:
        from conntap.journal import recover

        found = recover(folder)
        return found and Held(found.records, found.open, found.until_ns)

    return read


class Overlay:
    """A file in memory with what a logger holds and *where* wants; closed at the end of `with`.

    Attributes:
        known: it is known which flows are open.
        files: its path, if there are rows.
        gaps: gaps among the records, as the manifest has them.
        until_ns: when the newest event was received; 0 where nobody knows.
    """

    def __init__(self, held: Held | None, *, after: int = 0, where: _core.Filter | None = None) -> None:
        self.files: list[str] = []
        self.gaps: list[dict[str, Any]] = []
        self.until_ns = 0
        self._descriptor: int | None = None
        self.known = held is not None
        if held is None:
            return
        self.until_ns = held.until_ns
        builder = _core.SegmentBuilder(keep_ids=True, seq=after)
        for batches in (held.records, held.opened):
            for batch in batches:
                builder.append(batch if where is None else batch.filter(where))
        self.gaps = list(builder.gaps)
        if len(builder):
            self._write(builder.finish())

    def _write(self, table: _core.ArrowTable) -> None:
        from arro3.io import write_parquet

        self._descriptor = os.memfd_create("conntap-overlay", os.MFD_CLOEXEC)
        with os.fdopen(self._descriptor, "wb", closefd=False) as file:
            write_parquet(table, file)
        self.files = [f"/proc/self/fd/{self._descriptor}"]

    def __enter__(self) -> Overlay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
