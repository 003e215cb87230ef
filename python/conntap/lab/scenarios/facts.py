"""What a scenario is, and what it says the gateway must have seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.lab.topology import Lab

__all__ = ["GRE", "ICMP", "ICMPV6", "SCTP", "TCP", "UDP", "Claim", "Ends", "Facts", "Kind", "Scenario", "Seen"]

Kind = Literal["NEW", "UPDATE", "DESTROY", "EXP_NEW", "EXP_DESTROY"]

# IANA protocol numbers
ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
GRE: Final = 47
ICMPV6: Final = 58
SCTP: Final = 132


@dataclass(frozen=True, slots=True)
class Ends:
    """Addresses and ports of one direction; in a claim None is any."""

    src: str | None = None
    dst: str | None = None
    sport: int | None = None
    dport: int | None = None

    def allows(self, other: Ends) -> bool:
        """Tell whether *other* has every value that is set here."""
        pairs = zip((self.src, self.dst, self.sport, self.dport), (other.src, other.dst, other.sport, other.dport))
        return all(mine is None or mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One event, reduced to what claims speak of; None where the source does not tell.

    For an expectation `original` is the tuple that is awaited.
    """

    kind: str
    protocol: int
    original: Ends
    reply: Ends | None = None
    related: bool | None = None
    helper: str | None = None
    master: Ends | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One event that must be among those of the gateway; *says* is the sentence for people."""

    says: str
    kind: Kind
    protocol: int
    original: Ends
    reply: Ends | None = None
    related: bool | None = None
    helper: str | None = None
    master: Ends | None = None

    def matches(self, seen: Seen) -> bool:
        """Tell whether *seen* is what this claims. What the source of *seen* does not tell is not held against it."""
        return (
            self.kind == seen.kind
            and self.protocol == seen.protocol
            and self.original.allows(seen.original)
            and (self.reply is None or seen.reply is None or self.reply.allows(seen.reply))
            and (self.master is None or seen.master is None or self.master.allows(seen.master))
            and (self.related is None or seen.related is None or self.related == seen.related)
            and (self.helper is None or seen.helper is None or self.helper == seen.helper)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What happened: a sentence, and the events that must follow from it, in order of their first possible time."""

    summary: str
    claims: tuple[Claim, ...]

    def missing(self, seen: list[Seen]) -> list[Claim]:
        """Return the claims that no event fulfils."""
        return [claim for claim in self.claims if not any(claim.matches(one) for one in seen)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Traffic that can be run in a lab, again and again."""

    name: str
    description: str
    run: Callable[[Lab], Facts]
