"""Where a process keeps what belongs to this run of the machine: locks, and notes of what to put back."""

from __future__ import annotations

import os
import stat

__all__ = ["folders", "is_own"]


def folders() -> list[str]:
    """In order of preference: as root /run/conntap, else below the directory of temporary files."""
    return ["/run/conntap", os.path.join(os.environ.get("TMPDIR", "/tmp"), f"conntap-{os.geteuid()}")]


def is_own(folder: str) -> bool:
    """Nobody else can have written there. Links are not followed.

    Raises:
        OSError: there is no such folder.
    """
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
