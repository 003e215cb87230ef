"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from conntap.rules.model import Place

__all__ = ["Evidence", "Finding", "Fix", "Reach", "Severity"]


class Severity(IntEnum):
    """How bad.

    `info` is worth knowing, `low` is untidy, `medium` opens something under conditions, `high` opens it to anybody,
    `critical` to anybody, now.
    """

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows it: a rule with its place, or a setting with its value."""

    what: str
    place: Place | None = None
    setting: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """What closes it, as text to be read and loaded by a person; "" where that program has no such fix."""

    nft: str = ""
    iptables: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """What somebody outside reaches by a helper, so that a proof can knock there.

    Attributes:
        helper: its name.
        nfproto, l4proto: of the connection that gets in.
        from_interface, to_interface: from where to where.
        ports: (first, last), both included.
        by: "stranger": anybody; "server": the host that was contacted, alone.
    """

    helper: str
    nfproto: int
    l4proto: int
    from_interface: str
    to_interface: str
    ports: tuple[tuple[int, int], ...]
    by: Literal["stranger", "server"] = "stranger"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        id: stable, "A012".
        title: a line.
        severity: how bad.
        evidence: rules and settings that show it.
        consequence: one sentence: who can do what to whom, for how long.
        fix: how it is closed.
        reach: what a proof should find open; empty where nothing can be knocked at.
        certain: False where the rule set goes beyond what can be followed ("cannot tell"): `doubt` says why.
        key: what tells this finding from others of the same id, for baselines: stable over reloads.
    """

    id: str
    title: str
    severity: Severity
    evidence: tuple[Evidence, ...]
    consequence: str
    fix: Fix = field(default_factory=Fix)
    reach: tuple[Reach, ...] = ()
    certain: bool = True
    doubt: str = ""
    key: str = ""
