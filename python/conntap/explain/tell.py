"""From capture files to stories: the second walk, and the function that does both."""

from __future__ import annotations

import os
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.explain.build import StoryBuilder
from conntap.explain.ghosts import ghosts
from conntap.explain.packet import packet_of
from conntap.explain.select import select
from conntap.explain.walk import Walk, spooled
from conntap.filter import Filter, as_filter
from conntap.tracker import COUNTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap._core import Event, TracedPacket
    from conntap.explain.select import Family
    from conntap.explain.story import Story
    from conntap.explain.walk import Part
    from conntap.tracker import Setup

__all__ = ["LIMIT", "explain", "tell"]

#: So many stories are told unless somebody asks for more.
LIMIT: Final = 10
#: So many packets of one part of a file are kept; a part has far fewer.
TRACED: Final = 200_000


def explain(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    where: str | Filter = "",
    setup: Setup | None = None,
    *,
    limit: int = LIMIT,
    drain: bool = False,
) -> list[Story]:
    """Tell the stories of the connections in packet captures.

    Args:
        paths: one or several files of packets (pcap, pcapng; plain, gzip, zstd), read in order of time; "-" is standard
            input.
        where: which connections: those of which an event or the entry at the end matches. Each is told with its master
            and its children. Where there are none: packets that never got an entry, by their ends.
        setup: what the engine is told: settings, helpers, NAT; None: the kernel's defaults, with counters and times.
        limit: so many stories at most, in order of appearance.
        drain: behind the last packet let time go by until every connection has ended.

    Raises:
        FilterError: *where* does not parse.
        OSError: a file cannot be opened.
        RecordingError: a file is no packet capture.
    """
    named = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    setup = setup or COUNTED
    with spooled(named) as names:
        wanted = as_filter(where)
        shown = [os.fspath(path) for path in named]
        families = select(Walk(names, setup, names=shown), wanted, limit=limit).families
        families = families or ghosts(Walk(names, setup), wanted, limit=limit)
        return tell(Walk(names, setup), families, drain=drain) if families else []


def tell(walk: Walk, families: Sequence[Family], *, drain: bool = False) -> list[Story]:
    """Walk again and tell the stories of *families*."""
    teller = _Teller(families)
    for part in walk.parts(_core.Trace(None, limit=TRACED), drain=drain):
        teller.take(part)
    return [builder.finish(walk.flows) for builder in teller.builders]


class _Teller:
    """Hands packets and events to the stories that they belong to."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.builders = [StoryBuilder(family) for family in families]
        self._of_flow = {
            flow_id: builder
            for family, builder in zip(families, self.builders, strict=True)
            for flow_id in family.flows
        }
        ids = ",".join(str(flow_id) for flow_id in self._of_flow if flow_id > 0)
        self._wanted = Filter(f"(flow and id {ids}) or expectation" if ids else "expectation")

    def take(self, part: Part) -> None:
        """Take a stretch of the capture."""
        rows: dict[bytes, deque[Event]] = defaultdict(deque)
        for event in part.events.filter(self._wanted).events():
            rows[event.message()].append(event)
        caused, loose = self._sort(part, rows)
        loose += [(event, None) for left in rows.values() for event in left]
        loose.sort(key=lambda item: item[0].received_ns)
        waiting = deque(loose)
        for traced in part.packets:
            while waiting and waiting[0][0].received_ns <= traced.time_ns:
                self._event(*waiting.popleft())
            if traced.flow is None:
                self._stranger(traced)
            elif builder := self._of_flow.get(traced.flow[0]):
                builder.packet(traced, caused.get(id(traced), ()), part.sent.get(id(traced), b""))
        while waiting:
            self._event(*waiting.popleft())

    def _sort(
        self, part: Part, rows: dict[bytes, deque[Event]]
    ) -> tuple[dict[int, list[Event]], list[tuple[Event, int | None]]]:
        """Which packet caused which events; those that time, or another story's packet, caused are loose."""
        caused: dict[int, list[Event]] = {}
        loose: list[tuple[Event, int | None]] = []
        for traced in part.packets if rows else ():
            builder = self._of_flow.get(traced.flow[0]) if traced.flow else None
            reopens = traced.verdict == "NEW" and traced.reason == "reopened"
            if builder is None and not reopens:
                continue
            for message, _ in traced.events.messages():
                if not (found := rows.get(message)):
                    continue
                event = found.popleft()
                if event.received_ns < traced.time_ns:
                    loose.append((event, None))
                elif builder is not None and self._owner(event, builder) is builder:
                    caused.setdefault(id(traced), []).append(event)
                else:
                    loose.append((event, traced.number if reopens else None))
        return caused, loose

    def _owner(self, event: Event, first: StoryBuilder | None = None) -> StoryBuilder | None:
        if event.flow is not None:
            return self._of_flow.get(event.flow.id or 0)
        candidates = [first, *reversed(self.builders)] if first else reversed(self.builders)
        return next((builder for builder in candidates if builder.owns(event)), None)

    def _event(self, event: Event, caused_by: int | None) -> None:
        if builder := self._owner(event):
            builder.event(event, caused_by=caused_by)

    def _stranger(self, traced: TracedPacket) -> None:
        """A packet of no flow goes to the story that runs between its ends: one that has begun before one to come."""
        seen = packet_of(traced)
        if seen is None:
            return
        knowing = [builder for builder in self.builders if builder.knows(seen)]
        if knowing:
            begun = [builder for builder in knowing if builder.begun]
            (begun[-1] if begun else knowing[0]).stranger(traced, seen)
