"""`Flows`, `Expectations`, `Events`: rows as they come, as objects, batches or Arrow columns.

One implementation for `for` and `async for`: the blocking reader, awaited on its descriptor or in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from conntap import _core
from conntap.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

__all__ = ["Events", "Expectations", "Flows", "Table"]

RowT = TypeVar("RowT")


class Table(Generic[RowT]):
    """A table of the kernel or of a recording. Each iteration reads it anew.

    Attributes:
        counters: of the last reading: rows kept, filtered here, malformed by cause.
        interrupted: the kernel said that the last reading is not to be relied upon.
    """

    __slots__ = ("_start", "counters", "interrupted")

    def __init__(self, start: Callable[[], _core.Dump]) -> None:
        self._start = start
        self.counters: dict[str, int] = {}
        self.interrupted = False

    def batches(self) -> Iterator[_core.Batch]:
        """Read the table as batches of some thousand rows."""
        dump = self._start()
        try:
            yield from dump
        finally:
            self.counters = dump.counters
            self.interrupted = dump.interrupted

    def _rows(self, batch: _core.Batch) -> Iterator[RowT]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[RowT]:
        for batch in self.batches():
            yield from self._rows(batch)

    async def __aiter__(self) -> AsyncIterator[RowT]:
        import asyncio  # here and below: reading a table in a command needs no event loop

        batches = self.batches()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            for row in self._rows(batch):
                yield row

    def arrow(self) -> _core.ArrowTable:
        """Read the table into Arrow columns (docs/fields.md).

        The result has `__arrow_c_stream__`: polars.DataFrame(x), pyarrow.table(x), pandas and duckdb take it.
        """
        columns = _core.ColumnsBuilder()
        for batch in self.batches():
            columns.append(batch)
        return columns.finish()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def count(self) -> int:
        """Read the table and return the number of rows."""
        return sum(len(batch) for batch in self.batches())


class Flows(Table[_core.Flow]):
    """The flow table, or the part of it that a filter selects."""

    __slots__ = ()

    def _rows(self, batch: _core.Batch) -> Iterator[_core.Flow]:
        return batch.flows()


class Expectations(Table[_core.Expectation]):
    """The expectation table, or the part of it that a filter selects."""

    __slots__ = ()

    def _rows(self, batch: _core.Batch) -> Iterator[_core.Expectation]:
        return batch.expectations()


class Events:
    """Events from the moment of subscription on, until closed.

    `for event in events` blocks; `async for` waits on the event loop; `receive` gives batches.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: _core.Listener) -> None:
        self._listener: _core.Listener | None = listener

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the subscription; iteration ends too."""
        self._listener = None

    @property
    def listener(self) -> _core.Listener:
        """The event socket.

        Raises:
            ClosedError: after `close()`.
        """
        if self._listener is None:
            raise ClosedError("these events are closed", hint="subscribe anew: Conntrack.events()")
        return self._listener

    @property
    def counters(self) -> dict[str, int]:
        """Rows kept and every loss by name: docs/commands.md has the list."""
        return self.listener.counters

    def fileno(self) -> int:
        """The socket's descriptor, for select and friends."""
        return self.listener.fileno()

    def receive(self, timeout: float | None = None) -> _core.Batch | None:
        """Wait for events and return those that have come.

        Args:
            timeout: seconds to wait for a first one; None for ever, 0 not at all.

        Returns:
            A batch with at least one row; None when nothing (or nothing that the filter wants) came in time.
        """
        return self.listener.receive(None if timeout is None else max(0, round(timeout * 1000)))

    def batches(self) -> Iterator[_core.Batch]:
        """Batches without end, until `close()`."""
        while self._listener is not None:
            batch = self._listener.receive(500)
            if batch is not None:
                yield batch

    def __iter__(self) -> Iterator[_core.Event]:
        for batch in self.batches():
            yield from batch.events()

    async def __aiter__(self) -> AsyncIterator[_core.Event]:
        import asyncio

        loop = asyncio.get_running_loop()
        while self._listener is not None:
            readable = asyncio.Event()
            loop.add_reader(self._listener.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self._listener.fileno())
            batch = self._listener.receive(0)
            if batch is not None:
                for event in batch.events():
                    yield event
