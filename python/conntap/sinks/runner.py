"""Runs a sink: a thread, a queue, a filter, a spool; holds back when it must and comes again when it can."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from conntap.errors import ConntapError
from conntap.sinks.base import SinkUnavailableError
from conntap.sinks.spool import Spool

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from conntap import _core
    from conntap.sinks.base import Sink

__all__ = ["Runner"]

#: Bytes of records that wait in memory for a sink that is slow, before the source is held back (or the disk is used).
QUEUE_BYTES = 64 << 20
#: Seconds between tries to reach a receiver that is away: doubled up to the last.
FIRST_PAUSE, LAST_PAUSE = 0.2, 10.0
#: How long the start waits for a receiver to answer.
OPEN_SECONDS = 2.0
#: Batches that are handed on before the clock is looked at.
AT_ONCE = 32
#: Seconds between ticks of a sink.
TICK_SECONDS = 0.25
#: A sink that nobody asks is flushed so often, so that its receipt follows.
FLUSH_SECONDS = 5.0


class Runner:
    """One sink at work.

    Attributes:
        sink: what it runs.
        receipt: every record up to this number is durable at the receiver (or refused by the filter).
        safe: every record up to this number is durable there or in the spool.
        away: why the receiver cannot be reached, "" while it can.
        failure: the error that ended the sink for good.
        counters: offered, filtered, taken, spooled, not_sent …, and the sink's own.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        where: _core.Filter | None = None,
        state: str | os.PathLike[str] | None = None,
        spool_bytes: int = 1 << 30,
        queue_bytes: int = QUEUE_BYTES,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        """Prepare to run *sink*.

        Args:
            sink: not yet opened.
            where: which records it gets; gaps it gets always.
            state: directory for spool and receipt; None: nothing is spilled, a receiver that is away holds all up.
            spool_bytes: most that is spilled; then the source is held back.
            queue_bytes: most that waits in memory.
            flush_seconds: how often what was written is made durable without being asked.
        """
        self.sink = sink
        self.receipt = self.safe = 0
        self.away = ""
        self.failure: ConntapError | None = None
        self.counters: dict[str, int] = {"offered": 0, "filtered": 0, "taken": 0, "spooled": 0, "offered_again": 0}
        self._where = where
        self._spool_bytes, self._queue_bytes = spool_bytes, queue_bytes
        self._flush_seconds = flush_seconds
        self._home: Path | None = None
        self._spool: Spool | None = None
        if state is not None:
            self._home = Path(state) / hashlib.sha256(sink.target.encode()).hexdigest()[:12]
            self._spool = Spool(self._home / "spool")
        self._changed = threading.Condition()
        self._queue: deque[_core.Batch] = deque()
        self._queued = 0
        self._seen = 0  # number of the last record offered
        self._written = 0  # … of the last one that the sink has, flushed or not
        self._unflushed: list[_core.Batch] = []
        self._wanted_safe = 0
        self._begins_ns: int | None = None
        self._stopping = False
        self._patience = 0.0
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.target}", daemon=True)

    def start(self) -> None:
        """Open the sink and begin. A receiver that takes its time to answer is not waited for.

        Raises:
            ConntapError: it can never work (a wrong address, say). One that is away now is waited for.
        """
        self.receipt = self._written = self._load()
        self._thread.start()
        self._opened.wait(None if self.sink.keeps else OPEN_SECONDS)
        if self.failure is not None:
            self._thread.join()
            raise self.failure
        self.safe = max(self.receipt, self._spool.last_seq if self._spool else 0)
        self._seen = self.safe

    def begins(self, at_ns: int) -> None:
        """Let the sink know from when on the source tells, before any record."""
        with self._changed:
            self._begins_ns = at_ns

    def offer(self, records: _core.Batch, *, timeout: float | None = None) -> bool:
        """Give it records; waits while the queue is full.

        Records that it knows to be durable already (after a crash all are told again) are left out.

        Args:
            records: with higher numbers than any before, or the same ones again.
            timeout: seconds to wait for room; None until there is some.

        Returns:
            False when there was no room in time, or the sink has failed: they are not taken.
        """
        last = records.last_seq
        if last <= self._seen:
            return True
        if records.first_seq <= self._seen:
            records = records.after(self._seen)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._queued >= self._queue_bytes and self.failure is None:
                if deadline is not None and time.monotonic() >= deadline:
                    return False
                self._changed.wait(0.1)
            if self.failure is not None:
                return False
            self._queue.append(records)
            self._queued += records.nbytes
            self._seen = last
            self.counters["offered"] += len(records)
            self._changed.notify_all()
        return True

    @property
    def backlog(self) -> int:
        """Records that wait, in memory."""
        return sum(len(batch) for batch in list(self._queue))

    @property
    def spooled_bytes(self) -> int:
        """Bytes that wait on disk."""
        return self._spool.nbytes if self._spool else 0

    def ask(self) -> None:
        """Make safe what was offered so far as soon as possible; `safe` will say so."""
        with self._changed:
            self._wanted_safe = self._seen
            self._changed.notify_all()

    def end(self, patience: float = 10.0) -> None:
        """Begin to stop: hand on what waits, spill what cannot be handed on, close the sink. `stop` waits for it.

        Args:
            patience: seconds to try; what is then neither sent nor spilled is counted as `not_sent`.
        """
        with self._changed:
            self._stopping = True
            self._patience = time.monotonic() + patience
            self._wanted_safe = self._seen
            self._changed.notify_all()

    def stop(self, patience: float = 10.0) -> None:
        """`end`, and wait until the sink is closed."""
        if not self._stopping:
            self.end(patience)
        if self._thread.is_alive():
            self._thread.join()
        self.counters["not_sent"] = sum(len(batch) for batch in self._queue) + sum(map(len, self._unflushed))

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_PAUSE
        next_try = 0.0
        flushed = ticked = time.monotonic()
        try:
            self._open_first()
            while True:
                now = time.monotonic()
                if self.away and now >= next_try:
                    if self._reopen():
                        pause = FIRST_PAUSE
                    else:
                        next_try, pause = now + pause, min(2 * pause, LAST_PAUSE)
                self._work()
                wanted = self.safe < self._wanted_safe <= self._written
                # One that keeps what it has taken says itself when that is durable.
                due = now - flushed >= self._flush_seconds and not self.sink.keeps
                if not self.away and (wanted or due):
                    self._flush()
                    flushed = now
                if now - ticked >= TICK_SECONDS and not self.away:
                    self._guarded(lambda: self.sink.tick(time.time_ns()))
                    ticked = now
                    if self.sink.keeps and self.sink.durable > self.receipt:
                        self.receipt = self.sink.durable
                        self.safe = max(self.safe, self.receipt)
                with self._changed:
                    if self._stopping and (self._is_done() or time.monotonic() > self._patience):
                        break
                    if not self._queue or self.away:
                        self._changed.wait(0.05 if self._stopping else TICK_SECONDS)
        except ConntapError as error:
            self.failure = error
        except OSError as error:
            self.failure = ConntapError(f"{self.sink.target}: {error.strerror}")
        except Exception as error:  # noqa: BLE001 -- a fault of ours must end the logger too, not its thread alone
            self.failure = ConntapError(f"{self.sink.target}: this is a bug: {type(error).__name__}: {error}")
            self.failure.__cause__ = error
        finally:
            self._opened.set()
            self._spill()
            self.sink.close()
            if self._spool is not None:
                self._spool.close()
            self._save()
            with self._changed:
                self._changed.notify_all()

    def _open_first(self) -> None:
        try:
            known = self.sink.open()
            if not self._opened.is_set():  # nobody has counted on another number yet
                self.receipt = self._written = max(self.receipt, known)
        except SinkUnavailableError as error:
            self.away = str(error) or "unavailable"
        self._opened.set()

    def _is_done(self) -> bool:
        return not self._queue and not self._unflushed and (self.safe >= self._seen)

    def _work(self) -> None:
        """Hand on what waits: first what is on disk."""
        if self.away:
            self._spill()
            return
        if self._spool:
            self._unspool()
            if self.away:
                return
        for _ in range(AT_ONCE):
            if not self._queue:
                return
            batch = self._queue[0]
            if not self._hand_on(batch):
                return
            with self._changed:
                self._queue.popleft()
                self._queued -= batch.nbytes
                self._changed.notify_all()

    def _hand_on(self, batch: _core.Batch) -> bool:
        wanted = batch if self._where is None else batch.filter(self._where)
        refused = len(batch) - len(wanted)
        if not self._guarded(lambda: self._give(wanted, refused, batch.last_seq)):
            return False
        self.counters["filtered"] += refused
        self.counters["taken"] += len(wanted)
        self._written = max(self._written, batch.last_seq)
        if self.sink.keeps:
            self.receipt = max(self.receipt, self.sink.durable)
        else:
            self._unflushed.append(batch)
        return True

    def _give(self, wanted: _core.Batch, refused: int, last_seq: int) -> None:
        if self._begins_ns is not None:
            self.sink.begins(self._begins_ns)
            self._begins_ns = None
        if len(wanted):
            self.sink.write(wanted)
        if refused:
            self.sink.note_filtered(refused, last_seq)

    def _guarded(self, act: Callable[[], None]) -> bool:
        """Do something with the sink; note it where the receiver is away."""
        try:
            act()
        except SinkUnavailableError as error:
            self.away = str(error) or "unavailable"
            return False
        return True

    def _flush(self) -> None:
        if self._written > self.receipt or self._unflushed:
            if not self._guarded(self.sink.flush):
                self._take_back()
                return
            self._unflushed.clear()
            self.receipt = self._written
            self._save()
        self.safe = max(self.safe, self.receipt)

    def _take_back(self) -> None:
        """What was not flushed is offered again."""
        if self.sink.keeps:
            return
        with self._changed:
            for batch in reversed(self._unflushed):
                self._queue.appendleft(batch)
                self._queued += batch.nbytes
                self.counters["offered_again"] += len(batch)
            self._unflushed.clear()
            self._written = self.receipt

    def _reopen(self) -> bool:
        try:
            self.sink.open()
        except SinkUnavailableError as error:
            self.away = str(error) or "unavailable"
            return False
        self._take_back()
        self.away = ""
        return True

    def _spill(self) -> None:
        """Put what waits on disk, as far as there may be room."""
        if self._spool is None:
            return
        if self.away or self._stopping:
            self._take_back()
        try:
            while self._queue and self._spool.nbytes < self._spool_bytes:
                batch = self._queue[0]
                self._spool.put(batch)
                self.counters["spooled"] += len(batch)
                with self._changed:
                    self._queue.popleft()
                    self._queued -= batch.nbytes
                    self._changed.notify_all()
            self._spool.sync()
        except OSError as error:
            self.away = f"{self.away}; and no room to spill: {error.strerror}"
            return
        if not self._queue:
            self.safe = max(self.safe, self._spool.last_seq, self.receipt)

    def _unspool(self) -> None:
        """Hand on what is on disk, file by file; a file goes when its records are flushed."""
        assert self._spool is not None
        while self._spool:
            path, batches = self._spool.first()
            for batch in batches:
                fresh = batch.after(self.receipt) if batch.first_seq <= self.receipt else batch
                if len(fresh) and not self._hand_on(fresh):
                    break
            # What the spool holds need not be taken back into memory: the file stays until it is flushed.
            if self.away or not self._guarded(self.sink.flush):
                self._unflushed.clear()
                self._written = self.receipt
                return
            self._unflushed.clear()
            self.receipt = max(self.receipt, self._written)
            self._save()
            self._spool.drop(path)

    # -- what it knows across runs ---------------------------------------------------------------------------

    def _load(self) -> int:
        if self._home is None:
            return 0
        try:
            return int(json.loads((self._home / "receipt.json").read_text())["receipt"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            return 0  # torn: records come again, none is lost

    def _save(self) -> None:
        if self._home is None:
            return
        beside = self._home / "receipt.json.new"
        try:
            beside.write_text(json.dumps({"target": self.sink.target, "receipt": self.receipt}))
            beside.rename(self._home / "receipt.json")
        except OSError:
            return  # no room: records come again after a crash, none is lost
