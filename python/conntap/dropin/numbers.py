"""Numbers as the C library reads them: the command line's numeric arguments are defined by that."""

from __future__ import annotations

__all__ = ["atoi", "strtol", "strtoul", "u32"]

_BLANKS = " \t\n\v\f\r"
_LONG_MAX = (1 << 63) - 1
_ULONG_MAX = (1 << 64) - 1


def strtol(text: str, base: int) -> tuple[int, str]:
    """Read a signed number of 64 bits; return it and the rest of the text (all of it when there is no number)."""
    value, rest = _scan(text, base)
    return max(-_LONG_MAX - 1, min(_LONG_MAX, value)), rest


def strtoul(text: str, base: int) -> tuple[int, str]:
    """Read an unsigned number of 64 bits; a minus sign wraps it, as in C."""
    value, rest = _scan(text, base)
    if abs(value) > _ULONG_MAX:
        return _ULONG_MAX, rest
    return value & _ULONG_MAX, rest


def atoi(text: str) -> int:
    """Read a decimal number; text that is none counts as 0, what follows a number is ignored."""
    return strtol(text, 10)[0]


def u32(value: int) -> int:
    """Cut a number to 32 bits, as storing it in a kernel attribute does."""
    return value & 0xFFFFFFFF


def _scan(text: str, base: int) -> tuple[int, str]:
    rest = text.lstrip(_BLANKS)
    sign = -1 if rest.startswith("-") else 1
    if rest[:1] in ("+", "-"):
        rest = rest[1:]
    if base == 0:
        base, rest = _base_of(rest)
    digits = "0123456789abcdef"[:base]
    end = 0
    while end < len(rest) and rest[end].lower() in digits:
        end += 1
    if end == 0:
        return 0, text
    return sign * int(rest[:end], base), rest[end:]


def _base_of(text: str) -> tuple[int, str]:
    """Return the base that a prefix asks for, and the text to read in it."""
    if text[:2].lower() == "0x" and text[2:3].lower() in tuple("0123456789abcdef"):
        return 16, text[2:]
    return (8 if text.startswith("0") else 10), text
