"""An interface's packets as a source, live: captured, run through the userspace engine, to the kernel's events.

with Interface("eth0", netns="gateway") as packets:
    for event in packets.events("new, destroy"):
        ...
"""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import ClosedError, KernelError, UsageError
from conntap.filter import as_filter
from conntap.netns import NetNs, path_of
from conntap.tracker import COUNTED, Setup, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.filter import Filter

__all__ = ["Interface"]

#: How long a packet may lie in the ring before it is seen; so far the clock stays behind while none comes.
RING_DELAY_NS: Final = 1_000_000_000
#: One wait for packets, where nobody says how long.
WAIT_MS: Final = 500


class Interface:
    """An interface's packets, live, through the engine. Needs CAP_NET_RAW in the namespace.

    Attributes:
        tracker: the table.
        downs: how often the interface went down; its packets are waited for all the same.
    """

    __slots__ = ("_capture", "_refused", "_rows", "_seen", "downs", "tracker")

    def __init__(
        self,
        name: str,
        setup: Setup | None = None,
        *,
        promiscuous: bool = False,
        netns: NetNs = None,
        ring_bytes: int = 64 << 20,
    ) -> None:
        """Begin to capture.

        Args:
            name: of the interface; "any" is all of them.
            setup: what the engine is told; None: the kernel's defaults, with counters and times.
            promiscuous: also what is addressed to other stations.
            netns: the namespace: a name, a path, a pid; None: this process's own.
            ring_bytes: memory in which packets wait.

        Raises:
            PrivilegeError: needs CAP_NET_RAW.
            NotFoundError: there is no such interface or namespace.
            KernelError: there is no room for the ring.
            UsageError: *setup* asks for a setting, helper or parameter that does not exist; or all interfaces are to
                be promiscuous, which each must be for itself.
        """
        if promiscuous and name == "any":
            raise UsageError("only one interface at a time can be promiscuous", hint="name the interface")
        self.tracker = Tracker(setup or COUNTED)
        self._capture: _core.PacketCapture | None = _core.PacketCapture(
            None if name == "any" else name, promiscuous=promiscuous, ring_bytes=ring_bytes, netns=path_of(netns)
        )
        self._seen: dict[str, int] = {}
        self.downs = 0
        self._rows = self._refused = 0

    def __enter__(self) -> Interface:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop capturing; counters and table can still be read."""
        if self._capture:
            self._seen = self._capture.counters
        self._capture = None

    @property
    def counters(self) -> dict[str, int]:
        """Frames, rows, losses and omissions by name (docs/commands.md)."""
        seen = self._capture.counters if self._capture else self._seen
        return {**seen, **self.tracker.counters, "rows": self._rows, "filtered_here": self._refused}

    def receive(self, timeout: float | None = None, where: str | Filter = "") -> _core.Batch | None:
        """Wait for packets and return the events that they cause.

        Args:
            timeout: seconds to wait for packets; 0 not at all, None until there is an event.
            where: which events; "" for all.

        Returns:
            A batch with at least one row; None when no packet came in time, or none that caused such an event.

        Raises:
            ClosedError: after `close()`.
        """
        wanted = as_filter(where)
        if timeout is not None:
            return self._receive(max(0, math.ceil(timeout * 1000)), wanted)
        while True:
            batch = self._receive(WAIT_MS, wanted)
            if batch is not None:
                return batch

    def _receive(self, timeout_ms: int, wanted: Filter | None) -> _core.Batch | None:
        if self._capture is None:
            raise ClosedError("this capture is closed", hint="open it anew: Interface(name)")
        engine = self.tracker.engine
        try:
            engine.receive(self._capture, self.tracker.ask, timeout_ms)
        except KernelError as error:
            if error.errno != errno.ENETDOWN:  # told once; packets come again when it is up
                raise
            self.downs += 1
        engine.advance(_core.now_ns() - RING_DELAY_NS)
        batch, left = engine.take_events(wanted)
        self._rows, self._refused = self._rows + len(batch), self._refused + left
        return batch if len(batch) else None

    def batches(self, where: str | Filter = "") -> Iterator[_core.Batch]:
        """Batches without end, until `close()`."""
        wanted = as_filter(where)
        while self._capture is not None:
            batch = self._receive(WAIT_MS, wanted)
            if batch is not None:
                yield batch

    def events(self, where: str | Filter = "") -> Iterator[_core.Event]:
        """Events without end, until `close()`."""
        for batch in self.batches(where):
            yield from batch.events()

    def __iter__(self) -> Iterator[_core.Event]:
        return self.events()
