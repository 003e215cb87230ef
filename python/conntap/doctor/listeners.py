"""Who listens for events of connections, how full their buffers are, and what the kernel could not deliver to them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level
from conntap.gateway.parse import listeners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conntap.doctor.reading import Reading
    from conntap.gateway.parse import Listener

__all__ = ["listening", "look", "owners"]

#: Multicast groups 1 to 6 of nfnetlink. Source: linux/netfilter/nfnetlink_compat.h.
GROUPS: Final = ("new", "update", "destroy", "expect new", "expect update", "expect destroy")
SOURCE: Final = "net/netlink/af_netlink.c, netlink_overrun"
#: Of an event in a receive buffer, the kernel's bookkeeping included (docs/performance.md).
EVENT_BYTES: Final = 1_300
#: A buffer as full as this is about to lose.
FULL: Final = 0.5
#: Looking for a socket's owner ends after this: a machine may run a hundred thousand processes.
SEARCH_SECONDS: Final = 0.08

#: Program → how its buffer is made larger.
LARGER: Final = {
    "conntap": "conntap … --buffer 256M",
    "ulogd": "netlink_socket_buffer_size and netlink_socket_buffer_maxsize in ulogd.conf",
    "conntrackd": "NetlinkBufferSize and NetlinkBufferSizeMaxGrowth in conntrackd.conf",
    "conntrack": "conntrack -E --buffer-size BYTES",
}


def listening(seen: Reading) -> bool:
    """Does anybody listen for events of connections?"""
    return any(listener.groups & 0b111 for listener in listeners(seen.netlink))


def owners(wanted: frozenset[int], first: tuple[int, ...] = (), *, proc: str = "/proc") -> dict[int, tuple[int, str]]:
    """Socket inode → (pid, program) as far as our rights and a short search go; *first* are likely pids."""
    found: dict[int, tuple[int, str]] = {}
    deadline = time.monotonic() + SEARCH_SECONDS
    names = {f"socket:[{inode}]": inode for inode in wanted}
    candidates = [str(pid) for pid in first]
    seen: set[str] = set()
    for pid in [*candidates, *(name for name in _listed(proc) if name.isdecimal())]:
        if len(found) == len(wanted) or time.monotonic() > deadline:
            break
        if pid in seen:
            continue
        seen.add(pid)
        for descriptor in _listed(f"{proc}/{pid}/fd"):
            try:
                inode = names.get(os.readlink(f"{proc}/{pid}/fd/{descriptor}"))
            except OSError:
                continue
            if inode is not None:
                found[inode] = (int(pid), _program(f"{proc}/{pid}/comm"))
    return found


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _program(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"


def look(seen: Reading) -> Iterator[Entry]:
    """Each listener; and that there is none."""
    found = listeners(seen.netlink)
    if not found:
        if seen.netlink:
            yield Entry(
                group="listeners", name="listeners", value="none", number=0, level="fine", source=SOURCE,
                what="sockets subscribed to events of connections or expectations",
                why="nobody listens: no event is made",
            )  # fmt: skip
        return
    known = owners(frozenset(row.inode for row in found), tuple(row.port for row in found))
    for listener in found:
        yield _entry(listener, known, seen.buffers)


def _entry(listener: Listener, known: Mapping[int, tuple[int, str]], buffers: Mapping[int, int]) -> Entry:
    pid, program = known.get(listener.inode, (0, ""))
    name = f"{program} (pid {pid})" if pid else f"port {listener.port}"
    size = buffers.get(listener.inode)
    share = listener.waiting / size if size else None
    level: Level = "fine"
    said = [f"hears {', '.join(word for bit, word in enumerate(GROUPS) if listener.groups >> bit & 1)}"]
    if not pid:
        said.append("owner not found: another user's, another pid namespace's, or gone")
    if size:
        said.append(
            f"its buffer is {size:,} bytes, room for about {size // EVENT_BYTES:,} events, {share or 0:.0%} full"
        )
    todo = ""
    if listener.drops:
        level = "todo"
        said.append(
            f"{listener.drops:,} messages did not fit since it began to listen: it is too slow, or its buffer too small"
        )
        todo = f"a larger buffer: {LARGER.get(program, 'SO_RCVBUFFORCE, or net.core.rmem_max')}"
    elif share is not None and share >= FULL:
        level = "note"
        said.append("it reads more slowly than events come")
    return Entry(
        group="listeners", name=name, value=f"{listener.drops:,} lost", number=listener.drops, level=level, share=share,
        what="a socket subscribed to events", why="; ".join(said), todo=todo, source=SOURCE,
    )  # fmt: skip
