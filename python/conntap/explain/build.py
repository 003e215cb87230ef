"""From traced packets to the steps of a story."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final, Literal

from conntap.explain.numbers import SYN, Numbers, say_windows
from conntap.explain.outgoing import payload_of
from conntap.explain.packet import first_line, packet_of, words_of
from conntap.explain.protocols import SCTP_STATES, TCP_STATES, protocol_name
from conntap.explain.select import ends_of
from conntap.explain.story import Connection, Ends, Packet, Step, Story, Told, Window
from conntap.explain.words import events_in_words, why_in_words
from conntap.model import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap._core import Batch, Event, Flow, TracedPacket, Tuple
    from conntap.explain.select import Family

__all__ = ["StoryBuilder", "letter"]

#: So many steps are kept whole; of further packets those at which something happens, up to twice as many.
KEEP: Final = 20_000

#: Where the windows decide, or nearly did.
ABOUT_WINDOWS: Final = frozenset({
    "seq_over", "ack_over", "reset_below", "reset_inexact", "overshot", "seq_under", "ack_under", "liberal",
})  # fmt: skip

DIRECTIONS: Final[tuple[Literal["original", "reply"], ...]] = ("original", "reply")

TCP: Final = 6
SCTP: Final = 132


def letter(number: int) -> str:
    """Name the connections A, B, …, Z, AA, …"""
    name = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        name = ascii_uppercase[rest] + name
    return name


def state_of(traced: TracedPacket, l4proto: int) -> str | None:
    """Name the state of an entry behind a packet; None where the engine holds none."""
    if traced.state is not None:
        names = SCTP_STATES if l4proto == SCTP else TCP_STATES
        return names[traced.state] if traced.state < len(names) else f"state {traced.state}"
    if l4proto in (TCP, SCTP) or traced.expires_ns is None:
        return None
    status = Status(traced.status)
    if status & Status.ASSURED:
        return "ASSURED"
    return "REPLIED" if status & Status.SEEN_REPLY else "UNREPLIED"


class _Growing:
    """A connection while its story is read."""

    __slots__ = ("facts", "numbers", "original", "state", "windows")

    def __init__(self, facts: Connection, original: Tuple | None) -> None:
        self.facts = facts
        self.original = original
        self.numbers = Numbers()
        self.state: str | None = None
        self.windows: tuple[Window, Window] | None = None


class StoryBuilder:
    """Takes the packets and events of one family, in order, and makes its story."""

    def __init__(self, family: Family, *, keep: int = KEEP) -> None:
        self._family = family
        self._keep = keep
        self._growing: dict[int, _Growing] = {}
        # Of entries that followed each other between the same ends the one that lives counts.
        self._masters = {flow.original: flow_id for flow_id, flow in reversed(family.flows.items())}
        self._announced: dict[tuple[Tuple, Tuple], tuple[int | None, Event]] = {}
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

    def packet(self, traced: TracedPacket, events: Sequence[Event], sent: bytes = b"") -> None:
        """Take a packet of one of the family's flows.

        Args:
            traced: the packet.
            events: those of the family's events that it caused.
            sent: the packet as it leaves the gateway, where that is known.
        """
        if traced.flow is None or (seen := packet_of(traced)) is None:
            return
        flow_id, way = traced.flow
        growing = self._growing.get(flow_id) or self._begin(flow_id)
        if seen.fragment:
            self._open_fragments.pop(_between(seen), None)
        told = self._tell(events, traced.number)
        if growing.facts.master and growing.facts.announced_by is None:
            self._find_announcer(growing, events)
        before = growing.state
        state = state_of(traced, seen.l4proto) or before
        if any(event.kind == "DESTROY" and event.flow and event.flow.id == flow_id for event in events):
            state = None
        growing.state = state
        windows = growing.windows = _windows(traced) or growing.windows
        numbers, segment = growing.numbers, seen.tcp
        if segment is not None and traced.verdict not in ("INVALID", "UNSEEN"):
            numbers.see(segment, way, traced.reason)
        seq = ack = window = None
        if segment is not None:
            seq, ack = numbers.seq(segment, way), numbers.ack(segment, way)
            shift = windows[way].scale if windows and not segment.flags & SYN else 0
            window = segment.window << shift
        words = words_of(seen, seq=seq, ack=ack, window=window, whole=True)
        if traced.reason == "matches_expectation" and seen.ends.dport is not None:
            words = words._replace(short=f"{words.short} to :{seen.ends.dport}")
        self._add(
            Step(
                number=traced.number,
                input=traced.input,
                time_ns=traced.time_ns,
                since_ns=self._since(traced.time_ns),
                connection=growing.facts.letter,
                direction=DIRECTIONS[way],
                packet=seen,
                short=words.short,
                more=words.more,
                seq=seq,
                ack=ack,
                window=window,
                sent=_sent(growing.facts, way, traced),
                sent_text=_sent_text(seen, sent),
                verdict=traced.verdict,
                reason=traced.reason,
                why=why_in_words(traced, growing.facts),
                dropped=traced.dropped,
                before=before,
                state=state,
                status=traced.status,
                timeout=_left(traced),
                windows=windows,
                bases=numbers.bases,
                windows_said=_windows_said(traced, windows, numbers, before, state),
                events=told,
            )
        )

    def knows(self, seen: Packet) -> bool:
        """Does a packet that belongs to no flow go between the same ends as one of the family?"""
        return self._same_ends(seen) is not None

    def stranger(self, traced: TracedPacket, seen: Packet) -> None:
        """Take a packet that belongs to no flow, and that `knows()` accepts."""
        found = self._same_ends(seen)
        if found is None:
            return
        flow_id, way = found
        growing = self._growing.get(flow_id) or self._begin(flow_id)
        if seen.fragment:
            self._open_fragments[_between(seen)] = found
        segment = seen.tcp
        seq = growing.numbers.seq(segment, way) if segment else None
        ack = growing.numbers.ack(segment, way) if segment else None
        window = segment.window if segment else None
        words = words_of(seen, seq=seq, ack=ack, window=window, whole=False)
        self._add(
            Step(
                number=traced.number,
                input=traced.input,
                time_ns=traced.time_ns,
                since_ns=self._since(traced.time_ns),
                connection=growing.facts.letter,
                direction=DIRECTIONS[way],
                packet=seen,
                short=words.short,
                more=words.more,
                seq=seq,
                ack=ack,
                window=window,
                verdict=traced.verdict,
                reason=traced.reason,
                why=why_in_words(traced, growing.facts),
                dropped=traced.dropped and traced.reason != "waiting_for_fragments",
                before=growing.state,
                state=growing.state,
            )
        )

    def event(self, event: Event, *, caused_by: int | None = None) -> None:
        """Take an event that no packet of the family caused; *caused_by* is the number of another's."""
        told = self._tell([event], None)
        if not told:
            return
        flow, expectation = event.flow, event.expectation
        before = state = None
        if flow is not None and flow.id is not None:
            growing = self._growing.get(flow.id) or self._begin(flow.id)
            before = state = growing.state
            if event.kind == "DESTROY":
                state = growing.state = None
        if caused_by is not None:
            reason, short = "gives_way", "the entry gives way"
            why = f"packet {caused_by} opens a new connection between the same ends"
        elif expectation is not None:
            reason, short, why = "expectation_ends", "the expectation ends", told[0].words
        elif flow is not None and flow.timeout:
            reason, short = "removed", "the entry is removed"
            why = f"{flow.timeout} s before its time: the table was full"
        else:
            reason, short, why = "time", "the entry runs out", "nothing more came in time"
        self._add(
            Step(
                number=None,
                time_ns=event.received_ns,
                since_ns=self._since(event.received_ns),
                connection=told[0].connection,
                short=short,
                why=why,
                reason=reason,
                before=before,
                state=state,
                events=told,
            )
        )

    def finish(self, left: Batch) -> Story:
        """Make the story; *left* is the table behind the last packet."""
        entries = {flow.id: flow for flow in left.flows()}
        connections = tuple(
            _with_entry(growing, entries.get(flow_id)) for flow_id, growing in self._growing.items()
        )
        return Story(
            connections=connections,
            steps=tuple(self._steps),
            packets=self._packets,
            left_out=self._left_out,
            flooded=self._flooded,
            invalid=self._invalid,
            dropped=self._dropped,
            events=self._events,
        )

    def _begin(self, flow_id: int) -> _Growing:
        flow = self._family.flows[flow_id]
        parent = None
        if (parent_id := self._family.parents.get(flow_id)) is not None:
            parent = self._growing.get(parent_id) or self._begin(parent_id)
        facts = Connection(
            letter=letter(len(self._growing)),
            flow_id=flow_id if flow_id > 0 else None,
            protocol=flow.protocol or protocol_name(flow.l4proto or 0),
            original=ends_of(flow.original),
            reply=ends_of(flow.reply),
            helper=flow.helper,
            master=parent.facts.letter if parent is not None else None,
        )
        growing = _Growing(facts, flow.original)
        self._growing[flow_id] = growing
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

    def _tell(self, events: Sequence[Event], number: int | None) -> tuple[Told, ...]:
        told: list[Told] = []
        for event in events:
            expectation, flow = event.expectation, event.flow
            if expectation is not None:
                master = self._masters[expectation.master]
                about = (self._growing.get(master) or self._begin(master)).facts.letter
                key = (expectation.tuple, expectation.master)
                if event.kind == "EXP_NEW":
                    self._announced[key] = (number, event)
                announcer = self._announced.get(key, (None, event))[0]
            elif flow is not None and flow.id is not None:
                about = (self._growing.get(flow.id) or self._begin(flow.id)).facts.letter
                announcer = None
            else:
                continue
            words = events_in_words(event, announcer, by_packet=number is not None)
            told.append(Told(kind=event.kind, connection=about, text=event.text().strip(), words=words, row=event))
        return tuple(told)

    def _find_announcer(self, growing: _Growing, events: Sequence[Event]) -> None:
        """Which packet made the helper expect this connection?"""
        used = [event.expectation for event in events if event.kind == "EXP_DESTROY" and event.expectation]
        number = None
        for expectation in used:
            number = self._announced.get((expectation.tuple, expectation.master), (None, None))[0] or number
        if number is None and growing.original is not None:
            # A permanent expectation stays when it is used.
            reached = (growing.original.l4proto, growing.original.dst, growing.original.dport)
            for (wanted, _), (announcer, _) in self._announced.items():
                if (wanted.l4proto, wanted.dst, wanted.dport) == reached:
                    number = announcer
        growing.facts = replace(growing.facts, announced_by=number)

    def _same_ends(self, seen: Packet) -> tuple[int, int] | None:
        """Which flow it would be, and which way it goes."""
        if seen.ends.sport is not None:
            return self._ends.get((seen.l4proto, seen.ends))
        # Only the first fragment has ports; of ICMP and GRE nothing tells whose it is.
        return self._open_fragments.get(_between(seen)) if seen.fragment else None


