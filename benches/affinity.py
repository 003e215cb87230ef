"""Which CPU a program runs on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["on_cpu"]


@contextmanager
def on_cpu(number: int | None) -> Iterator[None]:
    """Children started within run on the CPU of that number (from the end if negative) only; None: on any."""
    before = os.sched_getaffinity(0)
    if number is not None:
        os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
