"""One guard a namespace: a lock file named by the namespace's inode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from conntap.errors import ConntapError, UsageError
from conntap.lock import Lock, holder
from conntap.netns import path_of
from conntap.rundir import folders, is_own

if TYPE_CHECKING:
    from conntap.netns import NetNs

__all__ = ["lock"]


def lock(netns: NetNs = None) -> Lock:
    """Take the place of the guard of a namespace.

    Raises:
        UsageError: another process has it; its number is told.
        ConntapError: there is nowhere to put the lock.
    """
    inode = os.stat(path_of(netns) or "/proc/self/ns/net").st_ino
    problem = ""
    for folder in folders():
        directory = Path(folder) / f"guard-{inode}"
        try:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_own(folder):
                problem = f"{folder}: somebody else may write there"
                continue
            directory.mkdir(exist_ok=True, mode=0o700)
            return Lock(directory)
        except UsageError as error:
            pid = holder(directory) or "unknown"
            hint = "stop it first; conntap guard --release removes what a killed one has left"
            raise UsageError(f"another guard (pid {pid}) guards this namespace", hint=hint) from error
        except OSError as error:
            problem = f"{directory}: {error.strerror}"
    raise ConntapError(f"nowhere to put the guard's lock: {problem}", hint="make /run/conntap writable")
