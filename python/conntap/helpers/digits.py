"""Decimal numbers as the kernel's helpers read them: too large ones wrap around."""

from __future__ import annotations

__all__ = ["wrapped"]


def wrapped(digits: bytes, bits: int) -> int:
    """The number modulo 2 to the power of *bits*; 0 where there are no digits.

    Takes the same time however many digits there are: those further left than the last *bits* only add multiples of
    the power of ten, which that power of two divides.
    """
    return int(digits[-bits:] or b"0") & ((1 << bits) - 1)
