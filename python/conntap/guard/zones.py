"""Zones: the kernel tells no expectation's zone, and deletes by it (ctnetlink_exp_dump_expect, ctnetlink_del_expect).

So what is not found in zone 0 is asked for in every zone that flows are in. Which those are a thread reads now and
then, and only when something was not found: a gateway without zones reads its table once in a while.
"""

from __future__ import annotations

import errno
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from conntap import _core
from conntap.errors import ConntapError
from conntap.kernel import Conntrack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.netns import NetNs

__all__ = ["Zones"]

#: How often the table is read, seconds: where there are zones; where there were none.
SOME_SECONDS, NONE_SECONDS = 60.0, 600.0


class Zones:
    """The zones of one namespace, as far as they are known.

    Attributes:
        known: in which flows were, lowest first; 0 is none.
    """

    def __init__(self, netns: NetNs) -> None:
        self.known: tuple[int, ...] = ()
        self._netns = netns
        self._next_look = 0.0
        self._thread: threading.Thread | None = None

    def delete(self, requests: _core.Requests, batch: _core.Batch, indices: Sequence[int]) -> set[int]:
        """Delete expectations of a batch that are not in zone 0; those that were found, each by its tuple and id.

        What is in a zone that is not known yet is found at the guard's next round, a second later.
        """
        self.look()
        left, found = list(indices), set[int]()
        for zone in self.known:
            if not left:
                break
            answers = requests.delete_rows(batch, left, zone=zone)
            found |= {index for index, answer in zip(left, answers) if answer == 0}
            left = [index for index, answer in zip(left, answers) if answer == errno.ENOENT]
        return found

    def look(self) -> bool:
        """Begin to read which there are, unless that was done lately. Is it under way?"""
        now = time.monotonic()
        if self._thread is not None and self._thread.is_alive():
            return True
        if now < self._next_look:
            return False
        self._next_look = now + (SOME_SECONDS if self.known else NONE_SECONDS)
        self._thread = threading.Thread(target=self._read, name="zones", daemon=True)
        self._thread.start()
        return True

    def _read(self) -> None:
        zones = {0}
        unseen = _core.Filter("not zone 0")
        with suppress(ConntapError, OSError), Conntrack(self._netns) as kernel:
            for rows in kernel.flows(unseen).batches():
                # A table may be large: no object for each of its flows.
                while len(rows := rows.filter(unseen)):
                    zones.add(next(rows.flows()).zone or 0)
                    unseen = _core.Filter(" and ".join(f"not zone {zone}" for zone in zones))
            self.known = tuple(sorted(zones - {0}))
            if self.known:
                self._next_look = min(self._next_look, time.monotonic() + SOME_SECONDS)

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join(timeout=5)
