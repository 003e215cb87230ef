"""Hold: the first packet of an expected connection gets in only when its expectation was approved. Fail closed.

A table of ours, before the gateway's own rules, drops the first packets of RELATED connections whose expectation is in
none of its sets; what is approved goes on to the gateway's own rules. The first packet of a connection, and no later
one: behind it the connection is confirmed.

**No race against strangers.** An approval names source, destination, protocol and port of one expectation, and the
kernel has one expectation for them at a time. One that allows anybody is in a set of its own, by destination.

**No race against users.** The kernel takes an expectation out of its table with the first packet that fits, also when
that packet is dropped afterwards (nf_ct_find_expectation, nf_conntrack_expect.c). A packet that came before the
approval would come again as a stranger's. So the table remembers what it dropped; where an approved expectation ends
and its packet was dropped, the guard puts the expectation back, and the packet that is sent again gets in.

The table belongs to the guard's socket (`owner`): others cannot change it, `nft flush ruleset` leaves it. It persists
when the guard is killed: closed, until a new guard adopts it or `release` removes it (nft_rcv_nl_event,
nf_tables_updtable in nf_tables_api.c, Linux 6.9). A queue to the guard (NFQUEUE) would need no second packet, but not
every kernel has it for nftables, nor tells it of connections (CONFIG_NFT_QUEUE, CONFIG_NETFILTER_NETLINK_GLUE_CT).
"""

from __future__ import annotations

import errno
import struct
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conntap.errors import KernelError, UsageError
from conntap.guard.hold_rules import (
    DELTABLE,
    FAMILY,
    GETSETELEM,
    GETTABLE,
    add,
    held_element,
    install,
    key_of,
    remove,
    table,
)
from conntap.guard.nft_wire import NFNL_SUBSYS_NFTABLES, NLM_F_CREATE, NLM_F_EXCL, Netlink, attribute
from conntap.inside import within
from conntap.netns import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.guard.hold_rules import Message
    from conntap.guard.metrics import Metrics
    from conntap.guard.subject import Subject
    from conntap.guard.zones import Zones
    from conntap.netns import NetNs

__all__ = ["Hold", "release"]

#: NEW of ctnetlink's expectations: subsystem 2, message 0.
EXP_NEW: Final = 2 << 8
#: CTA_EXPECT_ZONE.
EXPECT_ZONE: Final = 7
#: When it is asked whether the packet that used an expectation up was dropped, seconds behind its end.
LOOKS: Final = (0.01, 0.1, 0.4)
#: An approval stays so long behind its expectation's end: the packet that ended it is on its way to our rules.
LINGER_SECONDS: Final = 0.5
#: An approval outlives its expectation's time by this.
MORE_MS: Final = 2_000
#: How often the table is looked after, seconds.
LOOK_SECONDS: Final = 1.0
#: Messages in one transaction.
AT_ONCE: Final = 200


class Ended:
    """An approved expectation that has ended, not by its time."""

    __slots__ = ("at", "body", "family", "looks", "subject")

    def __init__(self, subject: Subject, family: int, body: bytes) -> None:
        self.subject = subject
        self.family = family
        self.body = body
        self.again()

    def again(self) -> None:
        """Ask from the beginning."""
        self.at = time.monotonic()
        self.looks = 0

    @property
    def due(self) -> float:
        return self.at + LOOKS[self.looks]


