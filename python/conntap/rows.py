"""What files hold, as objects or columns: common to recordings and captures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.filter import Filter

__all__ = ["Rows"]


class Rows:
    """Something of which batches can be read; the rest is made of them."""

    __slots__ = ()

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Read the rows that match *where*."""
        raise NotImplementedError

    def events(self, where: str | Filter = "") -> Iterator[_core.Event]:
        """Read the events that match *where*, in order."""
        for batch in self.batches(where):
            yield from batch.events()

    def __iter__(self) -> Iterator[_core.Event]:
        return self.events()

    def arrow(self, where: str | Filter = "") -> _core.ArrowTable:
        """Read the rows that match *where* into Arrow columns (docs/fields.md)."""
        columns = _core.ColumnsBuilder()
        for batch in self.batches(where):
            columns.append(batch)
        return columns.finish()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)
