"""Each packet's state, as the kernel reports it by nfnetlink_log: one message a packet, no extra request.

A rule per state logs with the state as prefix (`rules.tracking_rules`). Logging changes neither packet nor entry.

Source: linux/netfilter/nfnetlink_log.h; nfulnl_log_packet in net/netfilter/nfnetlink_log.c.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.errors import LabError
from conntap.netlink import ATTRIBUTES_AT, SUBSYSTEM_LOG, TYPE, attributes, pack

if TYPE_CHECKING:
    import socket

__all__ = ["read_log", "subscribe"]

NFULNL_MSG_CONFIG: Final = 1
NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH = 1, 2, 5
NFULNL_CFG_CMD_BIND: Final = 1
NFULNL_COPY_META: Final = 1
NFULA_PREFIX: Final = 10

NLM_F_REQUEST, NLM_F_ACK = 0x1, 0x4
NLMSG_ERROR: Final = 2


def subscribe(handle: socket.socket, group: int) -> None:
    """Let *handle*, a NETLINK_NETFILTER socket, receive the log messages of *group*, each at once.

    Raises:
        LabError: the kernel refuses, or another socket has the group.
    """
    # In two steps: the group must exist before it can be set.
    command = pack(NFULA_CFG_CMD, struct.pack("=B", NFULNL_CFG_CMD_BIND))
    mode = pack(NFULA_CFG_MODE, struct.pack(">IBx", 0, NFULNL_COPY_META))
    settings = mode + pack(NFULA_CFG_QTHRESH, struct.pack(">I", 1))
    for body in (command, settings):
        kind = SUBSYSTEM_LOG << 8 | NFULNL_MSG_CONFIG
        head = struct.pack("=IHHIIBB", ATTRIBUTES_AT + len(body), kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0, 0, 0)
        handle.send(head + struct.pack(">H", group) + body)
        answer = handle.recv(65536)
        _, kind, _, _, _, code = struct.unpack_from("=IHHIIi", answer)
        if kind != NLMSG_ERROR or code:
            raise LabError(f"the kernel refuses log group {group}: errno {-code}")


def read_log(message: bytes) -> str:
    """Return the state that a log message tells."""
    for kind, payload in attributes(message, ATTRIBUTES_AT):
        if kind & TYPE == NFULA_PREFIX:
            return payload.rstrip(b"\0").decode("ascii", "replace")
    return ""
