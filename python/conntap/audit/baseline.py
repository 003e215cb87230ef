"""Accepted findings: a TOML file with id, key and the reason.

What is in it is not counted; what of it is not found any more is told.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from conntap.audit.registry import BY_ID
from conntap.errors import UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from conntap.audit.finding import Finding

__all__ = ["Accepted", "Compared", "compare", "read_baseline", "write_baseline"]

HINT = "conntap audit --write-baseline FILE writes one"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that was accepted."""

    id: str
    key: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """Findings beside a baseline.

    Attributes:
        new: not accepted.
        accepted: with their reason.
        stale: accepted once, not found now.
    """

    new: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, str], ...] = ()
    stale: tuple[Accepted, ...] = ()


def read_baseline(path: str | os.PathLike[str]) -> list[Accepted]:
    """Read a baseline.

    Raises:
        UsageError: it is none; it says where.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}", hint=HINT) from error
    if stray := sorted(set(table) - {"accepted"}):
        raise UsageError(f"{path}: there is no '{stray[0]}' in a baseline, only [[accepted]]", hint=HINT)
    rows: Any = table.get("accepted", [])
    if not isinstance(rows, list):
        raise UsageError(f"{path}: 'accepted' is a list of tables: [[accepted]]", hint=HINT)
    return [one_of(path, number, row) for number, row in enumerate(cast("list[Any]", rows), start=1)]


def one_of(path: str | os.PathLike[str], number: int, row: Any) -> Accepted:
    """An entry, checked."""
    fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    stray = sorted(set(fields) - {"id", "key", "reason", "title"})
    fault = ""
    if stray:
        fault = f"there is no '{stray[0]}', only id, key, reason and title"
    elif not all(isinstance(value, str) for value in fields.values()) or not {"id", "key"} <= set(fields):
        fault = "id and key are needed, all are texts"
    elif fields["id"] not in BY_ID:
        fault = f"there is no finding '{fields['id']}'"
    if fault:
        raise UsageError(f"{path}: entry {number}: {fault}", hint=HINT)
    return Accepted(fields["id"], fields["key"], fields.get("reason", ""))


def compare(findings: Iterable[Finding], accepted: Sequence[Accepted], *, asked: Iterable[str] = BY_ID) -> Compared:
    """Part the findings; of ids that were not asked for nothing is stale."""
    reasons = {(one.id, one.key): one.reason for one in accepted}
    new: list[Finding] = []
    known: list[tuple[Finding, str]] = []
    for one in findings:
        if (one.id, one.key) in reasons:
            known.append((one, reasons[one.id, one.key]))
        else:
            new.append(one)
    seen = {(one.id, one.key) for one, _ in known}
    ids = set(asked)
    stale = tuple(one for one in accepted if (one.id, one.key) not in seen and one.id in ids)
    return Compared(tuple(new), tuple(known), stale)


def write_baseline(path: str | os.PathLike[str], findings: Iterable[Finding], before: Sequence[Accepted] = ()) -> int:
    """Write all findings as accepted; reasons that `before` has are kept.

    Returns:
        How many were written.
    """
    reasons = {(one.id, one.key): one.reason for one in before}
    parts = ["# Findings of `conntap audit` that are accepted. Say why: whoever reads this next must know.\n"]
    told: set[tuple[str, str]] = set()
    for one in findings:
        if (one.id, one.key) in told:
            continue
        told.add((one.id, one.key))
        reason = reasons.get((one.id, one.key), "")
        parts.append(
            f"\n[[accepted]]\nid = {quoted(one.id)}\ntitle = {quoted(one.title)}\nkey = "
            f"{quoted(one.key)}\nreason = {quoted(reason)}\n"
        )
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(parts))
    return len(told)


def quoted(text: str) -> str:
    """A basic string of TOML: JSON's, with DEL escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
