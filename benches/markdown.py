"""How the report writes tables, spreads and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["spread_text", "table_lines", "yes"]


def spread_text(values: dict[str, float], unit: str = "", digits: int = 2) -> str:
    """Return the median, and least and greatest where they differ."""
    middle, least, most = (f"{values[name]:,.{digits}f}" for name in ("median", "min", "max"))
    return f"{middle}{unit}" if least == most else f"{middle}{unit} ({least}–{most})"


def yes(reached: bool) -> str:
    """Return the word for a goal that is reached or not."""
    return "yes" if reached else "**no**: [why](performance.md)"


def table_lines(head: Sequence[str], rows: Any) -> list[str]:
    """Return a Markdown table and an empty line."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines] + [""]
