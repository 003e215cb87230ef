"""Messages to nf_tables and ctnetlink: written, sent, answered; no rule text on the way.

nft cannot make a table that outlives its owner (`persist`), and the owner is the socket that made it: so the few
messages that hold needs are written here. Source: include/uapi/linux/netfilter/{nf_tables,nfnetlink}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, Final

from conntap.errors import KernelError, from_errno
from conntap.netlink import HEAD, NESTED, messages
from conntap.netlink import pack as attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Netlink", "attribute", "message", "nested"]

NETLINK_NETFILTER: Final = 12
NFGENMSG: Final = struct.Struct("!BBH")
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 1, 4, 0x200, 0x400, 0x800
NLMSG_ERROR: Final = 2
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 16, 17
NFNL_SUBSYS_NFTABLES: Final = 10
DATAGRAM: Final = 1 << 17


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | NESTED, b"".join(inner))


def message(kind: int, flags: int, body: bytes, *, family: int = 0, resource: int = 0, seq: int = 0) -> bytes:
    """A message to a subsystem of netfilter: *kind* has the subsystem in its upper byte."""
    content = NFGENMSG.pack(family, 0, resource) + body
    return HEAD.pack(HEAD.size + len(content), kind, flags | NLM_F_REQUEST, seq, 0) + content


class Netlink:
    """A socket to netfilter in the caller's network namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._seq = 0

    def close(self) -> None:
        """Let go; what the kernel had bound to the socket ends."""
        self._socket.close()

    def ask(self, op: str, kind: int, body: bytes, *, family: int = 0, flags: int = 0) -> None:
        """Send one message and hear that it was done.

        Raises:
            KernelError: it was refused.
        """
        self._seq += 1
        self._socket.send(message(kind, flags | NLM_F_ACK, body, family=family, seq=self._seq))
        self._acknowledged(op, {self._seq})

    def transact(self, op: str, wanted: Sequence[tuple[int, int, bytes]], *, family: int) -> None:
        """Send (message of nf_tables, flags, body) as one batch: all of it is done, or nothing.

        Raises:
            KernelError: it was refused.
        """
        first = self._seq + 1
        parts = [message(NFNL_MSG_BATCH_BEGIN, 0, b"", resource=NFNL_SUBSYS_NFTABLES, seq=first)]
        waiting: set[int] = set()
        for offset, (kind, flags, body) in enumerate(wanted, start=first + 1):
            full = NFNL_SUBSYS_NFTABLES << 8 | kind
            parts.append(message(full, flags | NLM_F_ACK, body, family=family, seq=offset))
            waiting.add(offset)
        self._seq = first + len(wanted) + 1
        parts.append(message(NFNL_MSG_BATCH_END, 0, b"", resource=NFNL_SUBSYS_NFTABLES, seq=self._seq))
        self._socket.send(b"".join(parts))
        self._acknowledged(op, waiting)

    def _acknowledged(self, op: str, waiting: set[int]) -> None:
        while waiting:
            try:
                data = self._socket.recv(DATAGRAM)
            except OSError as error:
                raise from_errno(op, error.errno or 0) from error
            for answer in messages(data):
                _, kind, _, seq, _ = HEAD.unpack_from(answer)
                content = answer[HEAD.size :]
                if kind != NLMSG_ERROR or len(content) < 4:
                    continue
                number = -struct.unpack_from("=i", content)[0]
                if number:
                    raise refused(op, number)
                waiting.discard(seq)


def refused(op: str, number: int) -> KernelError:
    """The kernel's no. Hints are those of nf_tables."""
    if number == errno.EOPNOTSUPP:
        return KernelError(op, number, "this kernel does not know it", hint="Linux 6.9 or later is needed")
    return from_errno(op, number)
