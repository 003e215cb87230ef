"""The BER reader steps over what fits, and over nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import Drop
from conntap.helpers.ber import Reader


@pytest.mark.parametrize("head", [b"\x04\x03", b"\x04\x81\x03", b"\x04\x82\x00\x03"])
def test_a_value_is_found_behind_its_length(head):
    reader = Reader(head + b"abc" + b"\x05\x00")
    assert reader.take({4}) == (4, len(head), 3)
    assert reader.take({5}) == (5, len(head) + 5, 0)
    assert reader.at_end()


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x04\x02a", b"\x04\x81", b"\x04\x80a\0\0", b"\x04\x83\0\0\1a"])
def test_what_does_not_fit_is_dropped(data):
    with pytest.raises(Drop):
        Reader(data).take({4})


def test_another_type_is_dropped():
    with pytest.raises(Drop, match="0x2"):
        Reader(b"\x02\x01\x01").take({4})


@pytest.mark.parametrize("identifier", [b"\x30", b"\x10"])
def test_what_is_within_is_read_by_its_own_reader(identifier):
    outer = Reader(identifier + b"\x03\x02\x01\x07" + b"\x05\x00")
    inner = outer.enter({0x30})
    assert inner.take({2}) == (2, 4, 1)
    inner.finish()
    with pytest.raises(Drop, match="more"):
        outer.finish()


def test_a_value_does_not_reach_beyond_the_one_around_it():
    inner = Reader(b"\x30\x03\x04\x02ab").enter({0x30})
    with pytest.raises(Drop):
        inner.take({4})


@given(st.binary(max_size=40))
def test_every_value_lies_within_the_data(data):
    reader = Reader(data)
    identifiers = set(range(256))
    try:
        while not reader.at_end():
            _, start, length = reader.take(identifiers)
            assert 2 <= start <= start + length <= len(data)
    except Drop:
        pass
