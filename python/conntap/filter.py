"""`Filter`: what to keep, said in words (docs/filter.md). The core parses, explains and tests it."""

from __future__ import annotations

from conntap._core import Filter

__all__ = ["Filter", "as_filter"]


def as_filter(where: str | Filter) -> Filter | None:
    """Compile *where*; None when it is empty and so wants everything.

    Raises:
        FilterError: it does not parse.
    """
    if isinstance(where, Filter):
        return where
    return Filter(where) if where.strip() else None
