"""Durations, sizes and rates as people write them, and back: `90s`, `1h30m`, `30d`; `512MB`, `1GiB`; `500/s`.

A size's plain letter counts in 1024s (`8M`), as `MiB` does; `MB` counts in 1000s.
"""

from __future__ import annotations

import re
from typing import Final

from conntap.errors import UsageError

__all__ = ["duration_text", "parse_duration", "parse_rate", "parse_size", "size_text"]

MILLISECONDS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
ONE_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
DURATION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?|(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhdw]))+")
SIZE: Final = re.compile(r"([0-9]+)\s*([kKmMgGtT]?)(i?)([bB]?)")
RATE: Final = re.compile(r"([0-9]+)([kKmM]?)/(s|m|h)")
POWERS: Final = ("", "k", "m", "g", "t")


def parse_duration(text: str) -> float:
    """Seconds of `10`, `10s`, `500ms`, `2m`, `1h30m`, `30d`, `26w`.

    Raises:
        UsageError: it is no duration.
    """
    if not DURATION.fullmatch(text):
        raise UsageError(f"'{text}' is no duration: say 10s, 500ms, 2m, 1h")
    parts = ONE_DURATION.findall(text)
    return sum(float(number) * MILLISECONDS[unit] for number, unit in parts) / 1000 if parts else float(text)


def duration_text(seconds: float) -> str:
    """The shortest way to write *seconds* with one unit, `90m` rather than `5400s`."""
    whole = round(seconds * 1000)
    if whole / 1000 != seconds:
        return f"{seconds:.9f}".rstrip("0") + "s"
    return next(
        (f"{whole // length}{unit}" for unit, length in MILLISECONDS.items() if whole and whole % length == 0), "0s"
    )


def parse_size(text: str) -> int:
    """Bytes of `8388608`, `8M` = `8MiB` (1024s), `8MB` (1000s).

    Raises:
        UsageError: it is no size.
    """
    found = SIZE.fullmatch(text)
    if not found or (found[3] and not found[2]):
        raise UsageError(f"'{text}' is no size: say 8388608, 8M, 1G")
    number, letter, in_1024s, byte = found.groups()
    base = 1000 if byte and not in_1024s else 1024
    return int(number) * base ** POWERS.index(letter.lower())


def size_text(count: int) -> str:
    """The shortest exact way to write *count* bytes."""
    exact = [
        f"{count // base**power}{POWERS[power].upper()}{ending}"
        for base, ending in ((1024, "iB"), (1000, "B"))
        for power in range(1, len(POWERS))
        if count and count % base**power == 0
    ]
    return min((str(count), *exact), key=lambda text: (len(text), text.isdecimal()))


def parse_rate(text: str) -> float:
    """How many a second: `500/s`, `10k/s`, `30/m`.

    Raises:
        UsageError: it is no rate.
    """
    found = RATE.fullmatch(text)
    if not found:
        raise UsageError(f"'{text}' is no rate: say 500/s, 10k/s, 30/m")
    return int(found[1]) * {"": 1, "k": 1000, "m": 1_000_000}[found[2].lower()] * 1000 / MILLISECONDS[found[3]]
