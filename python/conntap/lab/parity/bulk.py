"""Many generated conversations through the kernel and through the engine, a batch at a time.

Within a batch conversations are woven together; after it both tables are flushed, so that a difference is found near
its cause.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.engine import EngineSubject, add_nat_rules
from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.generate import Weave, conversation, ruleset
from conntap.lab.parity.inject import KernelSubject
from conntap.lab.parity.report import Report
from conntap.lab.parity.rules import USUAL_HELPERS
from conntap.lab.parity.run import Run, Step, repeat
from conntap.lab.parity.subject import RIGHT, Answer, Packet

if TYPE_CHECKING:
    from conntap.lab.parity.generate import Conversation

__all__ = ["Bulk", "Found", "run"]

#: Conversations between two flushes.
BATCH: Final = 100
#: Conversations at the same time.
WIDTH: Final = 8
#: The gateway's devices, by side.
DEVICES: Final = ("r0", "r1")
SYSCTLS: Final = {"netfilter/nf_conntrack_acct": 1}


@dataclass(slots=True)
class Found:
    """A batch in which kernel and engine differ.

    Attributes:
        first: number of the batch's first conversation.
        report: what differs, for a person.
        culprit: the conversation whose packet it was, if one packet was it.
    """

    first: int
    report: Report
    culprit: str


@dataclass(slots=True)
class Bulk:
    """What was compared.

    Attributes:
        conversations, packets, messages: how many.
        kinds: conversations by kind.
        found: batches that differ.
        seconds: of the whole.
    """

    conversations: int = 0
    packets: int = 0
    messages: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    found: list[Found] = field(default_factory=list[Found])
    seconds: float = 0.0


def run(
    seed: int,
    first: int,
    count: int,
    *,
    nat: bool = False,
    kind: str | None = None,
    batch: int = BATCH,
    most_found: int = 1,
    until: float | None = None,
) -> Bulk:
    """Compare *count* conversations from number *first* on.

    Args:
        seed: of the generator.
        nat: through a gateway that translates.
        kind: only this one; None for the usual mixture.
        batch: conversations between two flushes; 1 finds the culprit for sure, slowly.
        most_found: stop after so many batches that differ.
        until: stop at this time (time.monotonic()).
    """
    done = Bulk()
    began = time.monotonic()
    gateway = Gateway(helpers=USUAL_HELPERS, sysctls=SYSCTLS, nft=ruleset(DEVICES[RIGHT]) if nat else "", note_states=True)
    with gateway, KernelSubject(gateway) as kernel:
        for start in range(first, first + count, batch):
            if len(done.found) >= most_found or (until is not None and time.monotonic() >= until):
                break
            talks = [
                conversation(seed, number, kind, nat=nat) for number in range(start, min(start + batch, first + count))
            ]
            turns: list[Conversation] = []
            here = _through_kernel(kernel, talks, turns)
            there = repeat(_engine(nat), here)
            difference = first_difference(here, there)
            done.conversations += len(talks)
            done.packets += len(here.steps)
            done.messages += here.messages
            done.kinds.update(talk.kind for talk in talks)
            if difference is not None:
                report = Report(len(here.steps), here.messages, difference, (here, there), {})
                known = difference.step < len(turns)
                culprit = f"{turns[difference.step]} {turns[difference.step].notes}" if known else ""
                done.found.append(Found(start, report, culprit))
    done.seconds = time.monotonic() - began
    return done


def _engine(nat: bool) -> EngineSubject:
    subject = EngineSubject(helpers=USUAL_HELPERS, sysctls=SYSCTLS)
    if nat:
        add_nat_rules(subject.engine)
    return subject


def _through_kernel(kernel: KernelSubject, talks: list[Conversation], turns: list[Conversation]) -> Run:
    """Drive the conversations; note whose turn each packet was."""
    weave = Weave(talks, WIDTH)
    run = Run()
    sent = weave.next()
    while sent is not None:
        if weave.turn is not None:
            turns.append(weave.turn)
        now = time.time_ns()
        answer = kernel.packet(now, sent.side, sent.ip)
        if weave.turn is not None and weave.turn.marked and not answer.forwarded:
            # Its own IP layer keeps such a packet, which says nothing of tracking.
            answer = Answer(answer.messages, None, answer.verdict)
        run.steps.append(Step(Packet(len(run.steps) + 1, now, sent.side, sent.ip), now, answer))
        sent = weave.next(answer.forwarded or ())
    run.settled_ns = time.time_ns()
    run.settled = kernel.settle(run.settled_ns)
    run.flushed = kernel.flush(run.settled_ns)
    return run