class Hold:
    """The table of one namespace; a `Guard` opens, feeds and closes it."""

    def __init__(self, netns: NetNs = None) -> None:
        """Prepare; nothing is changed yet."""
        self._path = path_of(netns)
        self._link: Netlink | None = None
        self._approved: dict[Subject, float] = {}  # → until when, monotonic
        self._elements: dict[tuple[str, bytes], int] = {}  # → how many subjects it stands for
        self._ended: deque[Ended] = deque()
        self._lingering: deque[tuple[float, Subject]] = deque()
        self._next_look = 0.0

    def open(self) -> None:
        """Put the table up, or take over the one that a killed guard has left.

        Raises:
            UsageError: another guard holds this namespace.
            KernelError: the kernel refuses.
        """
        self._link = within(self._path, Netlink)
        try:
            self._link.transact("putting up the guard's table", install(), family=FAMILY)
        except KernelError as error:
            self._link.close()
            self._link = None
            raise held_by_other(error) from error

    @property
    def wait(self) -> float | None:
        """Seconds until something is due; None: nothing is."""
        due = [one.due for one in self._ended] + [at for at, _ in list(self._lingering)[:1]]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def approve(self, metrics: Metrics, subjects: Sequence[tuple[Subject, int]]) -> None:
        """Let in what is approved, each for the seconds that its expectation has left."""
        now = time.monotonic()
        fresh: list[Message] = []
        for subject, timeout in subjects:
            until = now + timeout
            known = self._approved.get(subject)
            if known is not None and known >= until - 1:
                continue  # a round sees it again
            others = 1
            if known is None:
                others = self._elements.get(key_of(subject), 0)
                self._elements[key_of(subject)] = others + 1
                metrics.add("approved")
            self._approved[subject] = until
            if others:
                fresh.append(remove(subject))  # one that is there keeps its time otherwise
            fresh.append(add(subject, timeout * 1000 + MORE_MS))
        self._change(metrics, "approving expectations", fresh)

    def refuse(self, metrics: Metrics, subjects: Sequence[Subject]) -> None:
        """Take back at once what may be left of an earlier approval of the same ends."""
        self._take_back(metrics, subjects)

    def _take_back(self, metrics: Metrics, subjects: Sequence[Subject]) -> None:
        """Forget approvals; an element that stands for others too stays."""
        gone: list[Message] = []
        for subject in subjects:
            if self._approved.pop(subject, None) is None:
                continue
            key = key_of(subject)
            left = self._elements.pop(key, 1) - 1
            if left:
                self._elements[key] = left
            else:
                gone.append(remove(subject))
        self._change(metrics, "taking approvals back", gone)

    def ended(self, subject: Subject, family: int, body: bytes) -> None:
        """An approved expectation ended; *body* are the attributes of its DESTROY."""
        if subject not in self._approved:
            return
        self._ended.append(Ended(subject, family, body))

    def came(self, subject: Subject) -> None:
        """A connection came by an expectation: its packet was let in."""
        for one in self._ended:
            if one.subject.master == subject.master and one.subject[6:8] == subject[6:8]:
                self._ended.remove(one)
                self._lingering.append((time.monotonic() + LINGER_SECONDS, one.subject))
                return

    def look_after(self, metrics: Metrics, zones: Zones) -> None:
        """Put back what a dropped packet has used up; take old approvals out; is the table still there?"""
        now = time.monotonic()
        for one in [one for one in self._ended if one.due <= now]:
            if self._was_dropped(one.subject):
                self._ended.remove(one)
                self._put_back(metrics, one, zones)
                continue
            one.looks += 1
            if one.looks == len(LOOKS):
                self._ended.remove(one)
                self._lingering.append((now, one.subject))
        old: list[Subject] = []
        while self._lingering and self._lingering[0][0] <= now:
            old.append(self._lingering.popleft()[1])
        self._take_back(metrics, old)
        if now >= self._next_look and self._link is not None:
            self._next_look = now + LOOK_SECONDS
            expired = [subject for subject, until in self._approved.items() if until + MORE_MS / 1000 < now]
            self._take_back(metrics, expired)
            if not is_there(self._link):
                self._link.transact("putting the guard's table back", install(), family=FAMILY)
                metrics.add("repaired")
                alive = [(subject, max(1, int(until - now))) for subject, until in self._approved.items()]
                self._approved.clear()
                self._elements.clear()
                self.approve(metrics, alive)

    def _was_dropped(self, subject: Subject) -> bool:
        if self._link is None:
            return False
        kind = NFNL_SUBSYS_NFTABLES << 8 | GETSETELEM
        try:
            self._link.ask("asking what was dropped", kind, held_element(subject), family=FAMILY)
        except KernelError:
            return False
        return True

    def _put_back(self, metrics: Metrics, one: Ended, zones: Zones) -> None:
        if self._link is None:
            return
        for zone in (0, *zones.known):
            body = one.body + (attribute(EXPECT_ZONE, struct.pack("!H", zone)) if zone else b"")
            try:
                self._link.ask(
                    "putting an expectation back", EXP_NEW, body, family=one.family, flags=NLM_F_CREATE | NLM_F_EXCL
                )
            except KernelError as error:
                if error.errno == errno.ENOENT:
                    continue  # no such master there
                break
            self._take_back(metrics, [one.subject])  # approved anew when the kernel tells of it
            metrics.add("put_back")
            return
        if zones.look():
            one.again()
            self._ended.append(one)
            return
        self._take_back(metrics, [one.subject])
        metrics.add("not_put_back")  # its master has gone, or another has taken its place

    def _change(self, metrics: Metrics, op: str, wanted: list[Message]) -> None:
        if self._link is None:
            return
        for at in range(0, len(wanted), AT_ONCE):
            part = wanted[at : at + AT_ONCE]
            try:
                self._link.transact(op, part, family=FAMILY)
            except KernelError:
                for one in part:  # an element that has expired fails the whole: each by itself
                    try:
                        self._link.transact(op, [one], family=FAMILY)
                    except KernelError as error:
                        if error.errno != errno.ENOENT:
                            metrics.add("hold_failures")

    def close(self, *, keep_closed: bool = False) -> None:
        """Take the table down, or leave it without an owner (*keep_closed*). May be called twice."""
        if self._link is None:
            return
        if not keep_closed:
            with suppress(KernelError):  # it is not there, or another's
                self._link.transact("taking the guard's table down", [(DELTABLE, 0, table())], family=FAMILY)
        self._link.close()
        self._link = None


def is_there(link: Netlink) -> bool:
    """Is there a table of a guard?"""
    try:
        link.ask("looking for the guard's table", NFNL_SUBSYS_NFTABLES << 8 | GETTABLE, table(), family=FAMILY)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def held_by_other(error: KernelError) -> UsageError | KernelError:
    """The kernel's no, as what it means."""
    if error.errno in (errno.EBUSY, errno.EOPNOTSUPP, errno.EPERM) and "owner" not in error.hint:
        hint = "stop it first; what a killed one has left conntap guard --release removes"
        return UsageError(f"another guard holds this namespace ({error})", hint=hint)
    return error


def release(netns: NetNs = None) -> bool:
    """Remove what a killed guard has left. Was there anything?

    Raises:
        UsageError: a guard that runs holds it.
        KernelError: the kernel refuses.
    """
    link = within(path_of(netns), Netlink)
    try:
        if not is_there(link):
            return False
        try:
            # Adopt it, and delete it.
            link.transact("releasing the guard's table", install()[:2], family=FAMILY)
        except KernelError as error:
            raise held_by_other(error) from error
        return True
    finally:
        link.close()
