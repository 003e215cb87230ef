"""What the doctor found, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from conntap.cli.io import IN_ASCII
from conntap.cli.pictures import bar
from conntap.doctor.model import GROUPS, Report

if TYPE_CHECKING:
    from conntap.doctor.model import Entry

__all__ = ["as_dict", "show"]

#: Columns of a bar; text is not made wider than this.
BAR: Final = 12
WIDEST: Final = 100
MARKS: Final = {"todo": "!", "note": "·", "fine": " ", "unknown": "?"}
COLORS: Final = {"todo": "\x1b[1;31m", "note": "\x1b[33m", "unknown": "\x1b[36m"}


def as_dict(report: Report) -> dict[str, Any]:
    """One object: the entries, what could not be looked at, and how many there are of each level."""
    levels = ("fine", "note", "todo", "unknown")
    return {
        "sums": {level: sum(entry.level == level for entry in report.entries) for level in levels},
        "entries": [asdict(entry) for entry in report.entries],
        "unseen": [asdict(unseen) for unseen in report.unseen],
    }


def show(report: Report, *, width: int, ascii: bool, color: bool, whole: bool) -> bytes:
    """A line for each group, then what there is to do; with *whole* everything in full."""
    wide = min(width or WIDEST, WIDEST)
    lines: list[str] = []
    for group in GROUPS:
        if entries := report.of(group):
            lines += heading(group, entries, wide, ascii=ascii, color=color)
            told = entries if whole else tuple(entry for entry in entries if entry.level in ("todo", "unknown"))
            for entry in told:
                lines += full(entry, wide, color=color)
    if report.unseen:
        lines.append("not looked at:")
        for unseen in report.unseen:
            lines += wrapped(f"{unseen.what}: {unseen.why}", wide, "  ", "    ")
    lines.append(verdict(report, whole=whole))
    text = "".join(f"{line}\n" for line in lines)
    return (text.translate(IN_ASCII) if ascii else text).encode()


def verdict(report: Report, *, whole: bool) -> str:
    """The last line."""
    number = len(report.todo)
    notes = sum(entry.level == "note" for entry in report.entries)
    head = f"{number} thing{'s'[: number != 1]} to do" if number else "nothing to do"
    more = "" if whole else " · --all tells of everything"
    return f"{head}, {notes} worth knowing, {len(report.entries)} looked at{more}"


def heading(group: str, entries: tuple[Entry, ...], wide: int, *, ascii: bool, color: bool) -> list[str]:
    """The group's line: its bar, its first words, how it stands."""
    share = next((entry.share for entry in entries if entry.share is not None), None)
    picture = " " * BAR
    if share is not None:
        done = bar(min(share, 1.0), 1.0, BAR, ascii=ascii)
        picture = done + (("." if ascii else "░") * (BAR - len(done)))
    todo = sum(entry.level == "todo" for entry in entries)
    worst = "todo" if todo else next((entry.level for entry in entries if entry.level in ("unknown", "note")), "fine")
    stands = {"todo": f"{todo} to do", "note": "fine, see --all", "unknown": "unknown to us"}.get(worst, "fine")
    line = f"{group:<10} {picture}  {summary(group, entries)}"
    if len(line) + len(stands) + 2 > wide:
        line = line[: max(0, wide - len(stands) - 3)] + "…"
    return [f"{line.ljust(wide - len(stands) - 1)} {painted(stands, worst, color=color)}".rstrip()]


def summary(group: str, entries: tuple[Entry, ...]) -> str:
    """A few words of the group."""
    if group in ("timeouts", "settings", "modules", "fragments", "sockets"):
        other = [entry for entry in entries if entry.level != "fine"]
        here = [entry for entry in entries if entry.value not in ("not here", "not known")]
        if group == "modules":
            return f"{len(here)} of {len(entries)} are here"
        return f"{len(entries)} looked at" + (f", {len(other)} of them not the usual" if other else "")
    if group == "losses":
        told = [f"{entry.name} {entry.value}" for entry in entries if entry.number and entry.level != "fine"]
        return ", ".join(told) or "none"
    if group == "unknown":
        return ", ".join(entry.name for entry in entries)
    first = entries[0]
    return f"{first.value} {first.why}" if group == "table" else f"{first.name} {first.value}"


def full(entry: Entry, wide: int, *, color: bool) -> list[str]:
    """An entry in full: name and value, what it is, why it stands so, what to do."""
    mark = painted(MARKS[entry.level], entry.level, color=color)
    lines = [f"{mark} {painted(f'{entry.name} = {entry.value}', entry.level, color=color)}"]
    lines += wrapped(entry.what, wide, "    ", "    ")
    for word, text in (("why", entry.why), ("do", entry.todo)):
        if text:
            lines += wrapped(f"{word + ':':<5}{text}", wide, "    ", "         ")
    return lines


def wrapped(text: str, wide: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(wide, 24),
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def painted(text: str, level: str, *, color: bool) -> str:
    """In the level's colour; the text says it too."""
    return f"{COLORS[level]}{text}\x1b[0m" if color and level in COLORS else text
