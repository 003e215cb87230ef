"""Lines about INVALID packets, put together: equal ones once, with how many, and of which connections."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from conntap.doctor.meanings import Meaning, meaning, without_numbers, words_of
from conntap.doctor.packet import Ends, ends

if TYPE_CHECKING:
    from conntap.doctor.nflog import Line

__all__ = ["Kind", "Sums"]

#: So many connections are told apart; what comes on top is counted together.
MOST: Final = 20_000


@dataclass(slots=True)
class Kind:
    """Equal lines.

    Attributes:
        protocol: of the packets.
        words: the kernel's, numbers aside.
        means: what they mean.
        count: lines.
        ours: of them packets that this machine sent itself.
        connections: whose they were, with how many.
        elsewhere: lines of connections that were too many to be told apart.
    """

    protocol: str
    words: str
    means: Meaning
    count: int = 0
    ours: int = 0
    connections: Counter[Ends] = field(default_factory=Counter[Ends])
    elsewhere: int = 0


@lru_cache(4096)
def equal_words(prefix: str) -> str | None:
    """The kernel's words, numbers aside; None where it is no line about an INVALID packet."""
    words = words_of(prefix)
    return None if words is None else without_numbers(words)


class Sums:
    """Takes lines; bounded in memory whatever comes.

    Attributes:
        lines: about INVALID packets.
        others: lines of rules, which share the group.
        unreadable: packets whose addresses could not be read.
    """

    def __init__(self) -> None:
        self.lines = self.others = self.unreadable = 0
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._told_apart = 0

    def take(self, line: Line) -> None:
        """Add one."""
        words = equal_words(line.prefix)
        if words is None:
            self.others += 1
            return
        self.lines += 1
        whose = ends(line.packet)
        name = whose.name if whose else "?"
        key = (name, words)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MOST:
                key = (name, "…")
            kind = self._kinds.setdefault(key, Kind(key[0], key[1], meaning(words)))
        kind.count += 1
        kind.ours += not line.came_by
        if whose is None:
            self.unreadable += 1
        elif whose in kind.connections or self._told_apart < MOST:
            self._told_apart += whose not in kind.connections
            kind.connections[whose] += 1
        else:
            kind.elsewhere += 1

    def kinds(self) -> list[Kind]:
        """The commonest first."""
        return sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.protocol, kind.words))

    def as_dict(self, most: int) -> dict[str, Any]:
        """For programs; *most* connections of each kind."""
        return {
            "lines": self.lines,
            "lines_of_rules": self.others,
            "unreadable": self.unreadable,
            "kinds": [
                {
                    "id": kind.means.id,
                    "protocol": kind.protocol,
                    "words": kind.words,
                    "count": kind.count,
                    "sent_here": kind.ours,
                    "invalid": not kind.means.passes,
                    "says": kind.means.says,
                    "check": kind.means.check,
                    "todo": kind.means.todo,
                    "connections": [
                        {
                            "src": one.src, "sport": one.sport, "dst": one.dst, "dport": one.dport,
                            "flags": one.flags, "count": count,
                        }
                        for one, count in kind.connections.most_common(most)
                    ],
                    "connections_known": len(kind.connections),
                }
                for kind in self.kinds()
            ],
        }  # fmt: skip
