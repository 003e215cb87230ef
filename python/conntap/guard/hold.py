"""Hold: a RELATED packet gets in only when its expectation was approved; it waits until that is decided.

A table of ours, before the gateway's own rules, gives the first packets of every expected connection to a queue
(nfnetlink_queue). The guard reads events first, so it has decided about the expectation when it reads the packet, and lets
the packet go on to the gateway's own rules, or drops it. Why a queue and no set of approved destinations:

- the kernel takes an expectation out of its table with the first packet that fits, also when that packet is dropped
  afterwards (nf_ct_find_expectation in nf_conntrack_expect.c). A packet that came before its approval could not come again;
- a set's element outlives its expectation by the time that taking it out takes, and another expectation to the same
  destination, that nobody approved, would find it open. A packet in the queue is judged by its own connection.

Connections that were let in are in a set by their id, so that further RELATED packets (UDP in one direction) do not wait.

The queue has no `bypass`: without a listener the kernel drops. The table belongs to the guard's socket (`owner`): others
cannot change it, `nft flush ruleset` leaves it. It persists when the guard is killed: closed, until a new guard adopts it
or `release` removes it. Source: nf_tables_api.c (nft_rcv_nl_event, nf_tables_updtable), Linux 6.9.
"""

from __future__ import annotations

import errno
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap import _core
from conntap.errors import KernelError, UsageError
from conntap.guard.hold_rules import (
    DELTABLE,
    FAMILY,
    GETTABLE,
    QUEUE,
    TABLE,
    element,
    install,
    table,
)
from conntap.guard.nft_wire import NFNL_SUBSYS_NFTABLES, Netlink, attribute, attributes, message, nested
from conntap.guard.subject import Subject
from conntap.inside import within
from conntap.netns import path_of

if TYPE_CHECKING:
    from conntap.guard.watch import Guard
    from conntap.netns import NetNs

__all__ = ["Hold", "Waiting", "release"]

# enum nfqnl_msg_types, nfqnl_attr_type, nfqnl_attr_config.
NFNL_SUBSYS_QUEUE: Final = 3
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = 0, 1, 2
NFQA_PACKET_HDR, NFQA_VERDICT_HDR, NFQA_CT = 1, 2, 11
CFG_CMD, CFG_PARAMS, CFG_MAXLEN, CFG_MASK, CFG_FLAGS = 1, 2, 3, 4, 5
CMD_BIND, CMD_UNBIND = 1, 2
COPY_META: Final = 1
F_CONNTRACK: Final = 2
NF_DROP, NF_ACCEPT = 0, 1
#: Packets that may wait in the kernel; more are dropped, and counted by it.
MAXLEN: Final = 65_536
BUFFER_BYTES: Final = 16 << 20
#: How long a packet waits for word of its expectation: the kernel tells of one a moment after it can be used.
PATIENCE_SECONDS: Final = 0.25
#: A RELATED flow that was let in may send without an answer for so long, milliseconds.
LET_IN_MS: Final = 600_000
#: How often the table is looked after, seconds.
LOOK_SECONDS: Final = 1.0
#: NEW of ctnetlink: how a queued packet's connection reads as a row.
CT_NEW: Final = 1 << 8
NLM_F_CREATE_EXCL: Final = 0x600


class Waiting(NamedTuple):
    """A packet in the queue: its number, its connection, until when it waits (monotonic), its connection's id."""

    number: int
    subject: Subject | None
    until: float
    id: int


