"""The kernel as a subject: packets go into a gateway one at a time, and what they caused is read after each.

A frame written to a veth device is taken through the other end's whole receive path before `send` returns: the device
hands it to this CPU's backlog, which is worked off when `send` lets softirqs run again (veth_xmit in
drivers/net/veth.c, __local_bh_enable_ip in kernel/softirq.c). So after `send` the events wait in the netlink socket
and the forwarded frame in the packet socket, and neither must be waited for. Where nothing came out, the packet may
have been put off (softirqs that exceed their budget go to a thread), and a moment is waited to be sure.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, Self

from conntap.lab.errors import LabError
from conntap.lab.parity.gateway import INNER_MACS, OUTER_DEVICES, OUTER_MACS
from conntap.lab.parity.hop import give_back, make_passable
from conntap.lab.parity.probe import PROBE
from conntap.lab.parity.rules import LOG_GROUP
from conntap.lab.parity.state_log import read_log, subscribe
from conntap.lab.parity.subject import LEFT, RIGHT, Answer
from conntap.netlink import SUBSYSTEM_CT, SUBSYSTEM_EXP, SUBSYSTEM_LOG, messages

if TYPE_CHECKING:
    from types import TracebackType

    from conntap.lab.parity.gateway import Gateway

__all__ = ["KernelSubject"]

NETLINK_NETFILTER: Final = 12
SOL_NETLINK: Final = 270
SOL_PACKET: Final = 263
NETLINK_ADD_MEMBERSHIP: Final = 1
SO_RCVBUFFORCE: Final = 33
PACKET_IGNORE_OUTGOING: Final = 23
ETH_P_ALL: Final = 3
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD

#: nfnetlink groups: flows new, update, destroy; expectations new, update, destroy.
GROUPS: Final = (1, 2, 3, 4, 5, 6)

# A table of 100,000 entries announces its end into this at once. The kernel counts each message as 768 bytes at least.
BUFFER_BYTES: Final = 256 << 20
# How long a packet that caused nothing is waited for.
QUIET_MS: Final = 1
# Deletions asked for before their events are read.
DELETE_AT_ONCE: Final = 128
FRAME_BYTES: Final = 14 + 65535 + 1
# The link watcher needs some milliseconds; this is for a machine that is busy.
READY_SECONDS: Final = 5.0


class KernelSubject:
    """The tracker of a gateway's kernel, as a `Subject`; use with `with`.

    It takes a packet when it is called, whatever time it is told. For one thread.

    Args:
        gateway: built and up; must outlive the subject.
        tables: dump the tables after every packet (`Answer.table`): some hundred microseconds each.

    Raises:
        LabError: a socket cannot be had; events were lost, so that no comparison is possible.
    """

    __slots__ = ("_frames", "_netlink", "_poll", "_requests", "_senders", "_tables")

    def __init__(self, gateway: Gateway, *, tables: bool = False) -> None:
        from conntap import _core

        self._tables = tables
        self._requests = _core.Requests(netns=f"/proc/{gateway.gateway.pid}/ns/net")
        self._netlink = gateway.gateway.call(_open_netlink, gateway.note_states)
        self._frames = gateway.outside.call(_open_receiver)
        self._senders = tuple(gateway.outside.call(_open_sender, device) for device in OUTER_DEVICES)
        self._poll = select.poll()
        self._poll.register(self._frames, select.POLLIN)
        try:
            self._await_path()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets. May be called twice."""
        for handle in (self._netlink, self._frames, *self._senders):
            handle.close()

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        """Send one packet, now, and return what the kernel made of it."""
        passable = make_passable(ip)
        head = OUTER_MACS[side] + INNER_MACS[side]
        kind = ETH_P_IPV6 if ip[:1] and ip[0] >> 4 == 6 else ETH_P_IP
        self._senders[side].send(head[6:] + head[:6] + struct.pack(">H", kind) + passable)
        ttl = None if passable is ip else ip[7 if kind == ETH_P_IPV6 else 8]
        forwarded = self._receive_frames(side, ttl)
        if not forwarded and self._poll.poll(QUIET_MS):
            forwarded = self._receive_frames(side, ttl)
        found, verdict = self._receive_events()
        return Answer(found, forwarded, verdict, self._dump() if self._tables else None)

    def settle(self, now_ns: int) -> list[bytes]:
        """Return the events that came since the last call, without a packet."""
        return self._receive_events()[0]

    def flush(self, now_ns: int) -> list[bytes]:
        """Delete every entry, a few at a time so that no event is lost, and return all events."""
        found: list[bytes] = []
        for batch in list(self._requests.dump("flows")):
            flows = batch.flows()
            while some := list(islice(flows, DELETE_AT_ONCE)):
                for code in self._requests.delete_flows(some):
                    if code not in (0, errno.ENOENT):  # it may have run out meanwhile
                        raise LabError(f"cannot delete an entry: {os.strerror(code)}")
                found += self._receive_events()[0]
        return found + self._receive_events()[0]

    def _await_path(self) -> None:
        """Wait until packets come through both ways; forget what that caused."""
        deadline = time.monotonic() + READY_SECONDS
        for side in (LEFT, RIGHT):
            while not self.packet(0, side, PROBE).forwarded:
                if time.monotonic() > deadline:
                    raise LabError(f"the gateway forwards nothing after {READY_SECONDS:g} s")

    def _dump(self) -> list[bytes]:
        tables = ("flows", "expectations")
        return [row for table in tables for batch in self._requests.dump(table) for row, _ in batch.messages()]

    def _receive_events(self) -> tuple[list[bytes], str]:
        found: list[bytes] = []
        verdict = ""
        receive = self._netlink.recv
        while True:
            try:
                datagram = receive(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found, verdict
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                raise LabError("the kernel lost events: the receive buffer was full", hint=_BUFFER_HINT) from error
            for message in messages(datagram):
                subsystem = int.from_bytes(message[4:6], sys.byteorder) >> 8
                if subsystem == SUBSYSTEM_LOG:
                    verdict = read_log(message)
                elif subsystem in (SUBSYSTEM_CT, SUBSYSTEM_EXP):
                    found.append(message)

    def _receive_frames(self, side: int, ttl: int | None) -> list[bytes]:
        """Return what left on the side other than *side*; errors and group messages of the gateway itself are not."""
        found: list[bytes] = []
        leaving = INNER_MACS[RIGHT if side == LEFT else LEFT]
        receive = self._frames.recv
        while True:
            try:
                frame = receive(FRAME_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            if frame[6:12] == leaving and not _is_multicast6(frame):
                found.append(give_back(frame[14:], ttl))


_BUFFER_HINT: Final = "run as root of the machine (SO_RCVBUFFORCE), or raise net.core.rmem_max"


def _is_multicast6(frame: bytes) -> bool:
    """Tell group membership reports, which a router sends when it likes, from what it forwards: no multicast."""
    return frame[12:14] == b"\x86\xdd" and frame[38:39] == b"\xff"


def _open_netlink(note_states: bool) -> socket.socket:
    """Subscribe one socket to everything, so that the order between flows and expectations is the kernel's own."""
    handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    try:
        handle.bind((0, 0))
        if note_states:
            subscribe(handle, LOG_GROUP)
        _enlarge(handle)
        for group in GROUPS:
            handle.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except BaseException:
        handle.close()
        raise
    return handle


def _open_receiver() -> socket.socket:
    """See all frames of the outer ends, not those that we send."""
    handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    handle.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    _enlarge(handle)
    return handle


def _open_sender(device: str) -> socket.socket:
    handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: receives nothing
    handle.bind((device, 0))
    return handle


def _enlarge(handle: socket.socket) -> None:
    try:
        handle.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:  # root of a user namespace only: what the machine allows
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
