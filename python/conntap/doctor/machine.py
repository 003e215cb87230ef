"""What the machine gives: helpers that made expectations, loggers, buffers of sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.doctor.listeners import EVENT_BYTES
from conntap.doctor.model import Entry, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.doctor.reading import Reading

__all__ = ["look"]

#: NFPROTO_… → what packets it is of. INVALID ones are of the first two.
FAMILIES: Final = {
    "2": "IPv4", "10": "IPv6", "1": "rules of the family inet", "3": "ARP", "5": "rules of netdev", "7": "bridges",
}  # fmt: skip
INVALID_OF: Final = frozenset({"2", "10"})


def look(seen: Reading) -> Iterator[Entry]:
    """Each of them."""
    yield from _expectations(seen)
    yield from _loggers(seen)
    yield from _buffers(seen)


def _expectations(seen: Reading) -> Iterator[Entry]:
    if seen.expectations is None:
        return
    if not seen.expectations:
        yield Entry(
            group="helpers", name="expectations", value="0", number=0, level="fine",
            what="connections that helpers have announced", why="none waits",
            source="net/netfilter/nf_conntrack_expect.c",
        )  # fmt: skip
    for helper, (waiting, open_) in sorted(seen.expectations.items()):
        level: Level = "note" if open_ else "fine"
        why = "each may be used by one address only"
        if open_:
            why = f"{open_:,} of them may be used by anyone who can reach this gateway"
        yield Entry(
            group="helpers", name=f"expectations of {helper or 'no helper'}", value=f"{waiting:,}", number=waiting,
            level=level, what="connections that a helper has announced", why=why,
            todo="conntap explain expectation tells which rule lets them in" if open_ else "",
            source="net/netfilter/nf_conntrack_expect.c",
        )  # fmt: skip


def _loggers(seen: Reading) -> Iterator[Entry]:
    if seen.left:
        yield Entry(
            group="logging", name="log of INVALID packets", value="left on", level="todo", why=seen.left,
            what="what conntap doctor --log-invalid changes for a while", todo="conntap doctor --restore",
        )  # fmt: skip
    wanted = seen.number("nf_conntrack_log_invalid") or 0
    for number, family in FAMILIES.items():
        logger = seen.settings.get(f"netfilter/nf_log/{number}")
        if logger is None:
            continue
        level: Level = "fine"
        what = "lines about INVALID packets" if number in INVALID_OF else "lines that name no logger"
        why, todo = f"{what} go there; rules name their own", ""
        if logger == "NONE":
            why = f"{what} go nowhere; rules name their own"
            if wanted and number in INVALID_OF:
                level, why = "todo", f"nf_conntrack_log_invalid is {wanted}, and {family} packets are logged nowhere"
                todo = f"sysctl -w net.netfilter.nf_log.{number}=nfnetlink_log, and listen to group 0"
        elif wanted and number in INVALID_OF and logger != "nfnetlink_log" and not seen.reaches_kernel_log:
            level = "note"
            why = f"{logger} writes into the kernel's log, but not for this namespace"
            todo = "conntap doctor --log-invalid uses nfnetlink_log, which does"
        yield Entry(
            group="logging", name=f"nf_log.{number}", value=logger, level=level, what=f"the logger of {family}",
            why=why, todo=todo, source="net/netfilter/nf_log.c, nf_log_packet",
        )  # fmt: skip


def _buffers(seen: Reading) -> Iterator[Entry]:
    for name, what in (
        ("core/rmem_default", "receive buffer of a socket that does not ask for another"),
        ("core/rmem_max", "receive buffer that a socket may ask for without CAP_NET_ADMIN"),
    ):
        text = seen.settings.get(name)
        if text is None or not text.isdecimal():
            continue
        events = int(text) // EVENT_BYTES
        yield Entry(
            group="sockets", name=f"net.{name.replace('/', '.')}", value=f"{int(text):,}", number=int(text),
            level="fine", what=what, source="net/core/sock.c, sock_setsockopt",
            why=f"room for about {events:,} events, {events / 10:,.0f} ms at 10,000 a second; "
            "conntap asks for more by itself (SO_RCVBUFFORCE)",
        )  # fmt: skip
    for name, what in (
        ("core/netdev_max_backlog", "received packets that may wait for a CPU"),
        ("core/optmem_max", "bytes that options of a socket may take, its filter included"),
    ):
        text = seen.settings.get(name)
        if text is not None and text.isdecimal():
            yield Entry(
                group="sockets", name=f"net.{name.replace('/', '.')}", value=f"{int(text):,}", number=int(text),
                level="fine", what=what, why="of no concern for conntrack by itself",
                source="net/core/sysctl_net_core.c",
            )  # fmt: skip
