"""Sets of spans, held against sets of numbers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from conntap.rules.model import Span
from conntap.rules.spans import ALL_PORTS, bits_of, intersect, minus, spans_of, union

several = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda pair: Span(pair[0], sum(pair))))


def numbers(spans):
    return {number for one in spans for number in range(one.first, one.last + 1)}


def is_plain(spans):
    """Sorted, none touches the next."""
    return all(one.last + 1 < other.first for one, other in pairwise(spans))


@given(several, several)
def test_they_are_sets(one, other):
    left, right = union(one), union(other)
    assert numbers(union(one, other)) == numbers(one) | numbers(other)
    assert numbers(intersect(left, right)) == numbers(one) & numbers(other)
    assert numbers(minus(left, right)) == numbers(one) - numbers(other)
    assert is_plain(union(one, other))
    assert is_plain(intersect(left, right))


@given(several)
def test_bits_and_back(spans):
    assert spans_of(bits_of(union(spans))) == union(spans)
    assert bits_of(tuple(spans)) == bits_of(union(spans))


def test_the_ends():
    assert spans_of(ALL_PORTS) == (Span(0, 65535),)
    assert bits_of((Span(65530, 70000), Span(-5, 0))) == bits_of((Span(65530, 65535), Span(0, 0)))
    assert bits_of((Span(70000, 70001),)) == 0
    assert spans_of(0) == ()
    assert union((Span(5, 4),)) == ()
