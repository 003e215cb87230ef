"""Host names by reverse DNS, never waited for: the first answer to a question is "not yet"."""

from __future__ import annotations

import queue
import socket
import threading

__all__ = ["HostNames"]

#: Names kept; when full, all are asked anew. Bounds memory and lets renamed hosts show.
KEPT = 16_384
WORKERS = 4


class HostNames:
    """A cache of reverse DNS that is filled by threads of its own.

    `get` answers at once, from memory. Threads are daemons: a slow name server holds nothing up.
    """

    __slots__ = ("_known", "_questions", "_started")

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}
        self._questions: queue.Queue[str] = queue.Queue(maxsize=1024)
        self._started = False

    def get(self, address: str) -> str | None:
        """Return the name of *address* if it is known by now."""
        if address in self._known:
            return self._known[address]
        if not self._started:
            self._started = True
            for _ in range(WORKERS):
                threading.Thread(target=self._work, daemon=True, name="conntap-names").start()
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[address] = None  # before the question: a quick answer must not be overwritten
        try:
            self._questions.put_nowait(address)
        except queue.Full:
            del self._known[address]  # asked again with the next row
        return None

    def _work(self) -> None:
        while True:
            address = self._questions.get()
            try:
                name = socket.gethostbyaddr(address)[0]
            except OSError:
                continue
            self._known[address] = name
