"""Two runs of the same packets: the first thing in which they differ.

Messages of one packet are compared in order. Two sorts are not tied to a packet, because the kernel sends them when it
comes across what has run out, up to a minute late: the DESTROY of a flow by timeout, with those of its expectations,
and the DESTROY of an expectation by timeout. These, and all that the final flush sends (its order is that of a hash
table), are compared flow by flow: each flow's and each expectation's messages are the same in the same order.

Source: gc_worker, nf_ct_gc_expired in net/netfilter/nf_conntrack_core.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Literal

from conntap.lab.parity.normalise import TOLERANCE_SECONDS, Message, comparable_packet, normalise, same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.lab.parity.run import Run
    from conntap.lab.parity.subject import Answer

__all__ = ["Difference", "What", "first_difference"]

What = Literal["events", "forwarded", "verdict", "table", "flow", "identity", "length"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two runs part.

    Attributes:
        what: "events", "forwarded", "verdict" or "table" of one packet; "flow": the messages of one flow or expectation
            over the whole run; "identity": the second run changes the id of an entry in its life; "length": the runs
            do not have the same number of packets.
        step: index of the packet; the number of packets for what came after the last, one more for the flush.
        expected: what the first run has: messages, packets, or a verdict.
        actual: what the second run has.
        at: index in `expected` and `actual` of the first that differs.
    """

    what: What
    step: int
    expected: list[bytes]
    actual: list[bytes]
    at: int = 0


@dataclass(frozen=True, slots=True)
class _Told:
    """One message in the history of a flow."""

    step: int
    message: Message
    any_timeout: bool


@dataclass(slots=True)
class _Side:
    """One run while it is read: what is tied to the present packet, and the history of each flow."""

    tied: list[Message] = field(default_factory=list[Message])
    histories: dict[tuple[bool, bytes], list[_Told]] = field(default_factory=dict[tuple[bool, bytes], "list[_Told]"])

    def read(self, step: int, raws: Iterable[bytes]) -> None:
        """Take the messages of one step apart and sort them."""
        self.tied = []
        gone: list[bytes] = []
        for raw in raws:
            message = normalise(raw)
            orphan = message.kind == "EXP_DESTROY" and any(key.startswith(message.parent) for key in gone)
            if _ran_out(message):
                if message.kind == "DESTROY":
                    gone.append(message.key)
            elif not orphan:
                self.tied.append(message)
            told = self.histories.setdefault((message.kind.startswith("EXP"), message.key), [])
            told.append(_Told(step, message, orphan))


def first_difference(first: Run, second: Run) -> Difference | None:
    """Return the difference that comes first in time, or None when the runs are equal."""
    if len(first.steps) != len(second.steps):
        return Difference("length", min(len(first.steps), len(second.steps)), [], [])
    one, two = _Side(), _Side()
    at_packet: Difference | None = None
    for index, (here, there) in enumerate(zip(first.steps, second.steps, strict=True)):
        one.read(index, here.answer.messages)
        two.read(index, there.answer.messages)
        if at_packet is None:
            at_packet = _of_packet(index, one.tied, two.tied, here.answer, there.answer)
    end = len(first.steps)
    for step, here, there in ((end, first.settled, second.settled), (end + 1, first.flushed, second.flushed)):
        one.read(step, here)
        two.read(step, there)
    in_flow = _of_flows(one, two)
    if at_packet is None or (in_flow is not None and in_flow.step < at_packet.step):
        return in_flow
    return at_packet


def _ran_out(message: Message) -> bool:
    """Whether this is the end of what had no time left, and so may come late."""
    return message.kind in ("DESTROY", "EXP_DESTROY") and (message.timeout or 0) <= TOLERANCE_SECONDS


def _of_packet(step: int, one: list[Message], two: list[Message], here: Answer, there: Answer) -> Difference | None:
    for at, (event, other_event) in enumerate(zip_longest(one, two)):
        if event is None or other_event is None or not same(event, other_event):
            return Difference("events", step, [message.raw for message in one], [message.raw for message in two], at)
    if here.forwarded is not None and there.forwarded is not None:
        for at, (sent, other) in enumerate(zip_longest(here.forwarded, there.forwarded, fillvalue=b"")):
            if sent != other and comparable_packet(sent) != comparable_packet(other):
                return Difference("forwarded", step, here.forwarded, there.forwarded, at)
    if here.verdict and there.verdict and here.verdict != there.verdict:
        return Difference("verdict", step, [here.verdict.encode()], [there.verdict.encode()])
    if here.table is not None and there.table is not None:
        return _of_tables(step, here.table, there.table)
    return None


def _of_tables(step: int, here: list[bytes], there: list[bytes]) -> Difference | None:
    """Compare rows by what they speak of; show those that differ."""
    one = {(row.kind, row.key): row for row in (normalise(raw, row=True) for raw in here)}
    two = {(row.kind, row.key): row for row in (normalise(raw, row=True) for raw in there)}
    for key in [*one, *(key for key in two if key not in one)]:
        a, b = one.get(key), two.get(key)
        # A dump leaves out what has run out, and is made a moment after the packet. Source: ctnetlink_dump_table.
        gone = a is None or b is None
        if gone and all((row.timeout or 0) <= TOLERANCE_SECONDS for row in (a, b) if row):
            continue
        if a is None or b is None or not same(a, b):
            return Difference("table", step, [] if a is None else [a.raw], [] if b is None else [b.raw])
    return None


def _of_flows(one: _Side, two: _Side) -> Difference | None:
    """Return the earliest difference between histories of one flow or expectation."""
    found: Difference | None = None
    keys = [*one.histories, *(key for key in two.histories if key not in one.histories)]
    for key in keys:
        here, there = one.histories.get(key, []), two.histories.get(key, [])
        difference = _of_history(here, there) or _of_identity(there)
        if difference is not None and (found is None or difference.step < found.step):
            found = difference
    return found


def _of_history(here: list[_Told], there: list[_Told]) -> Difference | None:
    for at in range(max(len(here), len(there))):
        a = here[at] if at < len(here) else None
        b = there[at] if at < len(there) else None
        if a and b and same(a.message, b.message, any_timeout=a.any_timeout or b.any_timeout):
            continue
        step = min(told.step for told in (a, b) if told)
        return Difference("flow", step, [t.message.raw for t in here], [t.message.raw for t in there], at)
    return None


def _of_identity(history: list[_Told]) -> Difference | None:
    """An entry keeps its id until its DESTROY."""
    for at, (before, after) in enumerate(pairwise(history), start=1):
        ended = before.message.kind in ("DESTROY", "EXP_DESTROY")
        if not ended and before.message.identity != after.message.identity:
            return Difference("identity", after.step, [before.message.raw], [told.message.raw for told in history], at)
    return None
