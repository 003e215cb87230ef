"""Connections that never got an entry: all their packets were INVALID, untracked or dropped before tracking.

"Why is there no connection?" is a question like any other, so they have stories as well. To put them to a filter each
is written as the message that the kernel would have sent.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.explain.packet import packet_of
from conntap.explain.select import Family

if TYPE_CHECKING:
    from conntap.explain.story import Ends
    from conntap.explain.walk import Walk
    from conntap.filter import Filter

__all__ = ["ghosts", "message_of"]

#: So many pairs of ends are looked at: a port scan has more.
PAIRS: Final = 10_000
#: Packets of one part of a file.
TRACED: Final = 200_000

NFNL_SUBSYS_CTNETLINK: Final = 1
NESTED: Final = 0x8000
# linux/netfilter/nfnetlink_conntrack.h
TUPLE_ORIG, TUPLE_REPLY = 1, 2
TUPLE_IP, TUPLE_PROTO = 1, 2
IP_ADDRESSES: Final = {4: (1, 2), 6: (3, 4)}
PROTO_NUM, PROTO_SRC_PORT, PROTO_DST_PORT = 1, 2, 3
FAMILIES: Final = {4: 2, 6: 10}


def ghosts(walk: Walk, where: Filter | None, *, limit: int) -> list[Family]:
    """Walk, and find ends between which packets went that belong to no flow.

    Args:
        where: None: all. A filter that asks for kinds of events finds none.
        limit: so many at most, in order of appearance.
    """
    if where is not None and where.uses_event_kinds:
        return []
    seen: dict[tuple[int, Ends], int] = {}
    for part in walk.parts(_core.Trace(None, limit=TRACED)):
        for traced in part.packets:
            if traced.flow is None and traced.ports is not None and (packet := packet_of(traced)):
                key = (packet.l4proto, packet.ends)
                if (packet.l4proto, packet.ends.inverse) not in seen and len(seen) < PAIRS:
                    seen.setdefault(key, traced.time_ns)
    batch = _core.Batch.of([(message_of(l4proto, ends), time_ns) for (l4proto, ends), time_ns in seen.items()])
    flows = (batch if where is None else batch.filter(where)).flows()
    return [Family(-number, {-number: flow}) for number, flow in zip(range(1, limit + 1), flows, strict=False)]


def message_of(l4proto: int, ends: Ends) -> bytes:
    """Write the message of a flow that begins with a packet from *ends* to there. Source: RFC 3549, nfnetlink(7)."""
    version = ip_address(ends.src).version
    body = struct.pack("=BBH", FAMILIES[version], 0, 0)
    for kind, direction in ((TUPLE_ORIG, ends), (TUPLE_REPLY, ends.inverse)):
        pair = zip(IP_ADDRESSES[version], (direction.src, direction.dst), strict=True)
        addresses = b"".join(_attribute(number, ip_address(address).packed) for number, address in pair)
        proto = _attribute(PROTO_NUM, bytes([l4proto]))
        proto += _attribute(PROTO_SRC_PORT, struct.pack(">H", direction.sport or 0))
        proto += _attribute(PROTO_DST_PORT, struct.pack(">H", direction.dport or 0))
        inner = _attribute(TUPLE_IP | NESTED, addresses) + _attribute(TUPLE_PROTO | NESTED, proto)
        body += _attribute(kind | NESTED, inner)
    return struct.pack("=IHHII", 16 + len(body), NFNL_SUBSYS_CTNETLINK << 8, 0, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
