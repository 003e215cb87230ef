"""Sources of a logger: the live kernel, files, an interface. All give batches of events; the kernel also its table.

What they have in common is `Source`; a logger treats them alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap import _core
    from conntap.filter import Filter
    from conntap.interface import Interface
    from conntap.kernel import Conntrack
    from conntap.rows import Rows
    from conntap.streams import Events

__all__ = ["FileSource", "InterfaceSource", "KernelSource", "Source"]


#: A log need not have an event at once: fewer looks cost less. What gathers is lost if the logger dies, as a gap.
GATHER_MS = 100


class Source(Protocol):
    """Gives events.

    Attributes:
        live: time goes by while nothing comes, and what is not received now is lost.
        ended: there will be no more.
    """

    live: bool
    ended: bool

    def receive(self, timeout: float) -> _core.Batch | None:
        """Wait up to *timeout* seconds for rows; None when none came."""
        ...

    def dump(self) -> Iterator[_core.Batch] | None:
        """Read the table as it is now; None where there is none."""
        ...

    @property
    def counters(self) -> dict[str, int]:
        """Rows and losses by name."""
        ...

    def close(self) -> None: ...


class KernelSource:
    """Events and tables of a network namespace."""

    live = True
    ended = False

    def __init__(
        self,
        conntrack: Conntrack,
        where: Filter | None,
        *,
        reliable: bool = True,
        buffer_bytes: int = 128 << 20,
        updates: bool = False,
    ) -> None:
        """Subscribe.

        Args:
            conntrack: of the namespace.
            where: which flows; the kernel refuses the others where it can.
            reliable: ends that did not fit come again (NETLINK_BROADCAST_ERROR).
            buffer_bytes: receive buffer to ask for.
            updates: also changes between beginning and end; a record needs none.
        """
        self._conntrack = conntrack
        self._where = where
        self._seen: dict[str, int] | None = None
        self.events: Events = conntrack.events(
            where or "",
            expectations=False,
            updates=updates,
            reliable=reliable,
            buffer_bytes=buffer_bytes,
            gather_ms=GATHER_MS,
        )

    def receive(self, timeout: float) -> _core.Batch | None:
        """Wait for events."""
        return self.events.receive(timeout)

    def dump(self) -> Iterator[_core.Batch]:
        """Read the table; anew where the kernel says that it changed under the walk (it grew, say)."""
        for _ in range(3):
            flows = self._conntrack.flows(self._where or "")
            yield from flows.batches()
            if not flows.interrupted:
                return

    @property
    def counters(self) -> dict[str, int]:
        """Events received and lost; they can be read after `close`, too."""
        return self.events.counters if self._seen is None else self._seen

    def close(self) -> None:
        """End the subscription."""
        self._seen = self.counters
        self.events.close()
        self._conntrack.close()


class FileSource:
    """A recording, or packets through the engine."""

    live = False

    def __init__(self, opened: Rows, where: Filter | None) -> None:
        self.ended = False
        self._opened = opened
        self._batches = opened.batches(where or "")

    def receive(self, timeout: float) -> _core.Batch | None:
        """Read the next part."""
        batch = next(self._batches, None)
        self.ended = batch is None
        return batch

    def dump(self) -> None:
        """There is no table beside the file."""
        return

    @property
    def counters(self) -> dict[str, int]:
        """Of the reading so far; complete at the end."""
        return getattr(self._opened, "counters", {})

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()


class InterfaceSource:
    """An interface's packets through the engine."""

    live = True
    ended = False

    def __init__(self, packets: Interface, where: Filter | None, *, went_down: Callable[[], None]) -> None:
        """Take an open interface; *went_down* is called where it goes down."""
        self._packets, self._where, self._went_down = packets, where, went_down
        self._downs = 0

    def receive(self, timeout: float) -> _core.Batch | None:
        """Wait for packets."""
        batch = self._packets.receive(timeout, self._where or "")
        if self._packets.downs > self._downs:
            self._downs = self._packets.downs
            self._went_down()
        return batch

    def dump(self) -> Iterator[_core.Batch]:
        """The engine's table."""
        yield self._packets.tracker.flows()

    @property
    def counters(self) -> dict[str, int]:
        """Frames, rows and losses."""
        return self._packets.counters

    def close(self) -> None:
        """Stop capturing."""
        self._packets.close()
