"""Sets of whole numbers as sorted spans; and sets of ports as bits of one number, which is faster where many meet.

A set is a tuple of spans that are sorted and neither touch nor overlap: equal sets are equal tuples.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from conntap.rules.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ALL_PORTS", "Spans", "bits_of", "intersect", "minus", "spans_of", "union"]

Spans = tuple[Span, ...]

LAST_PORT: Final = 65535
#: All ports, as bits.
ALL_PORTS: Final = (1 << (LAST_PORT + 1)) - 1

#: With more spans than these it is faster to look at the bits as text.
FEW: Final = 8
RUNS: Final = re.compile("1+")


def union(*sets: Iterable[Span]) -> Spans:
    """What is in any of them. The parts may be in any order, and overlap."""
    found: list[Span] = []
    for span in sorted(span for spans in sets for span in spans):
        if span.last < span.first:
            continue
        if found and span.first <= found[-1].last + 1:
            if span.last > found[-1].last:
                found[-1] = Span(found[-1].first, span.last)
        else:
            found.append(span)
    return tuple(found)


def intersect(one: Spans, other: Spans) -> Spans:
    """What is in both."""
    found: list[Span] = []
    at = beside = 0
    while at < len(one) and beside < len(other):
        left, right = one[at], other[beside]
        first, last = max(left.first, right.first), min(left.last, right.last)
        if first <= last:
            found.append(Span(first, last))
        if left.last < right.last:
            at += 1
        else:
            beside += 1
    return tuple(found)


def minus(one: Spans, other: Spans) -> Spans:
    """What is in the first alone."""
    found: list[Span] = []
    beside = 0
    for span in one:
        first = span.first
        while beside < len(other) and other[beside].last < first:
            beside += 1
        look = beside
        while look < len(other) and other[look].first <= span.last:
            if first < other[look].first:
                found.append(Span(first, other[look].first - 1))
            first = max(first, other[look].last + 1)
            look += 1
        if first <= span.last:
            found.append(Span(first, span.last))
    return tuple(found)


@lru_cache(maxsize=2048)
def bits_of(spans: Spans) -> int:
    """Ports as a number whose bit n stands for port n. What is no port is left out."""
    bits = 0
    for span in spans:
        first, last = max(span.first, 0), min(span.last, LAST_PORT)
        if first <= last:
            bits |= ((1 << (last - first + 1)) - 1) << first
    return bits


@lru_cache(maxsize=256)
def spans_of(bits: int) -> Spans:
    """The spans of ports as bits."""
    found: list[Span] = []
    base = 0
    while bits and len(found) < FEW:
        gap = (bits ^ (bits - 1)).bit_length() - 1  # zeros at the low end
        bits >>= gap
        base += gap
        run = (bits ^ (bits + 1)).bit_length() - 1  # ones at the low end
        found.append(Span(base, base + run - 1))
        bits >>= run
        base += run
    if bits:
        found += [Span(base + run.start(), base + run.end() - 1) for run in RUNS.finditer(f"{bits:b}"[::-1])]
    return tuple(found)
