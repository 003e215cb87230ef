"""What is in no segment yet: the newest records and the flows that are open, in the form of a segment.

They lie in the logger's journal as batches. As a Parquet file in memory they are asked like any other. The journal has
them as they came: what the logger's segments do not tell is not told of them either.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

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


#: Privacy: everything is told.
NOTHING: Final[dict[str, Any]] = {}
NO_KEY: Final = (
    "addresses inside of what is in no segment yet are left out (0.0.0.0): their pseudonyms need the logger's key"
)
UNKNOWN: Final = "what is in no segment yet is left out: the logger has not written down yet what it must not tell"


class Overlay:
    """A file in memory with what a logger holds and *where* wants; closed at the end of `with`.

    Attributes:
        known: it is known which flows are open.
        files: its path, if there are rows.
        gaps: gaps among the records, as the manifest has them.
        until_ns: when the newest event was received; 0 where nobody knows.
        withheld: what is left out for privacy that a segment would tell, in words; "" for nothing.
        hides: addresses inside are left out: they are 0.0.0.0 and ::.
    """

    def __init__(
        self,
        held: Held | None,
        *,
        after: int = 0,
        where: _core.Filter | None = None,
        privacy: dict[str, Any] | None = NOTHING,
    ) -> None:
        self.files: list[str] = []
        self.gaps: list[dict[str, Any]] = []
        self.until_ns = 0
        self.withheld, self.hides = "", False
        self._descriptor: int | None = None
        self.known = held is not None
        if held is None:
            return
        self.until_ns = held.until_ns
        settings: dict[str, Any] = {}
        if privacy is None:
            self.known, self.withheld = False, UNKNOWN
            where = _core.Filter("not flow and not expectation")  # gaps
        elif privacy:
            from conntap.store.privacy import of_told

            settings, self.hides = of_told(privacy)
            self.withheld = NO_KEY if self.hides else ""
            where = None  # it would tell of addresses what the rows do not
        builder = _core.SegmentBuilder(keep_ids=True, seq=after, **settings)
        for batches in (held.records, held.opened):
            for batch in batches:
                builder.append(batch if where is None else batch.filter(where))
        self.gaps = list(builder.gaps)
        if len(builder):
            self._write(builder.finish())

    def _write(self, table: _core.ArrowTable) -> None:
        from conntap.store.segment import writer

        write_parquet = writer()
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
