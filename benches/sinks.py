"""Where programs send to: UDP ports on 127.0.0.1."""

from __future__ import annotations

import socket
from pathlib import Path

__all__ = ["free_port", "heard"]


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
