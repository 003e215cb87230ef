"""Records and sinks for tests: batches with numbers, and a sink whose receiver can go away."""

from __future__ import annotations

from pathlib import Path

import conntap
from conntap import _core
from conntap.sinks.base import SinkUnavailableError

SAMPLES = Path(__file__).resolve().parent / "data/recordings/samples.pcapng"


def events() -> list[_core.Batch]:
    """The events of the recorded samples."""
    return list(conntap.replay(SAMPLES).batches())


def made(ledger: _core.Ledger | None = None, *, rounds: int = 1, bindings: str = "all") -> list[_core.Batch]:
    """Batches of records, numbered from 1 on."""
    ledger = _core.Ledger(bindings=bindings) if ledger is None else ledger
    return [records for _ in range(rounds) for batch in events() if len(records := ledger.feed(batch))]


def numbers(batches: list[_core.Batch]) -> list[int]:
    """The numbers of records."""
    return [row.flow.record.seq if row.flow else row.gap.seq for batch in batches for row in batch.events()]


class Receiver:
    """Where a sink's records arrive; outlives the sink, as a disk or another machine does."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.durable = 0
        self.away = False
        self.loses_unflushed = False


class FakeSink:
    """A sink that tells nothing of its own."""

    target = "fake:"
    keeps = False
    durable = 0

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.counters: dict[str, int] = {}
        self.filtered = 0
        self.opened = self.closed = 0
        self._unflushed: list[int] = []

    def _reach(self) -> None:
        if self.receiver.away:
            if self.receiver.loses_unflushed:
                self._unflushed.clear()
            raise SinkUnavailableError("the receiver is away")

    def open(self) -> int:
        self._reach()
        self.opened += 1
        return 0

    def write(self, records: _core.Batch) -> None:
        self._reach()
        self._unflushed += numbers([records])

    def note_filtered(self, count: int, last_seq: int) -> None:
        self.filtered += count

    def flush(self) -> None:
        self._reach()
        self.receiver.got += self._unflushed
        self._unflushed.clear()

    def tick(self, now_ns: int) -> None:
        self._reach()

    def close(self) -> None:
        if not self.receiver.away:
            self.flush()
        self.closed += 1


def every_kind() -> list[_core.Batch]:
    """Batches that hold each kind of record: FLOW, BINDING, INTERIM, and gaps among them."""
    ledger = _core.Ledger(bindings="all")
    entry = (SAMPLES.parent.parent / "ctnetlink/dump_tcp_nat.bin").read_bytes()
    batches = [ledger.dump(_core.Batch.of([(entry, time)]), 2 * 10**18) for time in (10**18, 10**18 + 1)]
    batches += [ledger.feed(batch) for batch in events()]
    batches += [ledger.feed(_core.Batch.gap(cause, 10**18, 10**18 + 5, 3)) for cause in ("overrun", "restart", "clock")]
    return [batch for batch in batches if len(batch)]
