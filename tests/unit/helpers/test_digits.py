"""Numbers wrap as in the kernel, however long they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.digits import wrapped


@given(st.text("0123456789", min_size=1, max_size=80), st.sampled_from([16, 32]))
def test_a_number_is_taken_modulo_a_power_of_two(digits, bits):
    assert wrapped(digits.encode(), bits) == int(digits) % 2**bits


def test_no_digits_are_zero():
    assert wrapped(b"", 16) == 0


def test_more_digits_than_python_converts_are_no_trouble():
    assert wrapped(b"9" * 60000 + b"0" * 31 + b"7", 32) == 7
