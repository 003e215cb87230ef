"""What the collector's tests share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conntap import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.collector import Collector


@pytest.fixture
def gather() -> Callable[..., _core.Batch]:
    """Receive until a condition on what has come holds; ten seconds at most."""

    def receive(collector: Collector, done: Callable[[_core.Batch], bool]) -> _core.Batch:
        deadline = time.monotonic() + 10
        batch = _core.Batch.concat([])
        while not done(batch):
            assert time.monotonic() < deadline, f"not within ten seconds: {collector.counters}"
            more = collector.receive(0.05)
            if more is not None:
                batch = _core.Batch.concat([batch, more])
        return batch

    return receive
