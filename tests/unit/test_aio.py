"""The asyncio handle offers what the blocking one does."""

from __future__ import annotations

import inspect

from conntap.aio import AsyncConntrack
from conntap.kernel import Conntrack

REQUESTS = ["get", "create", "create_expectation", "update", "delete", "flush", "count", "stats"]


def test_requests_have_the_same_arguments():
    for name in REQUESTS:
        sync, awaitable = getattr(Conntrack, name), getattr(AsyncConntrack, name)
        assert inspect.iscoroutinefunction(awaitable), name
        assert list(inspect.signature(sync).parameters) == list(inspect.signature(awaitable).parameters), name
