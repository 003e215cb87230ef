"""An audit as text for people: worst first, 100 columns, what is open, by what, and what closes it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from conntap.audit.finding import Severity
from conntap.audit.registry import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.baseline import Compared
    from conntap.audit.finding import Evidence, Finding
    from conntap.audit.run import Audited

__all__ = ["FIXES", "report"]

WIDEST: Final = 100
NARROWEST: Final = 60
MARGIN: Final = " " * 16
#: Which fix is shown.
FIXES: Final = ("own", "nft", "iptables", "both", "none")
COLORS: Final = {
    Severity.CRITICAL: "1;31",
    Severity.HIGH: "31",
    Severity.MEDIUM: "33",
    Severity.LOW: "36",
    Severity.INFO: "2",
}


def report(
    audited: Audited,
    compared: Compared,
    *,
    width: int = 0,
    color: bool = False,
    fix: str = "own",
    shown: Severity = Severity.INFO,
) -> Iterator[str]:
    """Lines of the report.

    Args:
        audited: sides, and what was missing.
        compared: findings beside the baseline.
        width: of the terminal, 0: none.
        color: ANSI colours are welcome.
        fix: one of `FIXES`; "own": as the rule itself is written.
        shown: findings below it are only counted.
    """
    width = max(NARROWEST, min(width or WIDEST, WIDEST))
    told: dict[str, str] = {}
    for one in compared.new:
        if one.severity >= shown:
            yield from lines_of(one, width, color, fix if fix != "own" else own(one, audited), told)
            yield ""
    yield from wrapped("sides", "; ".join(audited.sides.how), width)
    for text in audited.unsaid:
        yield from wrapped("not had", text, width)
    for stale in compared.stale:
        yield from wrapped("stale", f"{stale.id} {stale.key} is in the baseline and not found any more", width)
    yield summary(compared)


def lines_of(one: Finding, width: int, color: bool, fix: str, told: dict[str, str]) -> Iterator[str]:
    """A finding."""
    severity = one.severity.name.lower().ljust(8)
    first = one.evidence[0].place if one.evidence else None
    head = f" {one.id}  {severity} {one.title}"
    painted = f" {one.id}  \x1b[{COLORS[one.severity]}m{severity}\x1b[0m {one.title}" if color else head
    if first is not None and len(head) + len(str(first)) + 3 <= width:
        yield painted + " " * (width - len(head) - len(str(first))) + str(first)
    else:
        rows = textwrap.wrap(one.title, width - len(MARGIN)) or [""]
        yield painted.replace(one.title, rows[0])
        yield from (MARGIN + row for row in rows[1:])
        if first is not None:
            yield from wrapped("", str(first), width)
    yield from wrapped("", one.consequence, width)
    for number, shown in enumerate(one.evidence):
        yield from wrapped("rule:" if shown.place else "found:", evidence_text(shown, placed=number > 0), width)
    if one.doubt:
        yield from wrapped("doubt:", one.doubt, width)
    yield from fix_lines(one, fix, width, told)
    yield f"{MARGIN}more:  {DOCS}#{one.id.lower()}"


def evidence_text(shown: Evidence, *, placed: bool) -> str:
    """What shows it, on a line."""
    if shown.place is not None:
        return f"{shown.what or '(no text)'}{f'   ({shown.place})' if placed else ''}"
    if shown.setting:
        return f"{shown.setting} = {shown.value}" + (
            f": {shown.what}" if shown.what not in ("setting", "module parameter") else ""
        )
    return shown.what


def own(one: Finding, audited: Audited) -> str:
    """The program that a finding's rule is of; where no rule shows it, that of the gateway."""
    source = next((shown.place.source for shown in one.evidence if shown.place), audited.program)
    return "nft" if source == "nft" else "iptables"


def fix_lines(one: Finding, fix: str, width: int, told: dict[str, str]) -> Iterator[str]:
    """What closes it; the same as of an earlier finding is only named."""
    if fix == "none":
        return
    wanted = ("nft", "iptables") if fix == "both" else (fix,)
    texts = [text for name, text in (("nft", one.fix.nft), ("iptables", one.fix.iptables)) if name in wanted and text]
    texts += [one.fix.other] if one.fix.other else []
    whole = "\n".join(texts)
    if not whole:
        return
    if whole in told:
        yield f"{MARGIN}fix:   as {told[whole]}"
        return
    told[whole] = one.id
    label = "fix:"
    for text in whole.splitlines():
        # Commands are to be copied: they are not wrapped.
        yield f"{MARGIN}{label:<6} {text}"
        label = ""


def wrapped(label: str, text: str, width: int) -> Iterator[str]:
    """Text behind a label, wrapped below itself."""
    if label and not label.endswith(":"):
        head = f" {label:<8}"
    else:
        head = MARGIN + (f"{label:<7}" if label else "")
    rows = textwrap.wrap(text, width - len(head), break_long_words=False, break_on_hyphens=False) or [""]
    yield head + rows[0]
    yield from (" " * len(head) + row for row in rows[1:])


def summary(compared: Compared) -> str:
    """The last line: how many of each severity."""
    parts = [
        f"{count} {severity.name.lower()}"
        for severity in reversed(Severity)
        if (count := sum(one.severity == severity for one in compared.new))
    ]
    text = ", ".join(parts) or "nothing found"
    if compared.accepted:
        text += f"; {len(compared.accepted)} accepted by the baseline"
    return f" {text}"
