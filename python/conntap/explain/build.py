"""From traced packets and events to a story: which connection each belongs to, and what to keep."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final

from conntap.explain.growing import Growing
from conntap.explain.packet import packet_of
from conntap.explain.protocols import protocol_name
from conntap.explain.select import ends_of
from conntap.explain.story import Connection, Ends, Packet, Step, Story, Told
from conntap.explain.words import events_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap._core import Batch, Event, TracedPacket, Tuple
    from conntap.explain.select import Family

__all__ = ["StoryBuilder", "letter"]

#: So many steps are kept whole; of further packets those at which something happens, up to twice as many.
KEEP: Final = 20_000


def letter(number: int) -> str:
    """Name the connections A, B, …, Z, AA, …"""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = ascii_uppercase[rest] + name
    return name


class StoryBuilder:
    """Takes the packets and events of one family, in order, and makes its story."""

    def __init__(self, family: Family, *, keep: int = KEEP) -> None:
        self._family = family
        self._keep = keep
        self._growing: dict[int, Growing] = {}
        # Of entries that followed each other between the same ends the one that lives counts.
        self._masters = {flow.original: flow_id for flow_id, flow in reversed(family.flows.items())}
        self._announced: dict[tuple[Tuple, Tuple], int | None] = {}
        self._steps: list[Step] = []
        self._begins_ns: int | None = None
        self._open_fragments: dict[Ends, tuple[int, int]] = {}
        self._ends: dict[tuple[int, Ends], tuple[int, int]] = {}
        for flow_id, flow in family.flows.items():
            self._ends.setdefault((flow.l4proto or 0, ends_of(flow.original)), (flow_id, 0))
            self._ends.setdefault((flow.l4proto or 0, ends_of(flow.reply)), (flow_id, 1))
        self._events: dict[str, int] = {}
        self._packets = self._invalid = self._dropped = self._left_out = 0
        self._flooded = False

    @property
    def begun(self) -> bool:
        """Has anything happened yet?"""
        return self._begins_ns is not None

    def owns(self, event: Event) -> bool:
        """Is the event about the family?"""
        if event.flow is not None:
            return event.flow.id in self._family.flows
        return event.expectation is not None and event.expectation.master in self._masters

    def knows(self, seen: Packet) -> bool:
        """Does a packet that belongs to no flow go between the same ends as one of the family?"""
        return self._same_ends(seen) is not None

    def packet(self, traced: TracedPacket, events: Sequence[Event], sent: bytes = b"") -> None:
        """Take a packet of one of the family's flows.

        Args:
            traced: the packet.
            events: those of the family's events that it caused.
            sent: the packet as it leaves the gateway, where that is known.
        """
        if traced.flow is None:
            return
        flow_id, way = traced.flow
        growing = self._of(flow_id)
        if len(self._steps) >= self._keep and not events and growing.is_ordinary(traced):
            self._packets += 1
            self._left_out += 1
            return
        if (seen := packet_of(traced)) is None:
            return
        if seen.fragment:
            self._open_fragments.pop(_between(seen), None)
        told = self._tell(events, traced.number)
        if growing.facts.master and growing.facts.announced_by is None:
            growing.facts = replace(growing.facts, announced_by=self._announcer(flow_id, events))
        ends = any(event.kind == "DESTROY" and event.flow and event.flow.id == flow_id for event in events)
        self._add(growing.packet(traced, seen, way, self._since(traced.time_ns), told=told, sent=sent, ends=ends))

    def stranger(self, traced: TracedPacket, seen: Packet) -> None:
        """Take a packet that belongs to no flow, and that `knows()` accepts."""
        found = self._same_ends(seen)
        if found is None:
            return
        flow_id, way = found
        if seen.fragment:
            self._open_fragments[_between(seen)] = found
        self._add(self._of(flow_id).packet(traced, seen, way, self._since(traced.time_ns)))

    def event(self, event: Event, *, caused_by: int | None = None) -> None:
        """Take an event that no packet of the family caused; *caused_by* is the number of another's."""
        told = self._tell([event], None)
        flow_id = event.flow.id if event.flow else self._master(event)
        if told and flow_id is not None:
            self._add(self._of(flow_id).event(event, self._since(event.received_ns), told, caused_by))

    def finish(self, left: Batch) -> Story:
        """Make the story; *left* is the table behind the last packet."""
        entries = {flow.id: flow for flow in left.flows()}
        return Story(
            connections=tuple(growing.finished(entries.get(flow_id)) for flow_id, growing in self._growing.items()),
            steps=tuple(self._steps),
            packets=self._packets,
            left_out=self._left_out,
            flooded=self._flooded,
            invalid=self._invalid,
            dropped=self._dropped,
            events=self._events,
        )

    def _of(self, flow_id: int) -> Growing:
        """The connection, which begins with the first that is told of it; its master begins before it."""
        if growing := self._growing.get(flow_id):
            return growing
        flow = self._family.flows[flow_id]
        parent = self._family.parents.get(flow_id)
        master = None if parent is None else self._of(parent).facts.letter
        facts = Connection(
            letter=letter(len(self._growing)),
            flow_id=flow_id if flow_id > 0 else None,
            protocol=flow.protocol or protocol_name(flow.l4proto or 0),
            original=ends_of(flow.original),
            reply=ends_of(flow.reply),
            helper=flow.helper,
            master=master,
        )
        growing = self._growing[flow_id] = Growing(facts, flow.l4proto or 0)
        self._masters[flow.original] = flow_id
        return growing

    def _since(self, time_ns: int) -> int:
        if self._begins_ns is None:
            self._begins_ns = time_ns
        return time_ns - self._begins_ns

    def _add(self, step: Step) -> None:
        if step.packet is not None:
            self._packets += 1
            self._invalid += step.invalid
            self._dropped += step.dropped
        for told in step.events:
            self._events[told.kind] = self._events.get(told.kind, 0) + 1
        room = self._keep * 2 if step.eventful else self._keep
        if len(self._steps) < room:
            self._steps.append(step)
        else:
            self._left_out += 1
            self._flooded = self._flooded or step.eventful

    def _master(self, event: Event) -> int | None:
        return self._masters.get(event.expectation.master) if event.expectation else None

    def _tell(self, events: Sequence[Event], number: int | None) -> tuple[Told, ...]:
        told: list[Told] = []
        for event in events:
            flow_id, announcer = event.flow.id if event.flow else self._master(event), None
            if flow_id is None:
                continue
            if (expectation := event.expectation) is not None:
                key = (expectation.tuple, expectation.master)
                if event.kind == "EXP_NEW":
                    self._announced[key] = number
                announcer = self._announced.get(key)
            words = events_in_words(event, announcer, by_packet=number is not None)
            about = self._of(flow_id).facts.letter
            told.append(Told(kind=event.kind, connection=about, text=event.text().strip(), words=words, row=event))
        return tuple(told)

    def _announcer(self, flow_id: int, events: Sequence[Event]) -> int | None:
        """Which packet made the helper expect this connection?"""
        for event in events:
            if event.kind == "EXP_DESTROY" and (used := event.expectation) is not None:
                return self._announced.get((used.tuple, used.master))
        # A permanent expectation stays when it is used.
        began = self._family.flows[flow_id].original
        reached = (began.l4proto, began.dst, began.dport)
        found = [
            number
            for (wanted, _), number in self._announced.items()
            if (wanted.l4proto, wanted.dst, wanted.dport) == reached
        ]
        return found[-1] if found else None

    def _same_ends(self, seen: Packet) -> tuple[int, int] | None:
        """Which flow it would be, and which way it goes."""
        if seen.ends.sport is not None:
            return self._ends.get((seen.l4proto, seen.ends))
        # Only the first fragment has ports; of ICMP and GRE nothing tells whose it is.
        return self._open_fragments.get(_between(seen)) if seen.fragment else None


def _between(seen: Packet) -> Ends:
    """Whose fragments: without ports."""
    return Ends(seen.ends.src, seen.l4proto, seen.ends.dst, None)
