"""The same handle for asyncio: every call is the blocking one, run where it does not block the event loop.

async with conntap.aio.open() as ct:
    async for event in ct.events("tcp"):
        ...
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from conntap.kernel import Conntrack

if TYPE_CHECKING:
    from types import TracebackType

    from conntap import _core
    from conntap.filter import Filter
    from conntap.netns import NetNs

__all__ = ["AsyncConntrack", "open"]


def open(netns: NetNs = None) -> AsyncConntrack:  # the package's own word for it
    """Open the connection tracking of a network namespace; see `conntap.open`."""
    return AsyncConntrack(netns)


class AsyncConntrack:
    """`Conntrack` with awaitable requests. `flows`, `expectations` and `events` are async iterables."""

    __slots__ = ("events", "expectations", "flows", "sync")

    def __init__(self, netns: NetNs = None) -> None:
        self.sync = Conntrack(netns)
        self.flows = self.sync.flows
        self.expectations = self.sync.expectations
        self.events = self.sync.events

    async def __aenter__(self) -> AsyncConntrack:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.sync.close()

    async def get(self, **fields: Any) -> _core.Flow:
        """See `Conntrack.get`."""
        return await asyncio.to_thread(self.sync.get, **fields)

    async def create(self, *, replace: bool = False, **fields: Any) -> None:
        """See `Conntrack.create`."""
        await asyncio.to_thread(self.sync.create, replace=replace, **fields)

    async def create_expectation(
        self, *, dst: str, dport: int, l4proto: int, timeout: int, src: str | None = None, sport: int = 0, **fields: Any
    ) -> None:
        """See `Conntrack.create_expectation`."""
        await asyncio.to_thread(
            self.sync.create_expectation,
            dst=dst, dport=dport, l4proto=l4proto, timeout=timeout, src=src, sport=sport, **fields,
        )  # fmt: skip

    async def update(self, where: str | Filter, **fields: Any) -> int:
        """See `Conntrack.update`."""
        return await asyncio.to_thread(self.sync.update, where, **fields)

    async def delete(self, where: str | Filter, *, limit: int | None = None) -> int:
        """See `Conntrack.delete`."""
        return await asyncio.to_thread(self.sync.delete, where, limit=limit)

    async def flush(self, family: str | None = None) -> None:
        """See `Conntrack.flush`."""
        await asyncio.to_thread(self.sync.flush, family)

    async def count(self) -> int:
        """See `Conntrack.count`."""
        return await asyncio.to_thread(self.sync.count)

    async def stats(self) -> list[dict[str, int]]:
        """See `Conntrack.stats`."""
        return await asyncio.to_thread(self.sync.stats)
