"""The kernel's packet log as a program receives it: nfnetlink_log, group 0, where INVALID packets come.

Source: linux/netfilter/nfnetlink_log.h; nfulnl_log_packet in net/netfilter/nfnetlink_log.c (without other words in
a rule the group is 0: default_loginfo).
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from conntap.errors import KernelError, from_errno
from conntap.netlink import HEAD, pack, values

__all__ = ["Line", "PacketLog", "parse"]

NETLINK_NETFILTER: Final = 12
SUBSYSTEM: Final = 4
MSG_PACKET, MSG_CONFIG = 0, 1
CFG_CMD, CFG_MODE, CFG_TIMEOUT, CFG_QTHRESH, CFG_FLAGS = 1, 2, 4, 5, 6
CMD_BIND: Final = 1
COPY_PACKET: Final = 2
F_SEQ: Final = 1
IFINDEX_IN, IFINDEX_OUT, PAYLOAD, PREFIX, SEQ = 4, 5, 9, 10, 12
NLM_F_REQUEST_ACK: Final = 5
NLMSG_ERROR: Final = 2
#: Behind the message head: struct nfgenmsg.
BODY_AT: Final = HEAD.size + 4
#: Bytes of each packet: enough for the headers, those inside of an ICMP error included.
COPIED: Final = 160
#: Used only while lines wait.
BUFFER_BYTES: Final = 64 << 20
SO_RCVBUFFORCE: Final = 33
#: Lines gather so many, or so long (in 1/100 s), before the kernel hands them out.
GATHER, GATHER_CENTISECONDS = 16, 5
#: The kernel's messages are a page long; so many are taken at once.
DATAGRAM, AT_ONCE = 1 << 16, 64


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log.

    Attributes:
        prefix: the kernel's words.
        packet: the packet's first bytes, from the IP header on.
        came_by: index of the interface it came in by; 0: sent by this machine.
        went_by: index of the interface it leaves by, where that is known.
        number: counts the lines of the group; a hole is a loss.
    """

    prefix: str
    packet: bytes
    came_by: int = 0
    went_by: int = 0
    number: int | None = None


class PacketLog:
    """A subscription to group 0 in the namespace in which it is made.

    Attributes:
        lost: lines that the kernel could not deliver, by their numbers; of the last ones nothing tells.
        malformed: messages that could not be read.
    """

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            KernelError: the kernel refuses, or another program (ulogd …) has the group.
        """
        self.lost = self.malformed = 0
        self._next: int | None = None
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            raise from_errno("opening the packet log", error.errno or 0) from error
        try:
            with suppress(OSError):  # without CAP_NET_ADMIN there the usual size must do
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            # In two steps: the group must exist before it can be set.
            self._configure(pack(CFG_CMD, struct.pack("=B", CMD_BIND)))
            self._configure(
                pack(CFG_MODE, struct.pack(">IBx", COPIED, COPY_PACKET))
                + pack(CFG_QTHRESH, struct.pack(">I", GATHER))
                + pack(CFG_TIMEOUT, struct.pack(">I", GATHER_CENTISECONDS))
                + pack(CFG_FLAGS, struct.pack(">H", F_SEQ))
            )
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """End the subscription; the group is free again."""
        self._socket.close()

    def _configure(self, body: bytes) -> None:
        op = "listening to the packet log (group 0)"
        kind = SUBSYSTEM << 8 | MSG_CONFIG
        head = HEAD.pack(BODY_AT + len(body), kind, NLM_F_REQUEST_ACK, 1, 0)
        try:
            self._socket.send(head + struct.pack(">BBH", 0, 0, 0) + body)
            answer = self._socket.recv(65_536)
        except OSError as error:
            raise from_errno(op, error.errno or 0) from error
        code = -struct.unpack_from("=i", answer, HEAD.size)[0]
        # The kernel says EPERM of another's group, as it does without the right.
        if code in (errno.EBUSY, errno.EPERM) and (holder := _holder()) is not None:
            hint = f"it has netlink port {holder}, mostly its pid (ulogd?): stop it for a while"
            raise KernelError(op, code, "another program has it", hint=hint)
        if code:
            raise from_errno(op, code)

    def receive(self, seconds: float) -> list[Line]:
        """Lines that come within *seconds*; returns with the first, and what came with it."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, seconds))
        lines: list[Line] = []
        for _ in range(AT_ONCE if ready else 0):
            try:
                datagram = self._socket.recv(DATAGRAM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # the hole in the numbers tells how many
                    continue
                raise from_errno("reading the packet log", error.errno or 0) from error
            found, malformed = parse(datagram)
            self.malformed += malformed
            lines += found
        for line in lines:
            if line.number is not None:
                if self._next is not None:
                    self.lost += (line.number - self._next) & 0xFFFF_FFFF
                self._next = (line.number + 1) & 0xFFFF_FFFF
        return lines


def parse(datagram: bytes) -> tuple[list[Line], int]:
    """The lines of one datagram, and how many messages could not be read."""
    lines: list[Line] = []
    malformed = at = 0
    while at + HEAD.size <= len(datagram):
        length, kind, _, _, _ = HEAD.unpack_from(datagram, at)
        if length < HEAD.size or at + length > len(datagram):
            return lines, malformed + 1
        if kind == SUBSYSTEM << 8 | MSG_PACKET:
            line = _line(datagram[at + BODY_AT : at + length])
            if line is None:
                malformed += 1
            else:
                lines.append(line)
        at += (length + 3) & ~3
    return lines, malformed


def _line(body: bytes) -> Line | None:
    found = values(body)
    if PREFIX not in found and PAYLOAD not in found:
        return None
    number = _number(found.get(SEQ, b""))
    return Line(
        prefix=found.get(PREFIX, b"").rstrip(b"\0").decode("utf-8", "replace").strip(),
        packet=found.get(PAYLOAD, b""),
        came_by=_number(found.get(IFINDEX_IN, b"")) or 0,
        went_by=_number(found.get(IFINDEX_OUT, b"")) or 0,
        number=number,
    )


def _holder() -> int | None:
    """Who has group 0 in this thread's namespace. Columns of the table: group, port …"""
    with suppress(OSError, ValueError, IndexError), open("/proc/thread-self/net/netfilter/nfnetlink_log") as table:
        for line in table:
            group, port = line.split()[:2]
            if int(group) == 0:
                return int(port)
    return None


def _number(value: bytes) -> int | None:
    return int.from_bytes(value, "big") if len(value) == 4 else None
