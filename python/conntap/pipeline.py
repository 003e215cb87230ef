"""The logger: a source, a ledger, sinks. What comes is journaled, joined, and handed on; what is not known is said.

A pass of the loop takes what the source has, writes it to the journal, feeds it to the ledger and offers the records
to every sink. Beside that the clock is watched, the table is compared with a dump after every loss (and for interim
records), and now and then a new epoch of the journal begins.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conntap import _core
from conntap.errors import ConntapError
from conntap.journal import Epoch, Journal, open_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conntap.journal import Recovered
    from conntap.sinks.runner import Runner
    from conntap.sources import Source

__all__ = ["Pipeline", "Settings", "boot_id"]

#: How long one wait for events lasts at most, seconds.
WAIT_SECONDS = 0.2
#: The clock was set when wall and monotonic time part by more than this; slewing stays far below.
CLOCK_STEP_NS = 500_000_000
#: At least so long between two comparisons with a dump, seconds.
RECONCILE_SECONDS = 2.0
#: How often the table is compared without a loss: flows from before the logger may end without a word.
AUDIT_SECONDS = 600.0
#: Rows at the end of a batch that are asked up to when all is told.
LAST_ROWS = 64
#: How long the logger is held up before it looks around, seconds.
HELD_UP_SECONDS = 0.5
#: A dump that runs behind the events gives up waiting for an empty queue after so many batches.
CATCH_UP = 200


@dataclass(frozen=True)
class Settings:
    """What a logger is told.

    Attributes:
        bindings: for which flows beginnings are recorded: none, nat, all.
        interim_seconds: interval of interim records of long flows; None for none.
        grace_ns: how long a late end is waited for.
        where: the source's filter, as text.
        sync_seconds: how often the journal is made durable: what a power cut can lose.
        epoch_seconds: how often a new epoch begins …
        epoch_bytes: … and at which size.
        seed_text: what makes flow ids differ from those of other loggers.
    """

    bindings: str = "none"
    interim_seconds: float | None = None
    grace_ns: int = 5_000_000_000
    where: str = ""
    sync_seconds: float = 0.2
    epoch_seconds: float = 300.0
    epoch_bytes: int = 1 << 30
    seed_text: str = ""


def boot_id() -> str:
    """Return the kernel's boot id, "" where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def seed_of(text: str) -> tuple[int, int]:
    """Make the seed of flow ids."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


@dataclass
class Progress:
    """What a logger has done so far.

    Attributes:
        flows: records of ended flows.
        received_ns: when the last event was received.
        reconciled: comparisons with a dump.
        stalls: times that a full disk or a full sink held everything up.
    """

    flows: int = 0
    received_ns: int = 0
    reconciled: int = 0
    stalls: int = 0


class Pipeline:
    """A logger.

    Attributes:
        ledger: the stage.
        progress: what has been done.
    """

    def __init__(
        self,
        source: Source,
        runners: Sequence[Runner],
        settings: Settings | None = None,
        *,
        journal: Journal | None = None,
        continued: bool = False,
        say: Callable[[str], None] = lambda _: None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            source: of events.
            runners: of the sinks.
            settings: what the ledger is told.
            journal: where events are kept until the sinks have them; None where the source can be read again.
            continued: the source is that of the pipeline that just stopped: nothing was missed in between.
            say: hears what a person should know.
            alive: called now and then while something holds the logger up.
        """
        self._alive = alive
        self.source, self.runners, self.settings, self.journal = source, list(runners), settings or Settings(), journal
        self.progress = Progress()
        self._say = say
        self._continued = continued
        self._boot = boot_id()
        seed = seed_of(f"{self._boot} {self.settings.seed_text}")
        self.ledger = _core.Ledger(seed=seed, bindings=self.settings.bindings, grace_ns=self.settings.grace_ns)
        self._seed = seed
        #: Set where nobody is to wait any more: for room on the disk, or in a sink.
        self.hurry = threading.Event()
        self._left: set[Runner] = set()
        self._finished_rows = False  # records are journaled, not events
        self._lost_after_ns: int | None = None
        self._until_ns = 0  # what happened up to then has been taken, or is told as a gap
        self._reconcile_at: float | None = None
        self._epoch_at = 0.0
        self._audit_at = time.monotonic() + AUDIT_SECONDS
        self._interim_at: float | None = None
        self._synced = 0.0
        self._ticked = 0.0
        self._wall_ahead_ns = time.time_ns() - time.monotonic_ns()

    # -- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the sinks, take over what an earlier run left, and compare with the table.

        Raises:
            ConntapError: a sink can never work, or the journal is damaged.
        """
        began_ns = time.time_ns()
        if self.source.live:
            self._until_ns = began_ns
        try:
            for runner in self.runners:
                runner.start()
        except BaseException:
            self._stop_runners(0.0)
            raise
        recovered = self.journal.recover() if self.journal is not None else None
        if recovered is not None:
            self._take_over(recovered, began_ns)
        else:
            # A sink that has records already goes on behind them.
            self._new_ledger(max((runner.receipt for runner in self.runners), default=0))
            self._begin_epoch()
        if self.source.live and not self._continued:
            self.reconcile(after_ns=self._lost_after_ns or began_ns, interim=False)
        now = time.monotonic()
        if self.settings.interim_seconds is not None:
            self._interim_at = now + self.settings.interim_seconds

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set or the source has ended; errors as for `step`."""
        while not stop.is_set() and self.step(WAIT_SECONDS):
            pass

    def step(self, timeout: float) -> bool:
        """One pass; False when the source has ended.

        Raises:
            ConntapError: the source has failed, or a sink has for good.
        """
        self.check()
        batch = self.source.receive(timeout)
        self._watch_clock()
        if batch is not None:
            self._take(batch)
        elif self.source.ended:
            return False
        now = time.monotonic()
        if self.ledger.waits and now - self._ticked >= 1.0:
            self._ticked = now
            stamp = time.time_ns()
            self._take(_core.Batch.gap("tick", stamp, stamp))
        if self.journal is not None:
            if now - self._synced >= self.settings.sync_seconds:
                self._synced = now
                self._guard_disk(self.journal.sync)
            self._drop_epochs(self.journal)
            if now >= self._epoch_at or self.journal.nbytes >= self.settings.epoch_bytes:
                self._begin_epoch()
        if self._reconcile_at is not None and now >= self._reconcile_at:
            self.reconcile(after_ns=self._lost_after_ns or 0, interim=False)
        if self._interim_at is not None and now >= self._interim_at:
            self._interim_at = now + (self.settings.interim_seconds or 0)
            self.reconcile(after_ns=0, interim=True)
        if now >= self._audit_at:
            self.reconcile(after_ns=0, interim=False)
        return True

    def stop(self, patience: float = 10.0, *, keep_source: bool = False) -> None:
        """Take what the source still has, make everything durable, and close.

        Args:
            patience: seconds that sinks may take; what they could not send is in their spool or the journal.
            keep_source: another pipeline goes on with it.
        """
        self.hurry.set()
        try:
            if self.source.live and not keep_source:
                for _ in range(CATCH_UP):
                    batch = self.source.receive(0)
                    if batch is None:
                        break
                    self._take(batch)
            if self.journal is not None:
                self._begin_epoch()
        finally:
            self._stop_runners(patience)
            if self.journal is not None:
                self._drop_epochs(self.journal)
                self.journal.close()
            if not keep_source:
                self.source.close()

    def check(self) -> None:
        """Say at once that a sink has failed for good.

        Raises:
            ConntapError: its failure.
        """
        for runner in self.runners:
            if runner.failure is not None:
                raise runner.failure

    def _drop_epochs(self, journal: Journal) -> None:
        """Forget what every sink has made durable."""
        journal.drop_before(min((runner.receipt for runner in self.runners), default=0))

    def _stop_runners(self, patience: float) -> None:
        for runner in self.runners:
            runner.end(patience)  # all at once: their patience runs side by side
        for runner in self.runners:
            runner.stop()

    # -- rows ------------------------------------------------------------------------------------------------

    def _take(self, batch: _core.Batch) -> None:
        """Journal events, make records of them, hand these on."""
        if not self.source.live and not self.progress.received_ns:
            for runner in self.runners:
                runner.begins(batch.first_received_ns)
        if self.journal is not None and not self._finished_rows:
            journal = self.journal
            self._guard_disk(lambda: journal.write(batch))
        records = self.ledger.feed(batch)
        self._until_ns = batch.until(self._until_ns, LAST_ROWS)
        self.progress.received_ns = batch.last_received_ns or self.progress.received_ns
        self._hand_on(records)
        if any(kind == "GAP" for kind, _ in batch.kinds()):
            self._note_gaps(batch)

    def _hand_on(self, records: _core.Batch) -> None:
        if not len(records):
            return
        if self.journal is not None and self._finished_rows and self.journal.nbytes:
            journal = self.journal
            self._guard_disk(lambda: journal.write(records))
        self.progress.flows += sum(count for kind, count in records.kinds() if kind == "FLOW")
        for runner in self.runners:
            self._offer(runner, records)

    def _offer(self, runner: Runner, records: _core.Batch) -> None:
        """Give a sink its records, held up as long as it has no room.

        One that was left without some gets no later ones either: what it lacks stays in the journal as a whole.
        """
        while runner not in self._left and not runner.offer(records, timeout=HELD_UP_SECONDS):
            self._alive()
            if runner.failure is not None or self.hurry.is_set():
                self._left.add(runner)
        if runner in self._left:
            runner.counters["left"] = runner.counters.get("left", 0) + len(records)

    def _note_gaps(self, batch: _core.Batch) -> None:
        """After a loss the table must be compared."""
        if not self.source.live:
            return
        for event in batch.events():
            gap = event.gap
            if gap is not None and gap.cause == "overrun":
                self._lost_after_ns = min(self._lost_after_ns or gap.after_ns, gap.after_ns)
                self._reconcile_at = self._reconcile_at or time.monotonic() + RECONCILE_SECONDS

    def _guard_disk(self, act: Callable[[], None]) -> None:
        """Do something with the journal; wait while there is no room, for nothing may be lost."""
        told = False
        while True:
            try:
                act()
                return
            except OSError as error:
                if self.hurry.is_set():
                    raise ConntapError(f"the journal cannot be written: {error.strerror}") from error
                if not told:
                    self.progress.stalls += 1
                    self._say(f"the journal cannot be written ({error.strerror}): waiting; the kernel holds the events")
                    told = True
                self._alive()
                time.sleep(HELD_UP_SECONDS)

    # -- clock, dumps, epochs --------------------------------------------------------------------------------

    def _watch_clock(self) -> None:
        """A clock that was set is a gap of its own: what was before and behind cannot be compared."""
        if not self.source.live:
            return
        ahead = time.time_ns() - time.monotonic_ns()
        step = ahead - self._wall_ahead_ns
        if abs(step) >= CLOCK_STEP_NS:
            now = time.time_ns()
            self._say(f"the clock was set {'forward' if step > 0 else 'back'} by {abs(step) / 1e9:.1f} s")
            self._wall_ahead_ns = ahead
            self._take(_core.Batch.gap("clock", now - step, now, 0))

    def reconcile(self, *, after_ns: int, interim: bool) -> None:
        """Compare with a dump of the table: what is gone unseen is told, what was not known is found.

        Args:
            after_ns: up to here no end can have been missed.
            interim: also make interim records of flows that have had none for the interval.
        """
        began_ns = time.time_ns()
        parts = self.source.dump()
        self._reconcile_at = self._lost_after_ns = None
        self._audit_at = time.monotonic() + AUDIT_SECONDS
        if parts is None:
            return
        before = None
        if interim and self.settings.interim_seconds is not None:
            before = began_ns - int(self.settings.interim_seconds * 1e9)
        self._finished_rows = True
        try:
            self.ledger.begin_dump(began_ns)
            for part in parts:
                self._hand_on(self.ledger.dump(part, before))
                self._catch_up(1)
            self._catch_up(CATCH_UP)
            self._hand_on(self.ledger.end_dump(after_ns, began_ns))
        finally:
            self._finished_rows = False
        self.progress.reconciled += 1
        self._begin_epoch()

    def _catch_up(self, batches: int) -> None:
        """Take the events that came meanwhile."""
        for _ in range(batches):
            batch = self.source.receive(0)
            if batch is None:
                return
            self._take(batch)

    def _begin_epoch(self) -> None:
        """Begin a new epoch of the journal, and ask the sinks to make durable what belongs to the old ones."""
        self._epoch_at = time.monotonic() + self.settings.epoch_seconds
        if self.journal is None:
            return
        journal = self.journal
        self._finished_rows = True
        self._hand_on(self.ledger.close_epoch())
        self._finished_rows = False
        epoch = Epoch(
            seq=self.ledger.seq,
            seed=self._seed,
            bindings=self.settings.bindings,
            grace_ns=self.settings.grace_ns,
            where=self.settings.where,
            boot_id=self._boot,
            began_ns=time.time_ns(),
            until_ns=self._until_ns,
        )
        self._guard_disk(lambda: journal.begin(epoch, open_rows(self.ledger)))
        for runner in self.runners:
            runner.ask()

    def _new_ledger(self, seq: int) -> None:
        settings = self.settings
        self.ledger = _core.Ledger(seed=self._seed, bindings=settings.bindings, grace_ns=settings.grace_ns, seq=seq)

    def _take_over(self, recovered: Recovered, began_ns: int) -> None:
        """Go on where an earlier run ended: its records are told again to sinks that lack them."""
        for fault in recovered.faults:
            self._say(f"journal: {fault}")
        for records in recovered.records:
            for runner in self.runners:
                self._offer(runner, records)
        ahead = max((runner.receipt for runner in self.runners), default=0)
        self._new_ledger(max(recovered.seq, ahead))
        for rows in recovered.open:
            self.ledger.feed(rows)
        # Before the clock was set back, or not quite in order: no gap begins too late.
        until_ns = self._until_ns = min(recovered.until_ns - _core.DISORDER_NS, began_ns)
        self._begin_epoch()
        if recovered.faults:
            self._take(_core.Batch.gap("damage", min(recovered.last.began_ns, until_ns), until_ns))
        if self.source.live and not self._continued:
            # What had been received but not journaled is as if it had not been received.
            self._take(_core.Batch.gap("restart", until_ns, began_ns))
            self._lost_after_ns = until_ns - self.settings.grace_ns
