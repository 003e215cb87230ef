"""Many generated conversations through the kernel and through the engine, a batch at a time.

Within a batch conversations are woven together; after it both tables are flushed, so that a difference is found near
its cause. Where a batch differs, the conversation whose packet it was is tried once more alone.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from conntap.lab.parity.compare import first_difference
from conntap.lab.parity.engine import EngineSubject, generated_nat
from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.generate import Weave, conversation, ruleset
from conntap.lab.parity.inject import KernelSubject
from conntap.lab.parity.report import Report
from conntap.lab.parity.rules import USUAL_HELPERS
from conntap.lab.parity.run import Run, Step, repeat
from conntap.lab.parity.subject import RIGHT, Packet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from conntap.lab.parity.generate import Conversation

__all__ = ["Bulk", "Found", "Kernel", "Task", "run"]

#: Conversations between two flushes.
BATCH: Final = 100
#: Conversations at the same time.
WIDTH: Final = 8
#: The gateway's devices, by side.
DEVICES: Final = ("r0", "r1")
SYSCTLS: Final = {"netfilter/nf_conntrack_acct": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Conversations to compare: the arguments of `generate.conversation`.

    Attributes:
        seed: of the generator.
        first: number of the first conversation.
        count: how many.
        kind: only this one, as `generate.kinds` calls it; None for the usual mixture.
        nat: through a gateway that translates.
        batch: conversations between two flushes.
        most_found: stop after so many batches that differ.
        tables: compare the tables after each packet as well: slow.
    """

    seed: int
    first: int = 0
    count: int
    kind: str | None = None
    nat: bool = False
    batch: int = BATCH
    most_found: int = 1
    tables: bool = False

    def parts(self, size: int) -> list[Task]:
        """Cut it into tasks of *size* conversations."""
        end = self.first + self.count
        return [replace(self, first=at, count=min(size, end - at)) for at in range(self.first, end, size)]

    @property
    def command(self) -> str:
        """What repeats it."""
        words = ["conntap lab parity", f"--generate {self.count}", f"--seed {self.seed}"]
        words += [f"--first {self.first}"] if self.first else []
        words += [f"--kind {self.kind}"] if self.kind else []
        words += ["--nat"] if self.nat else []
        words += ["--tables"] if self.tables else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Found:
    """A batch in which kernel and engine differ.

    Attributes:
        task: what repeats it: one conversation if that differs alone, else the batch.
        report: what differs.
        culprit: the conversation whose packet it was, with its troubles; "" if it was no packet.
    """

    task: Task
    report: Report
    culprit: str

    def text(self) -> str:
        """Tell it to a person."""
        return "\n".join(filter(None, (self.report.text().rstrip(), self.culprit, f"repeat with: {self.task.command}")))


@dataclass(slots=True)
class Bulk:
    """What was compared.

    Attributes:
        conversations, packets, messages, forwarded: how many.
        kinds: conversations by kind.
        found: batches that differ.
        seconds: of all work.
    """

    conversations: int = 0
    packets: int = 0
    messages: int = 0
    forwarded: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    found: list[Found] = field(default_factory=list[Found])
    seconds: float = 0.0

    def add(self, other: Bulk) -> None:
        """Sum up."""
        self.conversations += other.conversations
        self.packets += other.packets
        self.messages += other.messages
        self.forwarded += other.forwarded
        self.kinds += other.kinds
        self.found += other.found
        self.seconds += other.seconds


class Kernel:
    """A gateway for generated conversations, up while the `with` block runs, empty before each comparison.

    Args:
        nat: it translates.
        tables: compare the tables after each packet as well.
    """

    __slots__ = ("_gateway", "_nat", "_subject", "_tables")

    def __init__(self, *, nat: bool = False, tables: bool = False) -> None:
        self._nat = nat
        self._tables = tables
        nft = ruleset(DEVICES[RIGHT]) if nat else ""
        self._gateway = Gateway(helpers=USUAL_HELPERS, sysctls=SYSCTLS, nft=nft)
        self._subject: KernelSubject | None = None

    def __enter__(self) -> Self:
        self._gateway.__enter__()
        try:
            self._subject = KernelSubject(self._gateway, tables=self._tables)
        except BaseException:
            self._gateway.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subject is not None:
            self._subject.close()
        self._gateway.close()

    def compare(self, talks: Iterable[Conversation]) -> tuple[Report, Conversation | None]:
        """Weave conversations through the kernel, then the same packets through a new engine.

        Returns the report and, where a packet differs, the conversation that it belongs to.
        """
        turns: list[Conversation] = []
        here = self._through_kernel(talks, turns)
        nat = generated_nat() if self._nat else ()
        there = repeat(EngineSubject(helpers=USUAL_HELPERS, sysctls=SYSCTLS, nat=nat, tables=self._tables), here)
        difference = first_difference(here, there)
        report = Report(len(here.steps), here.messages, difference, (here, there))
        if difference is None or difference.step >= len(turns):
            return report, None
        return report, turns[difference.step]

    def _through_kernel(self, talks: Iterable[Conversation], turns: list[Conversation]) -> Run:
        """Drive the conversations; note whose turn each packet was."""
        assert self._subject is not None
        weave = Weave(talks, WIDTH)
        run = Run()
        sent = weave.next()
        while sent is not None and weave.turn is not None:
            turn = weave.turn
            turns.append(turn)
            now = time.time_ns()
            answer = self._subject.packet(now, sent.side, sent.ip)
            # What the gateway's own IP layer keeps says nothing of tracking.
            unknown = turn.marked and not answer.forwarded
            kept = replace(answer, forwarded=None) if unknown else answer
            run.steps.append(Step(Packet(len(run.steps) + 1, now, sent.side, sent.ip), now, kept))
            sent = weave.next(answer.forwarded or ())
        run.settled_ns = time.time_ns()
        run.settled = self._subject.settle(run.settled_ns)
        run.flushed = self._subject.flush(run.settled_ns)
        return run


def run(task: Task, progress: Callable[[Bulk], None] = lambda _: None) -> Bulk:
    """Compare all conversations of a task; *progress* is called after each batch.

    Raises:
        LabError: the gateway cannot be built, or the kernel lost events.
        ValueError: there is no such kind.
    """
    done = Bulk()
    began = time.monotonic()
    with Kernel(nat=task.nat, tables=task.tables) as kernel:
        for part in task.parts(task.batch):
            if len(done.found) >= task.most_found:
                break
            talks = _conversations(part)
            report, culprit = kernel.compare(talks)
            done.conversations += len(talks)
            done.packets += report.packets
            done.messages += report.messages
            done.forwarded += report.forwarded
            done.kinds.update(talk.kind for talk in talks)
            if not report.equal:
                done.found.append(_reduced(kernel, part, report, culprit))
            done.seconds = time.monotonic() - began
            progress(done)
    return done


def _conversations(task: Task) -> list[Conversation]:
    numbers = range(task.first, task.first + task.count)
    return [conversation(task.seed, number, task.kind, nat=task.nat) for number in numbers]


def _reduced(kernel: Kernel, task: Task, report: Report, culprit: Conversation | None) -> Found:
    """Try whether the conversation alone differs as well."""
    if culprit is None:
        return Found(task, report, "")
    alone = replace(task, first=culprit.index, count=1, kind=culprit.kind)
    again, _ = kernel.compare(_conversations(alone))
    if not again.equal:
        task, report = alone, again
    return Found(task, report, f"{culprit!r} {', '.join(culprit.notes)}")
