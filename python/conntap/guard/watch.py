"""`Guard`: follows expectations as they come, decides about each, and takes back what is not allowed.

with Guard(read_policy("guard.toml"), netns="gateway") as guard:
    while True:
        guard.step(0.5)
"""

from __future__ import annotations

import errno
import select
import time
from typing import TYPE_CHECKING, Any, Final

from conntap import _core
from conntap.errors import ClosedError, KernelError
from conntap.guard.alerts import Alerts
from conntap.guard.block import Block
from conntap.guard.decide import Judge
from conntap.guard.memory import Memory
from conntap.guard.metrics import Metrics
from conntap.guard.policy import Policy
from conntap.guard.subject import Subject, show_address
from conntap.guard.zones import Zones
from conntap.kernel import BUFFER_BYTES, Conntrack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from conntap.guard.decide import Decision
    from conntap.guard.hold import Hold
    from conntap.netns import NetNs

__all__ = ["Decided", "Guard"]

#: What a guard listens to. Only flows that began because of an expectation are of interest among the new ones.
WHERE: Final = "exp_new or exp_destroy or (new and related)"
#: The table of expectations is read so often.
ROUND_SECONDS: Final = 1.0
#: Batches read at once before anything else gets its turn.
BURST: Final = 64


class Decided:
    """A decision that was made, and what became of it.

    Attributes:
        what: "expectation" or "flow".
        subject: what it is about.
        decision: yes or no, which line, why.
        outcome: "allowed", "deleted", "gone", "refused: …", "would be deleted" (dry run), "denied" (left alone).
        received_ns: when the event was received.
        reaction_ns: from there to the kernel's answer; 0 where nothing was done.
    """

    __slots__ = ("decision", "outcome", "reaction_ns", "received_ns", "subject", "what")

    def __init__(self, what: str, subject: Subject, decision: Decision, outcome: str, received_ns: int) -> None:
        self.what = what
        self.subject = subject
        self.decision = decision
        self.outcome = outcome
        self.received_ns = received_ns
        self.reaction_ns = 0

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "what": self.what,
            "allowed": self.decision.allowed,
            "outcome": self.outcome,
            "rule": self.decision.rule,
            "reason": self.decision.reason,
            "received_ns": self.received_ns,
            "reaction_ns": self.reaction_ns or None,
            **self.subject.as_dict(),
        }


