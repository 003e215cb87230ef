"""Bars, sparklines and tables as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["bar", "human", "sparkline", "table"]

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "._-=+*%#"


def bar(value: float, most: float, width: int, *, ascii: bool = False) -> str:
    """A bar of at most *width* columns, to the eighth of one."""
    if most <= 0 or value <= 0 or width <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    if ascii:
        return "#" * max(1, eighths // 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def sparkline(values: Sequence[float], *, ascii: bool = False) -> str:
    """One sign a value; nothing at all is a blank."""
    most = max(values, default=0)
    levels = ASCII_LEVELS if ascii else LEVELS
    return "".join(
        " " if value <= 0 or most <= 0 else levels[min(len(levels) - 1, int(value / most * len(levels)))]
        for value in values
    )


def human(value: float) -> str:
    """`1.9 G`, three figures at most."""
    for unit in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 1000 or unit == "P":
            text = f"{value:.0f}" if unit == "" or abs(value) >= 100 else f"{value:.1f}"
            return f"{text} {unit}".rstrip()
        value /= 1000
    return str(value)


def table(
    names: Sequence[str], rows: Sequence[Sequence[object]], *, width: int = 0, right: frozenset[int] = frozenset()
) -> str:
    """Columns under their names, cut to *width* if it is not 0; those in *right* are set to the right."""
    cells = [list(names), *([cell_text(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    lines: list[str] = []
    for row in cells:
        line = "  ".join(
            cell.rjust(wide) if at in right else cell.ljust(wide) for at, (cell, wide) in enumerate(zip(row, widths))
        ).rstrip()
        lines.append(line[: width - 1] + "…" if width and len(line) > width else line)
    return "".join(f"{line}\n" for line in lines)


def cell_text(value: object) -> str:
    """A value in a table: nothing for nothing, no line breaks."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split("\n"))
