"""What a proof found: per helper and direction, what the honest session did, and who reached which port."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

__all__ = ["OWN", "Cell", "Kind", "Outcome", "Proof", "Row", "Step", "Way", "Who"]

Who: TypeAlias = Literal["friend", "server", "third"]
"""`friend`: the honest server of an honest session. `server`: the inside host was lured to it. `third`: nobody."""

Outcome: TypeAlias = Literal["works", "fails", "open", "closed", "anyway"]
"""`works`, `fails`: honest sessions. `open`: the knock arrived at the inside host. `anyway`: as without a session."""


Kind: TypeAlias = Literal["session", "overheard", "lured", "child"]

#: Stands for an inside interface and host where the gateway itself is meant.
OWN: Final = "the gateway itself"

#: Worst first.
ORDER: Final[tuple[Outcome, ...]] = ("open", "anyway", "closed", "works", "fails")


@dataclass(frozen=True, slots=True)
class Step:
    """A rule, or a chain's policy, that a packet met: where, as text; what it said; what is written there."""

    where: str
    verdict: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One session and its knock.

    Attributes:
        who: who knocked.
        session: what was played, "active data connection" …
        l4proto, port: where; of GRE the port is the call id.
        outcome: what became of it.
        why: in words: "no expectation was made", "the gateway dropped it" …
        expectation: as the kernel had it; "" none.
        kind: "session": an honest one. "overheard": a third party knocks at what that opened. "lured": the inside host
            was lured. "child": as lured, by a helper that the assigned one gives to a second connection (H.245).
        trace: of a knock that arrived, or was dropped by a rule, the rules that decided, in order.
    """

    who: Who
    session: str
    l4proto: int
    port: int
    outcome: Outcome
    why: str = ""
    expectation: str = ""
    trace: tuple[Step, ...] = ()
    kind: Kind = "lured"


@dataclass(frozen=True, slots=True)
class Way:
    """From which outside interface to which inside one, by which IP version, and the hosts' addresses."""

    outside: str
    inside: str
    nfproto: int
    host: str
    friend: str
    server: str
    third: str


@dataclass(frozen=True, slots=True)
class Row:
    """One helper on one way.

    Attributes:
        helper: its name as the kernel has it.
        l4proto: of its connection.
        port: the port at which it was assigned and played.
        way: where.
        cells: sessions and knocks.
    """

    helper: str
    l4proto: int
    port: int
    way: Way
    cells: tuple[Cell, ...]

    @property
    def works(self) -> bool | None:
        """All honest sessions do; None where none can be played."""
        found = [one.outcome == "works" for one in self.cells if one.who == "friend"]
        return all(found) if found else None

    def outcome(self, who: Who, *, low: bool) -> Outcome | None:
        """The worst of a kind of knock; None where none was tried. Low: below 1024."""
        found = [one.outcome for one in self.cells if one.who == who and (one.port < 1024) == low]
        for outcome in ORDER:
            if outcome in found:
                return outcome
        return None

    @property
    def open(self) -> tuple[Cell, ...]:
        """The knocks that arrived because of the helper."""
        return tuple(one for one in self.cells if one.outcome == "open")


@dataclass(frozen=True, slots=True)
class Proof:
    """All rows of a rule set.

    Attributes:
        rows: by way and helper.
        refused: why the rule set could not be loaded, in words; then there are no rows.
        cannot: what the proof says nothing about, and why.
        seconds: how long it took.
    """

    rows: tuple[Row, ...] = ()
    refused: str = ""
    cannot: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def open(self) -> tuple[tuple[Row, Cell], ...]:
        """Every knock that arrived because of a helper."""
        return tuple((row, cell) for row in self.rows for cell in row.open)

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return asdict(self)
