"""A connection while its story is read: what is known of it so far, and its steps made from that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from conntap.explain.numbers import SYN, Numbers, say_windows
from conntap.explain.outgoing import payload_of
from conntap.explain.packet import Words, first_line, words_of
from conntap.explain.protocols import SCTP_STATES, TCP_STATES
from conntap.explain.story import ORDINARY, Connection, Ends, Packet, Step, Told, Window
from conntap.explain.words import why_in_words
from conntap.model import Status

if TYPE_CHECKING:
    from conntap._core import Event, Flow, TracedPacket

__all__ = ["Growing", "state_of"]

#: Reasons where the windows decide, or nearly did.
ABOUT_WINDOWS: Final = frozenset({
    "seq_over", "ack_over", "reset_below", "reset_inexact", "overshot", "seq_under", "ack_under", "liberal",
})  # fmt: skip

DIRECTIONS: Final[tuple[Literal["original", "reply"], ...]] = ("original", "reply")

TCP: Final = 6
SCTP: Final = 132
NS: Final = 1_000_000_000


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


class Growing:
    """A connection while its story is read.

    Attributes:
        facts: what it is.
        l4proto: its protocol's number.
        state: of its entry; None: there is none.
    """

    __slots__ = ("_numbers", "_windows", "facts", "l4proto", "state")

    def __init__(self, facts: Connection, l4proto: int) -> None:
        self.facts = facts
        self.l4proto = l4proto
        self.state: str | None = None
        self._numbers = Numbers()
        self._windows: tuple[Window, Window] | None = None

    def is_ordinary(self, traced: TracedPacket) -> bool:
        """Would the step of this packet tell nothing? Found out without making it: of a long transfer most do."""
        return (
            traced.verdict == "ESTABLISHED"
            and traced.reason in ORDINARY
            and not traced.dropped
            and state_of(traced, self.l4proto) == self.state
        )

    def packet(
        self,
        traced: TracedPacket,
        seen: Packet,
        way: int,
        since_ns: int,
        *,
        told: tuple[Told, ...] = (),
        sent: bytes = b"",
        ends: bool = False,
    ) -> Step:
        """Make the step of a packet.

        Args:
            traced, seen: the packet, as the engine kept it and as values.
            way: 0 original direction, 1 reply.
            since_ns: since the story began.
            told: events that it caused.
            sent: the packet as it leaves the gateway, where that is known.
            ends: the entry ends with it.
        """
        belongs = traced.flow is not None
        before = self.state
        if belongs:
            self.state = None if ends else state_of(traced, seen.l4proto) or before
            self._windows = _windows(traced) or self._windows
        segment = seen.tcp
        if belongs and segment is not None and traced.verdict not in ("INVALID", "UNSEEN"):
            self._numbers.see(segment, way, traced.reason)
        seq = ack = window = None
        if segment is not None:
            seq, ack = self._numbers.seq(segment, way), self._numbers.ack(segment, way)
            scaled = self._windows is not None and not segment.flags & SYN
            window = segment.window << self._windows[way].scale if scaled and self._windows else segment.window
        words = words_of(seen, seq=seq, ack=ack, window=window, whole=belongs)
        if traced.reason == "matches_expectation" and seen.ends.dport is not None:
            words = words._replace(short=f"{words.short} to :{seen.ends.dport}")
        elif traced.reason == "error_about_flow":
            words = self._error(words, seen)
        return Step(
            number=traced.number,
            input=traced.input,
            time_ns=traced.time_ns,
            since_ns=since_ns,
            connection=self.facts.letter,
            direction=DIRECTIONS[way],
            packet=seen,
            short=words.short,
            more=words.more,
            seq=seq,
            ack=ack,
            window=window,
            sent=_sent(self.facts, way, traced) if belongs else None,
            sent_text=_rewritten(seen, sent),
            verdict=traced.verdict,
            reason=traced.reason,
            why=why_in_words(traced, self.facts),
            dropped=traced.dropped and traced.reason != "waiting_for_fragments",
            before=before,
            state=self.state,
            status=traced.status,
            timeout=_seconds_left(traced),
            windows=self._windows if belongs else None,
            bases=self._numbers.bases,
            windows_said=self._windows_said(traced, before) if belongs else "",
            events=told,
        )

    def event(self, event: Event, since_ns: int, told: tuple[Told, ...], caused_by: int | None) -> Step:
        """Make the step of an event that no packet of the story caused; *caused_by* is the number of another's."""
        before = self.state
        if event.kind == "DESTROY":
            self.state = None
        if caused_by is not None:
            reason, short = "gives_way", "the entry gives way"
            why = f"packet {caused_by} opens a new connection between the same ends"
        elif event.expectation is not None:
            reason, short, why = "expectation_ends", "the expectation ends", told[0].words
        elif event.flow is not None and event.flow.timeout:
            reason, short = "removed", "the entry is removed"
            why = f"{event.flow.timeout} s before its time: the table was full"
        else:
            reason, short, why = "time", "the entry runs out", "nothing more came in time"
        return Step(
            number=None,
            time_ns=event.received_ns,
            since_ns=since_ns,
            connection=self.facts.letter,
            short=short,
            reason=reason,
            why=why,
            before=before,
            state=self.state,
            events=told,
        )

    def finished(self, entry: Flow | None) -> Connection:
        """What it was, and its entry when the capture ended."""
        if entry is None:
            return self.facts
        return replace(self.facts, left=entry.text().strip(), state=self.state or entry.state, timeout=entry.timeout)

    def _error(self, words: Words, seen: Packet) -> Words:
        """What it is about need not be said here; who sends it, where that is none of the two."""
        ends = (*self.facts.original[::2], *self.facts.reply[::2])
        sender = () if seen.ends.src in ends else (f"from {seen.ends.src}",)
        return Words(words.short.partition(" about ")[0], sender)

    def _windows_said(self, traced: TracedPacket, before: str | None) -> str:
        """The windows in words where they decide, and where the handshake has set them."""
        settled = before == "SYN_RECV" and self.state == "ESTABLISHED"
        if self._windows is None or not (settled or traced.reason in ABOUT_WINDOWS):
            return ""
        return say_windows(self._windows, self._numbers.bases)


def _windows(traced: TracedPacket) -> tuple[Window, Window] | None:
    sides = traced.windows
    return (Window(*sides[0]), Window(*sides[1])) if sides else None


def _seconds_left(traced: TracedPacket) -> int | None:
    """Until the entry ends, as the kernel tells it: rounded down."""
    return None if traced.expires_ns is None else max(0, traced.expires_ns - traced.time_ns) // NS


def _sent(facts: Connection, way: int, traced: TracedPacket) -> Ends | None:
    """The ends of a packet as it leaves a gateway that translates; None where nothing changes or nothing leaves.

    What is INVALID belongs to no connection and is not translated. Source: kernel nf_nat_core.c, nf_nat_inet_fn.
    """
    about = traced.reason == "error_about_flow"  # of ICMP: its own addresses are not the connection's
    if traced.dropped or about or traced.verdict in ("INVALID", "UNSEEN"):
        return None
    arrives, leaves = (facts.original, facts.reply.inverse) if way == 0 else (facts.reply, facts.original.inverse)
    return leaves if leaves != arrives else None


def _rewritten(seen: Packet, sent: bytes) -> str:
    """The first line of a payload that the helper has changed."""
    text = first_line(payload_of(sent)) if sent else ""
    return text if text and text != first_line(seen.payload) else ""
