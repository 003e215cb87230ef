"""Numbers are read as strtol(3) and strtoul(3) read them."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.dropin.numbers import strtol, strtoul

LIBC = ctypes.CDLL(None)
LIBC.strtol.restype = ctypes.c_long
LIBC.strtoul.restype = ctypes.c_ulong
TEXTS = st.from_regex(r"[ \t]{0,2}[+-]?(0[xX]?)?[0-9a-fA-Fz]{0,24}", fullmatch=True)


def by_libc(name: str, text: str, base: int) -> tuple[int, str]:
    buffer = ctypes.create_string_buffer(text.encode())
    end = ctypes.c_char_p()
    value = getattr(LIBC, name)(buffer, ctypes.byref(end), base)
    return value, (end.value or b"").decode()


@pytest.mark.parametrize("base", [0, 10])
@given(text=TEXTS)
def test_same_as_libc(base, text):
    assert strtol(text, base) == by_libc("strtol", text, base)
    assert strtoul(text, base) == by_libc("strtoul", text, base)