class Hold:
    """The table and the queue of one namespace; a `Guard` opens, feeds and closes it."""

    def __init__(self, netns: NetNs = None, *, queue: int = QUEUE) -> None:
        """Prepare; nothing is changed yet.

        Args:
            netns: which namespace.
            queue: number of the queue; another program must not have it.
        """
        self._path = path_of(netns)
        self._number = queue
        self._table: Netlink | None = None
        self._packets: Netlink | None = None
        self._waiting: list[Waiting] = []
        self._next_look = 0.0

    def open(self, guard: Guard) -> None:
        """Listen to the queue, then put up the table, or take over the one that a killed guard has left.

        Raises:
            UsageError: another guard holds this namespace.
            KernelError: the kernel refuses.
        """
        self._packets = within(self._path, lambda: Netlink(buffer_bytes=BUFFER_BYTES))
        self._table = within(self._path, Netlink)
        try:
            self._listen()
            self._table.transact("putting up the guard's table", install(self._number), family=FAMILY)
        except KernelError as error:
            self.close()
            if error.errno in (errno.EBUSY, errno.EPERM, errno.EEXIST) and error.errno != errno.EACCES:
                raise UsageError(
                    f"another guard holds this namespace, or a program has queue {self._number}: {error}",
                    hint="stop it first; of one that was killed conntap guard --release removes what is left",
                ) from error
            raise

    def _listen(self) -> None:
        assert self._packets is not None
        config = NFNL_SUBSYS_QUEUE << 8 | MSG_CONFIG
        bind = attribute(CFG_CMD, struct.pack("!BxH", CMD_BIND, 0))
        params = attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META))
        flags = attribute(CFG_FLAGS, struct.pack("!I", F_CONNTRACK)) + attribute(
            CFG_MASK, struct.pack("!I", F_CONNTRACK)
        )
        length = attribute(CFG_MAXLEN, struct.pack("!I", MAXLEN))
        op = f"listening to queue {self._number}"
        self._packets.ask(op, config, bind, resource=self._number)
        self._packets.ask(op, config, params + flags + length, resource=self._number)

    def descriptors(self) -> list[int]:
        """To poll."""
        return [] if self._packets is None else [self._packets.fileno()]

    @property
    def wait(self) -> float | None:
        """Seconds until a packet's patience ends; None: none waits."""
        return max(0.0, min(one.until for one in self._waiting) - time.monotonic()) if self._waiting else None

    def receive(self, guard: Guard) -> None:
        """Take what waits in the kernel's queue. Events that are older must be read behind this."""
        assert self._packets is not None
        found: list[tuple[int, bytes]] = []
        try:
            for kind, _, content in self._packets.receive():
                if kind == NFNL_SUBSYS_QUEUE << 8 | MSG_PACKET:
                    told = dict(attributes(content[4:]))
                    number = struct.unpack_from("!I", told.get(NFQA_PACKET_HDR, bytes(4)))[0]
                    found.append((number, content[:4] + told.get(NFQA_CT, b"")))
        except KernelError as error:
            if error.errno != errno.ENOBUFS:
                raise
            guard.metrics.add("held_lost")  # the kernel dropped packets that we did not fetch in time: closed
        if not found:
            return
        guard.metrics.add("held", len(found))
        until = time.monotonic() + PATIENCE_SECONDS
        rows: dict[int, tuple[Subject, int]] = {}
        datagrams = [(_row(body), 0) for _, body in found]
        for index, _, _, id_, _, _, raw in _core.Batch.of(datagrams).announced():
            rows[index] = (Subject._make(raw), id_)
        for index, (number, _) in enumerate(found):
            subject, id_ = rows.get(index, (None, 0))
            self._waiting.append(Waiting(number, subject, until, id_))

    def answer(self, guard: Guard) -> None:
        """Let in, drop, or let wait a little longer."""
        if not self._waiting:
            return
        verdicts: list[bytes] = []
        passed: list[int] = []
        still: list[Waiting] = []
        now = time.monotonic()
        for one in self._waiting:
            allowed = guard.judged(one.subject) if one.subject is not None else False
            if allowed is None and now < one.until:
                still.append(one)
                continue
            verdicts.append(verdict(one.number, NF_ACCEPT if allowed else NF_DROP, self._number))
            if allowed:
                guard.metrics.add("let_in")
                if one.id:
                    passed.append(one.id)
            else:
                guard.metrics.add("refused" if allowed is False else "refused_unknown")
        self._waiting = still
        if passed and self._table is not None:
            try:
                self._table.transact(
                    "letting further packets pass", [element(one, LET_IN_MS) for one in passed], family=FAMILY
                )
                guard.metrics.add("approved", len(passed))
            except KernelError:
                guard.metrics.add("hold_failures")  # its next packet waits again
        if verdicts and self._packets is not None:
            self._packets.send(b"".join(verdicts))

    def look_after(self, guard: Guard) -> None:
        """Is our table still there?"""
        now = time.monotonic()
        if now < self._next_look or self._table is None:
            return
        self._next_look = now + LOOK_SECONDS
        if not is_there(self._table):
            self._table.transact("putting the guard's table back", install(self._number), family=FAMILY)
            guard.metrics.add("repaired")

    def close(self) -> None:
        """Take the table down and let go of the queue. May be called twice."""
        if self._table is not None:
            try:
                self._table.transact("taking the guard's table down", [(DELTABLE, 0, table())], family=FAMILY)
            except KernelError:
                pass  # it is not there, or another's
            self._table.close()
            self._table = None
        if self._packets is not None:
            self._packets.close()
            self._packets = None


def verdict(number: int, what: int, queue: int) -> bytes:
    """A verdict on one packet."""
    head = attribute(NFQA_VERDICT_HDR, struct.pack("!II", what, number))
    return message(NFNL_SUBSYS_QUEUE << 8 | MSG_VERDICT, 0, head, resource=queue)


def _row(body: bytes) -> bytes:
    """The connection of a queued packet as the message of a NEW event."""
    return struct.pack("=IHHII", 16 + len(body), CT_NEW, NLM_F_CREATE_EXCL, 0, 0) + body


def is_there(link: Netlink) -> bool:
    """Is there a table of a guard?"""
    try:
        link.ask("looking for the guard's table", NFNL_SUBSYS_NFTABLES << 8 | GETTABLE, table(), family=FAMILY)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


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
            # To adopt it first: what belongs to nobody may not be removed by others either.
            link.transact("releasing the guard's table", install(QUEUE)[:1], family=FAMILY)
            link.transact("releasing the guard's table", [(DELTABLE, 0, table())], family=FAMILY)
        except KernelError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EBUSY):
                raise UsageError(
                    "a guard that runs holds this namespace", hint="stop it: it takes its table down itself"
                ) from error
            raise
        return True
    finally:
        link.close()


