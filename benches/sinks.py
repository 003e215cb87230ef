"""Where programs send to: UDP ports on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

__all__ = ["Datagrams", "free_port", "heard"]

FORCED_BUFFER = 33  # SO_RCVBUFFORCE, socket(7)


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def heard(port: int) -> tuple[int, int] | None:
    """Whether somebody listens at a UDP port: (port, bytes in its queue)."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == port:
            return port, int(words[4].rpartition(":")[2], 16)
    return None


class Datagrams:
    """Takes datagrams and counts them; the first ones are kept."""

    def __init__(self, keep: int = 200) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, FORCED_BUFFER, 1 << 26)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self.count = self.bytes = 0
        self.kept: list[bytes] = []
        self._keep, self._stop = keep, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                one = self._socket.recv(65_536)
            except TimeoutError:
                continue
            self.count += 1
            self.bytes += len(one)
            if len(self.kept) < self._keep:
                self.kept.append(one)

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._socket.close()
