"""Two ctnetlink requests that the lab makes by hand, so that it judges conntap without using it."""

from __future__ import annotations

import socket
import struct
from typing import Final

from conntap.lab.errors import LabError

__all__ = ["destroy_expired", "flush"]

NETLINK_NETFILTER: Final = 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IPCTNL_MSG_CT_GET: Final = 1 << 8 | 1
IPCTNL_MSG_CT_DELETE: Final = 1 << 8 | 2


def destroy_expired() -> int:
    """Dump the table of this thread's namespace and return how many entries are alive.

    The dump is the point: the kernel frees entries that have run out when it meets them, else up to a minute later.
    Source: ctnetlink_dump_table in net/netfilter/nf_conntrack_netlink.c.
    """
    return _request(IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP)


def flush() -> None:
    """Delete every entry of this thread's namespace; each is announced by its DESTROY."""
    _request(IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK)


def _request(kind: int, flags: int) -> int:
    """Send one request and count the entries of the answer."""
    entries = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as handle:
        handle.send(struct.pack("=IHHIIBBH", 20, kind, flags, 1, 0, 0, 0, 0))
        while True:
            data = handle.recv(65536)
            at = 0
            while at + 16 <= len(data):
                length, answer = struct.unpack_from("=IH", data, at)
                if answer == NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", data, at + 16)
                    if code:
                        raise LabError(f"ctnetlink request {kind:#x} failed: errno {-code}")
                    return entries
                if answer == NLMSG_DONE:
                    return entries
                entries += 1
                at += max(16, length + 3 & ~3)
