"""What the doctor found, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from conntap.cli.io import IN_ASCII as MESSAGES_IN_ASCII
from conntap.cli.pictures import bar
from conntap.doctor.model import GROUPS, Report

if TYPE_CHECKING:
    from conntap.doctor.model import Entry

__all__ = ["IN_ASCII", "WIDEST", "as_dict", "show", "wrapped"]

#: What the text has beyond ASCII.
IN_ASCII: Final = MESSAGES_IN_ASCII | str.maketrans({"×": "x"})

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
                lines += full(entry, wide, color=color, source=whole)
    if report.unseen:
        lines.append("not looked at:")
        for unseen in report.unseen:
            lines += wrapped(f"{unseen.what}: {unseen.why}", wide, "  ", "    ")
    lines += wrapped(verdict(report, whole=whole), wide, "", "  ")
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
    notes = sum(entry.level == "note" for entry in entries)
    stands = {"todo": f"{todo} to do", "note": f"{notes} worth knowing", "unknown": "unknown to us"}.get(worst, "fine")
    line = f"{group:<10} {picture}  {summary(group, entries)}"
    if len(line) + len(stands) + 2 > wide:
        line = line[: max(0, wide - len(stands) - 3)] + "…"
    return [f"{line.ljust(wide - len(stands) - 1)} {painted(stands, worst, color=color)}".rstrip()]


def summary(group: str, entries: tuple[Entry, ...]) -> str:
    """A few words of the group."""
    told = {"table": _table, "losses": _losses, "listeners": _listeners, "modules": _modules, "helpers": _helpers,
            "logging": _logging, "unknown": _names}.get(group)  # fmt: skip
    if told is not None:
        return told(entries)
    other = sum(entry.level != "fine" for entry in entries)
    return f"{len(entries)} looked at" + (f", {other} not the usual" if other else "")


def _table(entries: tuple[Entry, ...]) -> str:
    named = {entry.name: entry for entry in entries}
    count, most = named.get("nf_conntrack_count"), named.get("nf_conntrack_max")
    if count is None:
        return f"{len(entries)} looked at"
    share = "" if count.share is None else f"{count.share:.0%}  "
    return f"{share}{count.value} connections" + (f" of {most.value}" if most is not None else "")


def _losses(entries: tuple[Entry, ...]) -> str:
    return ", ".join(f"{entry.name} {entry.value}" for entry in entries if entry.level != "fine") or "none"


def _listeners(entries: tuple[Entry, ...]) -> str:
    lost = [f"{entry.name} lost {entry.number:,}" for entry in entries if entry.number]
    if entries[0].value == "none":
        return "nobody listens"
    return f"{len(entries)} listener{'s'[: len(entries) != 1]}" + ("; " + ", ".join(lost) if lost else ", nothing lost")


def _modules(entries: tuple[Entry, ...]) -> str:
    here = sum(entry.value not in ("not here", "not known") for entry in entries)
    return f"{here} of {len(entries)} are here"


def _helpers(entries: tuple[Entry, ...]) -> str:
    waiting = [entry for entry in entries if entry.name.startswith("expectations")]
    total = sum(entry.number or 0 for entry in waiting)
    by = [f"{entry.name.removeprefix('expectations of ')} {entry.value}" for entry in waiting if entry.number]
    said: list[str] = []
    if waiting:
        said.append(
            f"{total:,} expectation{'s'[: total != 1]} wait{'s'[: total == 1]}" + (f": {', '.join(by)}" if by else "")
        )
    said += [f"in nftables: {entry.value}" for entry in entries if entry.name == "helpers in nftables"]
    return "; ".join(said) or f"{len(entries)} looked at"


def _logging(entries: tuple[Entry, ...]) -> str:
    asked = next((entry.number for entry in entries if entry.name == "nf_conntrack_log_invalid"), None)
    return "INVALID packets are not logged" if not asked else "INVALID packets are logged"


def _names(entries: tuple[Entry, ...]) -> str:
    return ", ".join(entry.name for entry in entries)


def full(entry: Entry, wide: int, *, color: bool, source: bool) -> list[str]:
    """An entry in full: name and value, what it is, why it stands so, what to do; with *source* where in the kernel."""
    head = wrapped(f"{entry.name} = {entry.value}", wide, f"{MARKS[entry.level]} ", "    ")
    lines = [painted(line, entry.level, color=color) for line in head]
    lines += wrapped(entry.what, wide, "    ", "    ")
    told = [("why", entry.why), ("do", entry.todo), *([("by", entry.source)] if source else [])]
    for word, text in told:
        if text:
            lines += wrapped(f"{word + ':':<5}{text}", wide, "    ", "         ")
    return lines


def wrapped(text: str, wide: int, first: str, others: str) -> list[str]:
    """Broken at blanks to the width; *first* and *others* stand before the lines."""
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
