"""What a ladder diagram shows, without saying how: rows of arrows between client, gateway and server.

The gateway stands in the middle, since it is its view. Each connection has a pair of lifelines; those of a child stand
inside its master's, nearer to the middle the more of them there are at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap.explain.fold import Fold, fold

if TYPE_CHECKING:
    from conntap.explain.story import Connection, Step, Story

__all__ = ["Band", "Ladder", "Lane", "Row", "ladder"]


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
        first, last: rows between which it is drawn.
        left, right: its ends, as they stand beside the lifelines.
        bands: its states.
    """

    connection: Connection
    depth: int
    flipped: bool
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
    """

    left: str
    gateway: str
    right: str
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]


def ladder(story: Story, *, whole: bool = False) -> Ladder:
    """Lay a story out; *whole*: every packet has its row."""
    items = list(story.steps) if whole else list(fold(story.steps, at_least=1))
    letters = [connection.letter for connection in story.connections]
    flipped = [_flipped(connection, story.root) for connection in story.connections]
    rows = tuple(_row(item, letters, flipped) for item in items)
    lanes: list[Lane] = []
    for index, connection in enumerate(story.connections):
        own = [number for number, row in enumerate(rows) if row.lane == index]
        first, last = (own[0], own[-1]) if own else (0, 0)
        if connection.master is None:
            first, last = 0, len(rows) - 1
        left, right = _ends(connection, story.root, flipped[index])
        lanes.append(
            Lane(
                connection=connection,
                depth=_depth(lanes, first, last) if connection.master else 0,
                flipped=flipped[index],
                first=first,
                last=last,
                left=left,
                right=right,
                bands=_bands(rows, index, last),
            )
        )
    root = story.root
    outside = root.reply.dst if root.source_translated else root.original.dst if root.destination_translated else ""
    return Ladder(lanes[0].left, f"gateway {outside}".strip(), lanes[0].right, tuple(lanes), rows)


def _row(item: Step | Fold, letters: list[str], flipped: list[bool]) -> Row:
    step = item.first if isinstance(item, Fold) else item
    lane = letters.index(step.connection)
    if isinstance(item, Fold) or step.direction is None:
        return Row(item=item, lane=lane, to_right=None)
    to_right = (step.direction == "original") != flipped[lane]
    return Row(item=item, lane=lane, to_right=to_right, crossed=step.invalid or step.dropped, stops=step.dropped)


def _flipped(connection: Connection, root: Connection) -> bool:
    """Does its client stand where the root's server stands? Addresses count as they are behind the gateway."""
    client, server = root.original.src, root.reply.src
    if connection.original.src in (client, root.reply.dst):
        return False
    return connection.original.src == server or connection.reply.src == client


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


def _depth(lanes: list[Lane], first: int, last: int) -> int:
    """The outermost place that no other child takes at that time."""
    taken = {lane.depth for lane in lanes if lane.depth and lane.first <= last and lane.last >= first}
    return next(depth for depth in range(1, len(taken) + 2) if depth not in taken)


def _bands(rows: tuple[Row, ...], lane: int, last: int) -> tuple[Band, ...]:
    """The states of a connection, each from its row to that of the next one."""
    changes: list[tuple[int, str | None]] = []
    for number, row in enumerate(rows):
        if row.lane == lane and not isinstance(row.item, Fold) and row.item.state != row.item.before:
            changes.append((number, row.item.state))
    bands: list[Band] = []
    for (first, state), (until, _) in zip(changes, [*changes[1:], (last, None)], strict=True):
        if state is not None:
            bands.append(Band(state, first, until))
    return tuple(bands)
