"""Receive buffers of netlink sockets, asked of the kernel: /proc/net/netlink does not tell how large they are.

Source: linux/sock_diag.h, linux/netlink_diag.h; net/netlink/diag.c. Read-only, needs no right.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

from conntap.netlink import HEAD, messages, values

__all__ = ["buffers", "parse"]

NETLINK_SOCK_DIAG: Final = 4
NETLINK_NETFILTER: Final = 12
SOCK_DIAG_BY_FAMILY: Final = 20
NLM_F_REQUEST_DUMP: Final = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
NDIAG_SHOW_MEMINFO: Final = 1
NETLINK_DIAG_MEMINFO: Final = 0
#: struct netlink_diag_msg, behind the message's head.
BODY: Final = struct.Struct("=BBBBIIIIII")
SECONDS: Final = 0.2


def buffers() -> dict[int, int]:
    """Inode → receive buffer in bytes of each netfilter socket in this thread's namespace; empty where it is not told.

    Raises:
        OSError: the kernel has no such question, or refuses it.
    """
    asked = struct.pack("=BBHIIII", socket.AF_NETLINK, NETLINK_NETFILTER, 0, 0, NDIAG_SHOW_MEMINFO, 0, 0)
    request = HEAD.pack(HEAD.size + len(asked), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 1, 0) + asked
    found: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as handle:
        handle.settimeout(SECONDS)
        handle.send(request)
        while True:
            more, rows = parse(handle.recv(65_536))
            found.update(rows)
            if not more:
                return found


def parse(datagram: bytes) -> tuple[bool, dict[int, int]]:
    """Rows of one answer, and whether another follows.

    Raises:
        OSError: the answer is an error.
    """
    found: dict[int, int] = {}
    more = True
    for message in messages(datagram):
        kind, body = HEAD.unpack_from(message)[1], message[HEAD.size :]
        if kind == NLMSG_DONE:
            more = False
        elif kind == NLMSG_ERROR:
            (code,) = struct.unpack_from("=i", body) if len(body) >= 4 else (0,)
            if code:
                raise OSError(-code, "sockets cannot be asked for their buffers")
            more = False
        elif kind == SOCK_DIAG_BY_FAMILY and len(body) >= BODY.size:
            inode = BODY.unpack_from(body)[7]
            # struct sk_meminfo: rmem_alloc, rcvbuf, …
            if len(memory := values(body, BODY.size).get(NETLINK_DIAG_MEMINFO, b"")) >= 8:
                found[inode] = struct.unpack_from("=II", memory)[1]
    return more, found
