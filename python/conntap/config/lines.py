"""On which line of a TOML file each key stands, which `tomllib` does not say.

Only for text that `tomllib` has taken: whatever it refuses is undefined here. A path is the way through the parsed
value: `("sink", 0, "target")`.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final, TypeAlias

__all__ = ["Path", "lines_of"]

Path: TypeAlias = tuple[str | int, ...]

BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
#: A string of one line, as key or value.
STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'")
#: Of several lines; up to two quotes may stand before the three that end it.
LONG: Final = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}", re.DOTALL)
#: Numbers, dates, true, false.
WORD: Final = re.compile(r"[^,\]}\n#]+")


def lines_of(text: str) -> dict[Path, int]:
    """Every path of *text*, tables and elements of lists included, with its line, counted from 1."""
    return _Walk(text.replace("\r\n", "\n")).run()


class _Walk:
    """One way through the text. Each method leaves `at` behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        #: How many tables each list of tables has had.
        self.counts: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self.blank()
        while self.at < len(self.text):
            if self.eat("[["):
                table = self.header(is_list=True)
                self.at += 2
            elif self.eat("["):
                table = self.header(is_list=False)
                self.at += 1
            else:
                self.pair(table)
            self.blank()
        return self.found

    def header(self, *, is_list: bool) -> Path:
        """`a.b` of `[a.b]`: the path, with the number of the table in each list on the way."""
        line = self.line()
        path: Path = ()
        names = self.key()
        for depth, name in enumerate(names):
            path = (*path, name)
            last = depth == len(names) - 1
            self.found.setdefault(path, line)
            if last and is_list:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self.found.setdefault(path, line)
        return path

    def pair(self, table: Path) -> None:
        """`a.b = value`."""
        line = self.line()
        path = table
        for name in self.key():
            path = (*path, name)
            self.found.setdefault(path, line)
        self.eat("=")
        self.value(path)

    def key(self) -> list[str]:
        """A key's parts."""
        parts: list[str] = []
        while True:
            self.blank()
            quoted = STRING.match(self.text, self.at)
            bare = BARE.match(self.text, self.at)
            found = quoted or bare
            if not found:
                return parts
            parts.append(tomllib.loads(f"x = {found[0]}")["x"] if quoted else found[0])
            self.at = found.end()
            self.blank()
            if not self.eat("."):
                return parts

    def value(self, path: Path) -> None:
        """Whatever stands behind `=`, or between the commas of a list."""
        self.blank()
        self.found.setdefault(path, self.line())
        if self.eat("["):
            self.list(path)
        elif self.eat("{"):
            self.inline(path)
        else:
            found = LONG.match(self.text, self.at) or STRING.match(self.text, self.at)
            found = found or WORD.match(self.text, self.at)
            self.at = found.end() if found else self.at + 1

    def list(self, path: Path) -> None:
        index = 0
        self.blank()
        while not self.eat("]"):
            self.value((*path, index))
            index += 1
            self.blank()
            self.eat(",")
            self.blank()

    def inline(self, path: Path) -> None:
        self.blank()
        while not self.eat("}"):
            self.pair(path)
            self.blank()
            self.eat(",")
            self.blank()

    def blank(self) -> None:
        """Skip blanks, line ends and comments."""
        found = BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def eat(self, mark: str) -> bool:
        """Skip *mark* if it is next."""
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        return True

    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
