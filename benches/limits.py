"""Raises nf_conntrack_max for the length of a run and puts it back whatever happens.

The limit is one for all namespaces and only the machine's own can set it. A watchdog process that holds the other end
of a pipe puts it back if this one is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["limit", "raised"]

LIMIT: Final = Path("/proc/sys/net/netfilter/nf_conntrack_max")

# Waits for the end of its standard input: closed by us in order, or by the kernel when we die.
WATCHDOG: Final = """
import sys
path, ours, before = sys.argv[1:]
sys.stdin.read()
if open(path).read().strip() == ours:
    open(path, "w").write(before)
"""


def limit() -> int:
    """Return how many entries a namespace may hold."""
    return int(LIMIT.read_text())


@contextmanager
def raised(entries: int) -> Iterator[int]:
    """Allow at least *entries*, where that may be changed; give what is allowed then."""
    before = limit()
    if before >= entries or not os.access(LIMIT, os.W_OK):
        yield before
        return
    command = [sys.executable, "-c", WATCHDOG, str(LIMIT), str(entries), str(before)]
    # A session of its own: ctrl+c at the terminal does not reach it.
    watchdog = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        LIMIT.write_text(str(entries))
        yield limit()
    finally:
        watchdog.communicate()
