"""How text meets a terminal: its width in cells, its signs, its colours."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

__all__ = ["Style", "cells", "cut", "pad", "wrap"]

IN_ASCII: Final = str.maketrans({
    "→": "->", "←": "<-", "⇒": "=>", "…": "...", "·": "-", "—": "-", "⊕": "(+)", "⊖": "(-)", "✕": "x",
    "−": "-", "×": "x",
})  # fmt: skip

#: What a colour says is said by a word or a sign as well.
COLORS: Final = {
    "head": "1", "dim": "2", "NEW": "32", "RELATED": "35", "INVALID": "1;31", "UNTRACKED": "33", "UNSEEN": "33",
    "state": "1", "expectation": "36", "bad": "31", "child": "35",
}  # fmt: skip


def cells(text: str) -> int:
    """Count the columns that *text* takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def pad(text: str, width: int) -> str:
    """Fill up to *width* columns."""
    return text + " " * max(0, width - cells(text))


def cut(text: str, width: int, sign: str = "…") -> str:
    """Cut to *width* columns, and show that something is missing."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - len(sign):
        text = text[:-1]
    return text + sign[: max(0, width)]


def wrap(text: str, width: int) -> list[str]:
    """Break into lines of at most *width* columns, at blanks where there are any; 0 breaks nothing."""
    if width <= 0 or cells(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        while cells(word) > width:
            room = width - cells(line) - bool(line)
            if room < 8:  # not worth beginning a long word here
                lines.append(line)
                line, room = "", width
            head = cut(word, room, "")
            lines.append(f"{line} {head}" if line else head)
            line, word = "", word[len(head) :]
        if line and cells(line) + 1 + cells(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


@dataclass(frozen=True, slots=True)
class Style:
    """Where text goes.

    Attributes:
        width: columns; 0: no terminal, and nothing is wrapped.
        ascii: only ASCII signs.
        color: with ANSI colours.
    """

    width: int = 0
    ascii: bool = False
    color: bool = False

    def say(self, text: str) -> str:
        """Write with the signs that there are."""
        if not self.ascii or text.isascii():
            return text
        return text.translate(IN_ASCII).encode("ascii", "replace").decode()

    def paint(self, text: str, color: str) -> str:
        """Colour *text*; a colour without a code leaves it as it is."""
        code = COLORS.get(color)
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text.strip() else text
