"""What the doctor says of one thing: its value, whether that is fine on this machine, why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["GROUPS", "Entry", "Level", "Report", "Unseen"]

Level: TypeAlias = Literal["fine", "note", "todo", "unknown"]
"""`fine`; `note`: worth knowing; `todo`: something to do; `unknown`: a setting that conntap does not know."""

#: Groups in the order in which they are told, and what each is about.
GROUPS: Final = {
    "table": "how full the table is, its hash, its memory",
    "losses": "packets and connections that the kernel lost, and races it settled",
    "listeners": "who listens for events, and what the kernel could not deliver to them",
    "settings": "what each connection carries and reports",
    "tcp": "how strictly TCP is judged",
    "timeouts": "how long silent connections are kept",
    "helpers": "expectations and who may make them",
    "logging": "the log of INVALID packets",
    "sockets": "buffers of sockets",
    "fragments": "reassembly of IPv6 fragments",
    "modules": "what is loaded or built in",
    "unknown": "settings of a newer kernel, unknown to conntap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing looked at.

    Attributes:
        group: a key of `GROUPS`.
        name: of the setting, counter, socket or module.
        value: as people read it.
        level: how it stands.
        what: what it is.
        why: why it is fine here, or is not.
        todo: what to do, a line to type where there is one.
        source: where in the kernel it is made or used.
        share: how much of it is used, 0 to 1; None where that has no meaning.
        number: the value, where it is one number.
    """

    group: str
    name: str
    value: str
    level: Level
    what: str
    why: str = ""
    todo: str = ""
    source: str = ""
    share: float | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that could not be looked at, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found; `unseen` is what could not be looked at."""

    entries: tuple[Entry, ...]
    unseen: tuple[Unseen, ...] = ()

    def of(self, group: str) -> tuple[Entry, ...]:
        """The entries of a group, in order."""
        return tuple(entry for entry in self.entries if entry.group == group)

    def only(self, groups: frozenset[str]) -> Report:
        """The same for some groups."""
        return Report(tuple(entry for entry in self.entries if entry.group in groups), self.unseen)

    @property
    def todo(self) -> tuple[Entry, ...]:
        """What there is to do."""
        return tuple(entry for entry in self.entries if entry.level == "todo")
