"""Medians and ratios. A ratio is taken within a pair of neighbouring runs, then the median over the pairs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ratio", "spread"]

Spread = dict[str, float]


def spread(values: Sequence[float]) -> Spread:
    """Return median, least and greatest."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratio(values: Sequence[float], bases: Sequence[float]) -> Spread:
    """Return the spread of the pairs' ratios."""
    return spread([value / base for value, base in zip(values, bases, strict=True)])
