"""One process writes a directory (a ledger, a journal): `DIR/lock` is held by flock and has its process id."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from conntap.errors import UsageError

__all__ = ["Lock", "holder"]

NAME = "lock"


class Lock:
    """Held from construction to `close`; the kernel lets go of it when the process dies, however that happens."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Take the lock.

        Raises:
            UsageError: another process has it.
            OSError: the file cannot be made.
        """
        self.path = Path(directory) / NAME
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = read_pid(self._descriptor)
            os.close(self._descriptor)
            raise UsageError(
                f"process {pid} writes to {directory}",
                hint="two must not write there: stop the other, or name another directory",
            ) from None
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds without the number, too

    def close(self) -> None:
        """Let go of it. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_pid(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "(unknown)"


def holder(directory: str | os.PathLike[str]) -> str | None:
    """Process id of who writes the ledger now; None for nobody."""
    try:
        descriptor = os.open(Path(directory) / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_pid(descriptor)
    finally:
        os.close(descriptor)
    return None
