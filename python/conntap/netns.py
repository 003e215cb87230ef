"""Which network namespace: by name, path or pid."""

from __future__ import annotations

import os
from typing import TypeAlias

from conntap.errors import NotFoundError

__all__ = ["NetNs", "path_of"]

NetNs: TypeAlias = "str | int | os.PathLike[str] | None"
"""A name below /run/netns, a path, the pid of a process in it; None for this process's own."""

NAMED = "/run/netns"


def path_of(netns: NetNs) -> str | None:
    """Return the file that stands for *netns*, or None for this process's own namespace.

    Raises:
        NotFoundError: there is no such name, file or process.
    """
    if netns is None:
        return None
    if isinstance(netns, int):
        candidates = [f"/proc/{netns}/ns/net"]
    else:
        text = os.fspath(netns)
        candidates = [text] if "/" in text else [f"{NAMED}/{text}"]
        if text.isdecimal():
            candidates.append(f"/proc/{text}/ns/net")
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    reason = f"there is no {' or '.join(candidates)}"
    raise NotFoundError(f"network namespace '{netns}'", 2, reason, hint="ip netns list shows the named ones")
