"""A packet that leaves no trace in the tracker, to find out whether a new gateway forwards yet.

Devices that were just set up pass nothing until the kernel's link watcher has run, some milliseconds later. Neighbour
solicitations are not tracked: no entry, no event. Source: icmpv6_error and nf_conntrack_icmpv6_error in
net/netfilter/nf_conntrack_proto_icmpv6.c; linkwatch_do_dev in net/core/link_watch.c.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

__all__ = ["PROBE"]

ICMPV6: Final = 58
NEIGHBOUR_SOLICITATION: Final = 135


def _build() -> bytes:
    source, target = (ipaddress.IPv6Address(text).packed for text in ("2001:db8::1", "2001:db8::2"))
    body = struct.pack(">BBHI", NEIGHBOUR_SOLICITATION, 0, 0, 0) + target
    pseudo = source + target + struct.pack(">II", len(body), ICMPV6)
    total = sum(struct.unpack(f">{(len(pseudo) + len(body)) // 2}H", pseudo + body))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    body = body[:2] + struct.pack(">H", ~total & 0xFFFF) + body[4:]
    return struct.pack(">IHBB", 6 << 28, len(body), ICMPV6, 64) + source + target + body


#: An IPv6 packet.
PROBE: Final = _build()
