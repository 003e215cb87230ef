"""The first walk: which connections are meant, and which belong together.

A family is a connection with all that were announced by it, and by those in turn. Ids of flows are never used again,
and the engine is deterministic, so that the second walk meets the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.explain.story import Ends
from conntap.filter import Filter

if TYPE_CHECKING:
    from conntap._core import Batch, Event, Flow, Tuple
    from conntap.explain.walk import Walk

__all__ = ["Family", "Selection", "ends_of", "select"]

#: Flows of which others may be children, or that are children: masters always carry a helper.
RELATIVES: Final = "new and (master or helper)"


def ends_of(direction: Tuple) -> Ends:
    """Take over one direction of a flow."""
    return Ends(str(direction.src), direction.sport, str(direction.dst), direction.dport)


@dataclass(slots=True)
class Family:
    """A connection with its descendants.

    Attributes:
        root: id of the first one.
        flows: each of them as a row told it first.
        parents: child → its master.
    """

    root: int
    flows: dict[int, Flow] = field(default_factory=dict[int, "Flow"])
    parents: dict[int, int] = field(default_factory=dict[int, int])


@dataclass(slots=True)
class Selection:
    """What the first walk found.

    Attributes:
        families: those that are to be told, at most as many as asked for, in order of appearance.
        found: how many there are.
        connections: how many connections the capture has.
        counters, faults: of the walk.
    """

    families: list[Family]
    found: int
    connections: int
    counters: dict[str, int]
    faults: list[str]


class _Finder:
    """Follows who is whose child, and who matched."""

    def __init__(self, where: Filter | None, limit: int) -> None:
        self._limit = limit
        # Every flow begins with NEW: without a filter one row of each is enough.
        self._where = where or Filter("new")
        self._relatives = Filter(RELATIVES)
        self._live: dict[Tuple, int] = {}  # original direction of possible masters → the latest flow
        self._related: dict[int, Flow] = {}
        self._parents: dict[int, int] = {}
        self.matched: dict[int, None] = {}  # roots, in order
        self._shown: dict[int, Flow] = {}

    def _root(self, flow_id: int) -> int:
        while flow_id in self._parents:
            flow_id = self._parents[flow_id]
        return flow_id

    def take(self, batch: Batch) -> None:
        for event in batch.filter(self._relatives).events():
            flow = event.flow
            if flow is None or flow.id is None:
                continue
            self._live[flow.original] = flow.id
            self._related[flow.id] = flow
            if flow.master is not None and (parent := self._live.get(flow.master)) not in (None, flow.id):
                self._parents[flow.id] = parent
        for event in batch.filter(self._where).events():
            self._match(event)

    def _match(self, event: Event) -> None:
        """Note the family of an event; of an expectation that of its master."""
        if event.flow is not None:
            self.match(event.flow)
        elif event.expectation is not None and (master := self._live.get(event.expectation.master)) is not None:
            self._note(self._root(master), None)

    def match(self, flow: Flow) -> None:
        """Note the family of a flow."""
        if flow.id is not None:
            root = self._root(flow.id)
            self._note(root, flow if root == flow.id else None)

    def _note(self, root: int, flow: Flow | None) -> None:
        self.matched.setdefault(root)
        if flow is not None and len(self.matched) <= self._limit:
            self._shown.setdefault(root, flow)

    def families(self) -> list[Family]:
        children: dict[int, list[int]] = {}
        for child, parent in self._parents.items():
            children.setdefault(parent, []).append(child)
        told: list[Family] = []
        for root in list(self.matched)[: self._limit]:
            family = Family(root)
            waiting = [root]
            while waiting:
                flow_id = waiting.pop()
                flow = self._related.get(flow_id) or self._shown.get(flow_id)
                if flow is not None:
                    family.flows[flow_id] = flow
                for child in children.get(flow_id, []):
                    family.parents[child] = flow_id
                    waiting.append(child)
            told.append(family)
        return told


def select(walk: Walk, where: Filter | None, *, limit: int) -> Selection:
    """Walk, and find the families of which an event, the entry at the end, or an expectation matches.

    Args:
        where: None: all.
        limit: so many families are kept; the others are counted.

    Raises:
        OSError: a file cannot be opened.
        RecordingError: a file is no packet capture.
    """
    finder = _Finder(where, limit)
    for part in walk.parts():
        finder.take(part.events)
    if where is not None and not where.uses_event_kinds:
        for flow in walk.flows.filter(where).flows():
            finder.match(flow)
    return Selection(finder.families(), len(finder.matched), walk.counters.get("flows", 0), walk.counters, walk.faults)