class Guard:
    """Holds one network namespace to a policy. Not for several threads.

    Changes nothing but what the policy's `on_deny` says; with *dry_run* nothing at all.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        netns: NetNs = None,
        dry_run: bool = False,
        hold: Hold | None = None,
        tell: Callable[[list[Decided]], None] | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        """Subscribe, then look over what is there already.

        Args:
            policy: what is allowed; None: the built-in defaults.
            netns: which namespace.
            dry_run: decide and tell, change nothing.
            hold: lets in only what was approved; this guard feeds it and closes it.
            tell: is given every decision, in order, a batch at a time.
            buffer_bytes: receive buffer to ask for.

        Raises:
            PrivilegeError: CAP_NET_ADMIN is missing.
        """
        self.policy = policy or Policy()
        self.dry_run = dry_run
        self.hold = hold
        self.metrics = Metrics()
        self.memory = Memory()
        self.judge = Judge(self.policy, self)
        self.zones = Zones(netns)
        self._tell = tell
        self._alerts: Alerts | None = None
        self._block: Block | None = None
        self._delete = "delete" in self.policy.actions.on_deny and not dry_run
        self._delete_flows = "delete-flow" in self.policy.actions.on_deny and not dry_run
        self._told: list[Decided] = []
        #: How masters of the batch at work are answered; the next batch's may be others with the same ends.
        self._replies: dict[tuple[tuple[bytes, bytes, int, int, int, int], int], tuple[bytes, bytes] | None] = {}
        self._next_round = 0.0
        self._kernel: Conntrack | None = Conntrack(netns)
        try:
            self._events = self._kernel.events(WHERE, buffer_bytes=buffer_bytes, updates=False)
            self._poll = select.poll()
            self._poll.register(self._events.fileno(), select.POLLIN)
            on_deny = self.policy.actions.on_deny
            if "alert" in on_deny and not dry_run:
                self._alerts = Alerts(self.policy.actions, self.metrics)
            if "block" in on_deny and not dry_run:
                self._block = Block(netns)
            if hold is not None:
                hold.open()
            self.look_over()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(keep_closed=kind is not None)

    def close(self, *, keep_closed: bool = False) -> None:
        """End the subscription, and take down what hold has put up. May be called twice.

        Args:
            keep_closed: leave the table of hold: nothing expected gets in until it is released or taken over. So it is
                behind an error, as behind a kill.
        """
        if self._kernel is None:
            return
        self._kernel.close()
        self._kernel = None
        if hasattr(self, "_events"):
            self._events.close()
        if self.hold is not None:
            self.hold.close(keep_closed=keep_closed)
        if self._block is not None:
            self._block.close()
        if self._alerts is not None:
            self._alerts.close()
        self.zones.close()

    @property
    def kernel(self) -> Conntrack:
        """The namespace's connection tracking.

        Raises:
            ClosedError: after `close()`.
        """
        if self._kernel is None:
            raise ClosedError("this guard is closed", hint="make a new one")
        return self._kernel

    # -- what decisions may depend on ----------------------------------------------------------------------------

    def open_of(self, subject: Subject) -> int:
        """See `State`."""
        return self.memory.count(subject)

    def reply_of(self, subject: Subject) -> tuple[bytes, bytes] | None:
        """See `State`: one request to the kernel for each master of a batch."""
        master = (subject.master, subject.zone)
        if master not in self._replies:
            flow = self.master_of(subject)
            src, dst = (flow.reply.src, flow.reply.dst) if flow is not None else (None, None)
            self._replies[master] = None if src is None or dst is None else (src.packed, dst.packed)
        return self._replies[master]

    def master_of(self, subject: Subject) -> _core.Flow | None:
        """The flow that announced it, as the table has it now."""
        fields: dict[str, Any] = {
            "orig_src": show_address(subject.master_src),
            "orig_dst": show_address(subject.master_dst),
            "l4proto": subject.master_protocol,
            "orig_sport": subject.master_sport,
            "orig_dport": subject.master_dport,
        }
        for zone in (subject.zone,) if subject.zone else (0, *self.zones.known):
            try:
                return next(iter(self.kernel.requests.flow("get", {**fields, "zone": zone}).flows()), None)
            except KernelError as error:
                if error.errno != errno.ENOENT:
                    raise
        return None

    # -- the work ------------------------------------------------------------------------------------------------

    def step(self, timeout: float | None = None) -> bool:
        """Wait for something to do, and do it. Was there anything?

        Args:
            timeout: seconds to wait; None for ever.
        """
        waits = [
            one
            for one in (timeout, self.hold and self.hold.wait, self._next_round - time.monotonic())
            if one is not None
        ]
        ready = self._poll.poll(max(0, round(min(waits) * 1000)))
        self.drain()
        if self.hold is not None:
            self.hold.look_after(self.metrics, self.zones)
        if time.monotonic() >= self._next_round:
            self.make_round()
        self.tell_all()
        return bool(ready)

    def make_round(self) -> None:
        """Read the table of expectations: of masters that are older than the guard the kernel sends no events.

        Such a connection has no room for them (nf_ct_ecache_ext_add) unless nf_conntrack_events was 1 when it began.
        """
        for batch in self.kernel.expectations().batches():
            self.batch(batch)
        self._next_round = time.monotonic() + ROUND_SECONDS

    def drain(self) -> None:
        """Deal with all events that have come."""
        for _ in range(BURST):
            batch = self._events.receive(0)
            if batch is None:
                return
            self.batch(batch)
            self.look_for_loss()
            self.tell_all()  # a guard that is behind keeps one batch's decisions, not those of all

    def batch(self, batch: _core.Batch) -> None:
        """Deal with events, or with entries of a table."""
        self._replies.clear()
        denied: list[tuple[int, Decided]] = []
        allowed: list[tuple[Subject, int]] = []
        memory, counts, told, hold = self.memory, self.metrics.counts, self._told, self.hold
        messages: list[tuple[bytes, int]] = []
        for index, kind, received_ns, _id, timeout, _flags, raw in batch.announced():
            subject = Subject._make(raw)
            if kind in ("EXP_NEW", "EXP_ENTRY"):
                if kind == "EXP_ENTRY" and (known := memory.decided(subject)):
                    if known.allowed:
                        allowed.append((subject, timeout))  # it may have got more time without a word
                    elif self._delete:  # it is there still: of a zone that was not known
                        denied.append((index, Decided("expectation", subject, known, "denied", received_ns)))
                    continue
                decision = self.judge.decide(subject)
                memory.note(subject, decision)
                counts["expectations"] += 1
                if decision.allowed:
                    counts["allowed"] += 1
                    allowed.append((subject, timeout))
                    told.append(Decided("expectation", subject, decision, "allowed", received_ns))
                else:
                    counts["denied"] += 1
                    denied.append((index, Decided("expectation", subject, decision, "denied", received_ns)))
            elif kind == "EXP_DESTROY":
                counts["ended"] += 1
                if memory.closed(subject) and hold is not None:
                    self.flush(allowed)
                    messages = messages or batch.messages()  # all rows at once, and only where one is asked for
                    data, _ = messages[index]
                    hold.ended(subject, data[16], data[20:])
            else:
                if hold is not None:
                    hold.came(subject)
                self.related(index, subject, received_ns, denied)
        if hold is not None and denied:
            hold.refuse(self.metrics, [one.subject for _, one in denied])
        self.flush(allowed)
        if denied:
            self.take_back(batch, denied)

    def flush(self, allowed: list[tuple[Subject, int]]) -> None:
        """Tell hold what is approved."""
        if self.hold is not None and allowed:
            self.hold.approve(self.metrics, allowed)
        allowed.clear()

    def related(self, index: int, subject: Subject, received_ns: int, denied: list[tuple[int, Decided]]) -> None:
        """A flow that began because of an expectation: did it slip in before that was deleted?"""
        counts = self.metrics.counts
        counts["related"] += 1
        last = self.memory.last(subject.protocol, subject.src, subject.dst, subject.dport)
        if last is not None and last.subject.master == subject.master:
            known, decision = last
            subject = subject._replace(helper=known.helper)
        else:
            flow = self.master_of(subject)
            if flow is None or not flow.helper:
                counts["related_unknown"] += 1
                return
            subject = subject._replace(helper=flow.helper)
            decision = self.judge.decide(subject)
        if not decision.allowed:
            counts["related_denied"] += 1
            denied.append((index, Decided("flow", subject, decision, "denied", received_ns)))

    def take_back(self, batch: _core.Batch, denied: list[tuple[int, Decided]]) -> None:
        """Delete what is not allowed: one exact request for each, many in one datagram."""
        metrics = self.metrics
        todo = [(at, one) for at, one in denied if (self._delete if one.what == "expectation" else self._delete_flows)]
        if todo:
            requests = self.kernel.requests
            answers = requests.delete_rows(batch, [at for at, _ in todo])
            missing = [
                at for (at, one), answer in zip(todo, answers) if answer == errno.ENOENT and one.what == "expectation"
            ]
            found = self.zones.delete(requests, batch, missing) if missing else ()
            now = _core.now_ns()
            for (at, one), answer in zip(todo, answers):
                one.reaction_ns = max(0, now - one.received_ns)
                metrics.reaction.add(one.reaction_ns)
                prefix = "" if one.what == "expectation" else "related_"
                if answer == 0 or at in found:
                    one.outcome = "deleted"
                    metrics.counts[f"{prefix}deleted"] += 1
                elif answer == errno.ENOENT:
                    one.outcome = "gone"
                    metrics.counts[f"{prefix}gone"] += 1
                else:
                    one.outcome = f"refused: {errno.errorcode.get(answer, answer)}"
                    metrics.counts["not_deleted"] += 1
        elif self.dry_run:
            for _, one in denied:
                one.outcome = f"dry run: {', '.join(self.policy.actions.on_deny)}"
        for _, one in denied:
            self.act(one)
        self._told += [one for _, one in denied]

    def act(self, one: Decided) -> None:
        """Alert, and block the master, where the policy says so."""
        if self._alerts is not None:
            self._alerts.send(one.as_dict())
        if self._block is not None and one.subject.master_src:
            try:
                self._block.add(one.subject.master_src, self.policy.actions.block_seconds)
                self.metrics.add("blocked")
            except KernelError:
                self.metrics.add("not_blocked")

    def tell_all(self) -> None:
        """Hand on what was decided."""
        if self._told:
            told, self._told = self._told, []
            if self._tell is not None:
                self._tell(told)

    def look_over(self) -> None:
        """Decide about all that is in the tables now: expectations, and flows that began because of one."""
        self.make_round()
        for batch in self.kernel.flows("related").batches():
            self.batch(batch)
        self.tell_all()

    def look_for_loss(self) -> None:
        """Where the kernel had to drop events the table says what there is."""
        counters = self._events.counters
        if counters["gaps"] == self.metrics.counts["overruns"]:
            return
        self.metrics.counts["overruns"] = counters["gaps"]
        self.metrics.counts["lost"] = counters["lost"]
        self.memory.clear()
        self.look_over()
