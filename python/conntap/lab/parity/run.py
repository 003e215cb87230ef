"""A run: packets driven through a subject, each with the time it was sent and what it caused."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.lab.parity.subject import Answer, Packet, Subject

__all__ = ["AS_CAPTURED", "AT_ONCE", "Pacing", "Run", "Step", "drive", "repeat"]


@dataclass(frozen=True, slots=True)
class Pacing:
    """How the times between packets are kept.

    Attributes:
        scale: factor for each gap; 0 sends without waiting.
        longest_s: no wait is longer, in seconds; None for no limit.
    """

    scale: float = 1.0
    longest_s: float | None = None

    def wait_ns(self, gap_ns: int) -> int:
        """Return the nanoseconds to wait for a gap of *gap_ns* in the capture."""
        wait = max(0, int(gap_ns * self.scale))
        return wait if self.longest_s is None else min(wait, int(self.longest_s * 1e9))


AT_ONCE: Final = Pacing(scale=0.0)
AS_CAPTURED: Final = Pacing()


@dataclass(frozen=True, slots=True)
class Step:
    """One packet of a run: when it was sent (CLOCK_REALTIME) and what it caused."""

    packet: Packet
    sent_ns: int
    answer: Answer


@dataclass(slots=True)
class Run:
    """What happened.

    Attributes:
        steps: the packets, in order.
        settled_ns: when the run ended.
        settled: what time alone caused between the last packet and then.
        flushed: what the final flush caused, `settled_ns` being its time.
    """

    steps: list[Step] = field(default_factory=list[Step])
    settled_ns: int = 0
    settled: list[bytes] = field(default_factory=list[bytes])
    flushed: list[bytes] = field(default_factory=list[bytes])

    @property
    def messages(self) -> int:
        """How many messages there were."""
        return sum(len(step.answer.messages) for step in self.steps) + len(self.settled) + len(self.flushed)


def drive(subject: Subject, packets: Iterable[Packet], *, pacing: Pacing = AT_ONCE, linger_s: float = 0.0) -> Run:
    """Send *packets* through a live subject, wait *linger_s* seconds, and flush its table.

    Packets are sent on time or, if the machine is late, as soon as may be: the times of a run are those of sending.
    """
    run = Run()
    due = time.monotonic_ns()
    before: int | None = None
    for packet in packets:
        if before is not None and (wait := pacing.wait_ns(packet.time_ns - before)):
            due += wait
            _sleep_until(due)
        before = packet.time_ns
        sent = time.time_ns()
        run.steps.append(Step(packet, sent, subject.packet(sent, packet.side, packet.ip)))
    if linger_s:
        _sleep_until(time.monotonic_ns() + int(linger_s * 1e9))
    run.settled_ns = time.time_ns()
    run.settled = subject.settle(run.settled_ns)
    run.flushed = subject.flush(run.settled_ns)
    return run


def repeat(subject: Subject, run: Run) -> Run:
    """Give another subject the same packets at the same times; it need not be live."""
    again = Run(settled_ns=run.settled_ns)
    for step in run.steps:
        answer = subject.packet(step.sent_ns, step.packet.side, step.packet.ip)
        again.steps.append(Step(step.packet, step.sent_ns, answer))
    again.settled = subject.settle(run.settled_ns)
    again.flushed = subject.flush(run.settled_ns)
    return again


def _sleep_until(due_ns: int) -> None:
    """Sleep to a time of the monotonic clock."""
    if (left := due_ns - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)