def _between(seen: Packet) -> Ends:
    """Whose fragments: without ports."""
    return Ends(seen.ends.src, seen.l4proto, seen.ends.dst, None)


def _windows(traced: TracedPacket) -> tuple[Window, Window] | None:
    sides = traced.windows
    return (Window(*sides[0]), Window(*sides[1])) if sides else None


def _left(traced: TracedPacket) -> int | None:
    """Seconds until the entry ends, as the kernel tells them: rounded down."""
    if traced.expires_ns is None:
        return None
    return max(0, traced.expires_ns - traced.time_ns) // 1_000_000_000


def _sent(facts: Connection, way: int, traced: TracedPacket) -> Ends | None:
    """The ends of a packet as it leaves a gateway that translates; None where nothing changes or nothing leaves.

    What is INVALID belongs to no connection and is not translated. Source: kernel nf_nat_core.c, nf_nat_inet_fn.
    """
    if traced.dropped or traced.verdict in ("INVALID", "UNSEEN") or traced.icmp and facts.protocol != "icmp":
        return None
    arrives, leaves = (facts.original, facts.reply.inverse) if way == 0 else (facts.reply, facts.original.inverse)
    return leaves if leaves != arrives else None


def _sent_text(seen: Packet, sent: bytes) -> str:
    """The first line of a payload that the helper has rewritten."""
    text = first_line(payload_of(sent)) if sent else ""
    return text if text and text != first_line(seen.payload) else ""


def _windows_said(
    traced: TracedPacket,
    windows: tuple[Window, Window] | None,
    numbers: Numbers,
    before: str | None,
    state: str | None,
) -> str:
    """The windows in words where they decide, and where the handshake has set them."""
    if windows is None:
        return ""
    settled = before == "SYN_RECV" and state == "ESTABLISHED"
    return say_windows(windows, numbers.bases) if settled or traced.reason in ABOUT_WINDOWS else ""


def _with_entry(growing: _Growing, entry: Flow | None) -> Connection:
    if entry is None:
        return growing.facts
    return replace(
        growing.facts,
        left=entry.text().strip(),
        state=growing.state or entry.state,
        timeout=entry.timeout,
    )
