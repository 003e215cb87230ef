"""What a ladder diagram shows, without saying how: rows of arrows between client, gateway and server.

The gateway stands in the middle, since it is its view. Each connection has a pair of lifelines; those of a child stand
inside its master's, nearer to the middle the more of them there are at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.explain.fold import Fold, fold
from conntap.explain.packet import Words
from conntap.explain.story import ORDINARY
from conntap.explain.text import notes

if TYPE_CHECKING:
    from conntap.explain.story import Connection, Step, Story

__all__ = ["Band", "Ladder", "Lane", "Row", "label_of", "ladder", "remarks"]


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of rows in one state."""

    state: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A connection's pair of lifelines.

    Attributes:
        connection: whose.
        depth: 0 outside, then inwards.
        flipped: its client stands on the right.
        since: row of the packet that announced it; without one, its first row.
        first, last: rows between which it is drawn.
        left, right: its ends, as they stand beside the lifelines.
        bands: its states.
    """

    connection: Connection
    depth: int
    flipped: bool
    since: int
    first: int
    last: int
    left: str
    right: str
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the diagram.

    Attributes:
        item: the step, or packets put together.
        lane: index of its lane.
        to_right: which way the arrow points; None: no arrow.
        crossed: INVALID, or dropped.
        stops: it does not leave the gateway.
    """

    item: Step | Fold
    lane: int
    to_right: bool | None
    crossed: bool = False
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """The whole diagram.

    Attributes:
        left, gateway, right: the headings.
        undrawn: so many packets that only acknowledge have no row.
        cut: so many rows did not fit.
    """

    left: str
    gateway: str
    right: str
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    undrawn: int
    cut: int

    def omissions(self) -> list[str]:
        """Say what is missing."""
        said: list[str] = []
        if self.cut:
            said.append(f"{self.cut:,} more rows are not drawn")
        if self.undrawn:
            packets = "packet that only acknowledges is" if self.undrawn == 1 else "packets that only acknowledge are"
            said.append(f"{self.undrawn:,} {packets} not drawn")
        return said


def ladder(story: Story, *, whole: bool = False, most: int | None = None) -> Ladder:
    """Lay a story out.

    Args:
        story: what to lay out.
        whole: every packet has its row; otherwise runs of ordinary ones are put together.
        most: so many rows at most; None: all.
    """
    items = list(story.steps) if whole else list(fold(story.steps, at_least=1))
    drawn = [item for item in items if whole or not isinstance(item, Fold) or _carries(item)]
    undrawn = sum(len(item.steps) for item in items if isinstance(item, Fold)) - sum(
        len(item.steps) for item in drawn if isinstance(item, Fold)
    )
    letters = [connection.letter for connection in story.connections]
    flipped = [story.flipped(letter) for letter in letters]
    rows = tuple(_row(item, letters, flipped) for item in drawn[:most])
    lanes: list[Lane] = []
    for index, connection in enumerate(story.connections):
        own = [number for number, row in enumerate(rows) if row.lane == index]
        first, last = (own[0], own[-1]) if own else (0, 0)
        if connection.master is None:
            first, last = 0, len(rows) - 1
        since = next((number for number, row in enumerate(rows) if _announces(row, connection)), first)
        left, right = _ends(connection, story.root, flipped[index])
        lanes.append(
            Lane(
                connection=connection,
                depth=_depth(lanes, since, last) if connection.master else 0,
                flipped=flipped[index],
                since=since,
                first=first,
                last=last,
                left=left,
                right=right,
                bands=_bands(rows, index, last),
            )
        )
    root = story.root
    outside = root.reply.dst if root.source_translated else root.original.dst if root.destination_translated else ""
    return Ladder(
        lanes[0].left, f"gateway {outside}".strip(), lanes[0].right, tuple(lanes), rows, undrawn, len(drawn) - len(rows)
    )


def label_of(step: Step) -> Words:
    """What stands at a packet's arrow: what it is, and its most telling number where that is a size or the fault."""
    telling = (piece for piece in step.more if piece.endswith(" B") or (step.invalid and piece.startswith("seq ")))
    return Words(step.short, tuple(telling))


def remarks(step: Step, *, several: bool) -> list[tuple[str, str]]:
    """What stands beside an arrow, with its colour: verdict and state where they are new, then reasons that tell."""
    if step.packet is None:
        said = step.why if step.reason == "expectation_ends" else f"{step.short}: {step.why}"
        return [(f"{step.connection}: {said}" if several else said, "dim")]
    verdict = step.verdict if step.verdict != "ESTABLISHED" else ""
    state = (step.state or "gone") if step.state != step.before else ""
    found = [(f"{verdict}  {state}".strip(), verdict or "state")] if verdict or state else []
    for said, color in notes(step):
        if said.startswith("leaves as:"):
            continue  # stands at the arrow
        ordinary = said == step.why and step.reason in ORDINARY | {"answer"}
        if not ordinary and (step.invalid or not said.startswith("windows:")):
            found.append((said, color))
    return found


def _carries(run: Fold) -> bool:
    """Is there a payload in it? What only acknowledges makes a diagram longer and tells nothing."""
    return any(step.packet and step.packet.payload_length for step in run.steps)


def _row(item: Step | Fold, letters: list[str], flipped: list[bool]) -> Row:
    step = item.first if isinstance(item, Fold) else item
    lane = letters.index(step.connection)
    if isinstance(item, Fold) or step.direction is None:
        return Row(item=item, lane=lane, to_right=None)
    to_right = (step.direction == "original") != flipped[lane]
    return Row(item=item, lane=lane, to_right=to_right, crossed=step.invalid or step.dropped, stops=step.dropped)


def _announces(row: Row, child: Connection) -> bool:
    return not isinstance(row.item, Fold) and row.item.number == child.announced_by is not None


def _ends(connection: Connection, root: Connection, flipped: bool) -> tuple[str, str]:
    """How the lifelines are named: a child's by its port alone where the host is the same."""
    client = connection.end(*connection.original[:2])
    server = connection.end(*connection.reply[:2])
    if connection is not root:
        hosts = (root.original.src, root.reply.src)
        client, server = (
            said.removeprefix(f"[{address}]").removeprefix(address) if address in hosts and port is not None else said
            for address, port, said in ((*connection.original[:2], client), (*connection.reply[:2], server))
        )
    return (server, client) if flipped else (client, server)


def _depth(lanes: list[Lane], since: int, last: int) -> int:
    """The outermost place that no other child takes at that time."""
    taken = {lane.depth for lane in lanes if lane.depth and lane.since <= last and lane.last >= since}
    return next(depth for depth in range(1, len(taken) + 2) if depth not in taken)


def _bands(rows: tuple[Row, ...], lane: int, last: int) -> tuple[Band, ...]:
    """The states of a connection, each from its row to that of the next one."""
    changes: list[tuple[int, str | None]] = []
    for number, row in enumerate(rows):
        if row.lane == lane and not isinstance(row.item, Fold) and row.item.state != row.item.before:
            changes.append((number, row.item.state))
    ends = [*(number for number, _ in changes[1:]), last]
    return tuple(
        Band(state, first, until) for (first, state), until in zip(changes, ends, strict=False) if state is not None
    )
