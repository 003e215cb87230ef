"""The few system calls of the lab that Python 3.11 has no name for.

All act on the calling *thread*, as the kernel does: a thread that entered a namespace leaves the rest of the
process where it was.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Final

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "die_with_parent",
    "has_sys_admin",
    "mount",
    "setns",
    "unshare",
]

# linux/sched.h
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

PR_SET_PDEATHSIG: Final = 1
CAP_SYS_ADMIN: Final = 21


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Put the calling thread into new namespaces; a new pid namespace is entered by its next child only."""
    _check(_libc().unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Put the calling thread into the namespace that *fd* holds open; *kind* is its CLONE_NEW flag."""
    _check(_libc().setns(fd, kind), "setns")


def mount(source: str, target: str, filesystem: str, flags: int) -> None:
    """Mount, by mount(2)."""
    arguments = (source.encode(), target.encode(), filesystem.encode(), ctypes.c_ulong(flags), None)
    _check(_libc().mount(*arguments), f"mount {target}")


def die_with_parent(signal_number: int) -> None:
    """Let the kernel send this process *signal_number* when the thread that made it ends."""
    _check(_libc().prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl")


def has_sys_admin() -> bool:
    """Tell whether this thread has CAP_SYS_ADMIN in its user namespace, which new namespaces ask for."""
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> CAP_SYS_ADMIN & 1)
    return False
