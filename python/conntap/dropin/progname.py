"""Which program is behind a netlink port id (`[USERSPACE] portid=N progname=NAME`)."""

from __future__ import annotations

from os import listdir, readlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ProgramNames"]

_NETFILTER = "12"  # NETLINK_NETFILTER


class ProgramNames:
    """Looks names up in /proc; the last one is kept, for a program that asks much is asked about much."""

    __slots__ = ("_inode", "_name", "_port")

    def __init__(self) -> None:
        self._port = 0
        self._inode = ""
        self._name = ""

    def find(self, port: int) -> str | None:
        """Return the name of the program that has the socket now; None when it has gone."""
        inode = _inode(port)
        if inode is None:
            return None
        if (port, inode) == (self._port, self._inode):
            return self._name
        link = f"socket:[{inode}]"
        for process in _processes(port):
            if _holds(process, link) and (name := _name(process)):
                self._port, self._inode, self._name = port, inode, name
                return name
        return None


def _inode(port: int) -> str | None:
    """Return the inode of the netfilter socket with this port id."""
    try:
        with open("/proc/net/netlink", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1] == _NETFILTER and words[2] == str(port):
                    return words[9]
    except (OSError, IndexError):
        pass
    return None


def _processes(port: int) -> Iterator[str]:
    """Yield process numbers; first the one that the kernel takes the port id from for a process's first socket."""
    yield str(port)
    try:
        yield from (name for name in listdir("/proc") if name.isdigit() and name != str(port))
    except OSError:
        return


def _holds(process: str, link: str) -> bool:
    folder = f"/proc/{process}/fd"
    try:
        for name in listdir(folder):
            try:
                if readlink(f"{folder}/{name}") == link:
                    return True
            except OSError:  # closed meanwhile
                continue
    except OSError:  # ended, or another user's
        pass
    return False


def _name(process: str) -> str | None:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().partition("(")[2].partition(")")[0] or None
    except OSError:
        return None
