"""What is in no segment yet: the newest records and the flows that are open, in the form of a segment.

They lie in the logger's journal as batches. As a Parquet file in memory they are asked like any other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

from conntap import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["Overlay", "Source", "of_journal"]

#: Batches of records that are in no segment, and batches of open flows.
Source: TypeAlias = "Callable[[], tuple[Iterable[_core.Batch], Iterable[_core.Batch]]]"


def of_journal(directory: str) -> Source | None:
    """The journal beside the segments; None where there is none, or nothing that could read it."""
    if not os.path.isdir(os.path.join(directory, "journal")):
        return None
    from conntap.journal import overlay

    return lambda: overlay(directory)


class Overlay:
    """A file in memory with the rows of a source that *where* wants; closed at the end of `with`.

    Attributes:
        files: its path, if there are rows.
        gaps: gaps among the records, as the manifest has them.
        last_ns: when the newest row was received; 0 without rows.
    """

    def __init__(self, source: Source | None, *, after: int = 0, where: _core.Filter | None = None) -> None:
        self.files: list[str] = []
        self.gaps: list[dict[str, Any]] = []
        self.last_ns = 0
        self._descriptor: int | None = None
        if source is None:
            return
        records, opened = source()
        builder = _core.SegmentBuilder(keep_ids=True, seq=after)
        for batches in (records, opened):
            for batch in batches:
                for _, received in batch.messages()[-1:]:
                    self.last_ns = max(self.last_ns, received)
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
