"""One ctnetlink message as a value that can be compared: its own bytes, less what cannot be equal in two runs.

What is taken out, and nothing else:

- the port id in the netlink header, and the length there, which the next points change;
- the value of an id (CTA_ID, CTA_EXPECT_ID): kept aside, to check that one entry keeps one id;
- the value of a timeout (CTA_TIMEOUT, CTA_EXPECT_TIMEOUT): kept aside, compared with a tolerance. From the DESTROY of a
  flow the whole attribute goes, since the kernel leaves it out when no whole second remains;
- the values of timestamps (CTA_TIMESTAMP, CTA_TIMESTAMP_EVENT); that they are there is compared;
- of a dump's row also the rest of the netlink header and the use count (CTA_USE);
- of a packet that was forwarded (`comparable_packet`), the identification in IPv6 fragment headers, which the kernel
  chooses anew when it takes a datagram apart again.

All other bytes, the order of attributes and attributes without a name here stay, so "equal" means equal bytes.

Source: linux/netfilter/nfnetlink_conntrack.h; ctnetlink_conntrack_event in net/netfilter/nf_conntrack_netlink.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

from conntap.netlink import ATTRIBUTES_AT, SUBSYSTEM_CT, SUBSYSTEM_EXP, TYPE, attributes, pack

__all__ = ["Kind", "Message", "comparable_packet", "normalise", "same"]

Kind = Literal["NEW", "UPDATE", "DESTROY", "EXP_NEW", "EXP_DESTROY", "ROW", "EXP_ROW", "OTHER"]

#: Seconds by which timeouts of two runs may differ: each is cut to whole seconds at a moment of its own.
TOLERANCE_SECONDS: Final = 1

CTA_TUPLE_ORIG, CTA_TIMEOUT, CTA_USE, CTA_ID, CTA_ZONE, CTA_TIMESTAMP, CTA_TIMESTAMP_EVENT = 1, 7, 11, 12, 18, 20, 27
CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_TIMEOUT, CTA_EXPECT_ID, CTA_EXPECT_ZONE = (
    1,
    2,
    3,
    4,
    5,
    7,
)

NLM_F_CREATE: Final = 0x400
DELETE: Final = 2

# IPv6 next headers: hop-by-hop, routing and destination options may stand before a fragment header.
_BEFORE_FRAGMENT: Final = (0, 43, 60)
_FRAGMENT: Final = 44

_HEADER: Final = struct.Struct("=IHHII")


@dataclass(frozen=True, slots=True)
class Message:
    """A message taken apart.

    Attributes:
        raw: the message as it was sent.
        kind: what it reports.
        key: what it speaks of: family, original tuple and zone of a flow; family, tuple, mask, master and zone of an
            expectation. All lives of a flow have one key.
        body: all bytes that must be equal.
        timeout: seconds; None where the message has none.
        identity: the id; None where the message has none.
        parent: for an expectation, the key of its master in the default zone; else empty.
    """

    raw: bytes
    kind: Kind
    key: bytes
    body: bytes
    timeout: int | None
    identity: bytes | None
    parent: bytes


def normalise(raw: bytes, *, row: bool = False) -> Message:
    """Take a message apart; *row* says that it is a row of a dump and not an event. Never raises."""
    if len(raw) < ATTRIBUTES_AT:
        return Message(raw, "OTHER", b"", raw, None, None, b"")
    _, kind, flags, sequence, _ = _HEADER.unpack_from(raw)
    head = b"" if row else struct.pack("=HHI", kind, flags, sequence)
    head += raw[16:ATTRIBUTES_AT]
    subsystem, number = kind >> 8, kind & 0xFF
    if subsystem == SUBSYSTEM_CT:
        name: Kind = "ROW" if row else "DESTROY" if number == DELETE else "NEW" if flags & NLM_F_CREATE else "UPDATE"
        return _flow(raw, name, head)
    if subsystem == SUBSYSTEM_EXP:
        return _expectation(raw, "EXP_ROW" if row else "EXP_DESTROY" if number == DELETE else "EXP_NEW", head)
    return Message(raw, "OTHER", b"", head + raw[ATTRIBUTES_AT:], None, None, b"")


def same(one: Message, other: Message, *, any_timeout: bool = False) -> bool:
    """Tell whether two messages say the same; *any_timeout* leaves out the comparison of timeouts."""
    if one.body != other.body:
        return False
    return any_timeout or abs((one.timeout or 0) - (other.timeout or 0)) <= TOLERANCE_SECONDS


def comparable_packet(ip: bytes) -> bytes:
    """Return a forwarded packet without what the kernel chooses at random. Source: ip6_fragment."""
    if len(ip) < 48 or ip[0] >> 4 != 6:
        return ip
    following, at = ip[6], 40
    while following in _BEFORE_FRAGMENT and at + 2 <= len(ip):
        following, at = ip[at], at + ip[at + 1] * 8 + 8
    return ip[: at + 4] + bytes(4) + ip[at + 8 :] if following == _FRAGMENT and at + 8 <= len(ip) else ip


def _flow(raw: bytes, name: Kind, head: bytes) -> Message:
    body = [head]
    key = [raw[16:17]]
    timeout: int | None = None
    identity: bytes | None = None
    for kind, payload in attributes(raw, ATTRIBUTES_AT):
        number = kind & TYPE if kind >= 0 else -1
        if number in (CTA_TUPLE_ORIG, CTA_ZONE):
            key.append(payload)
        elif number == CTA_TIMEOUT:
            timeout = int.from_bytes(payload, "big")
            if name == "DESTROY":
                continue
            payload = bytes(len(payload))
        elif number == CTA_ID:
            identity, payload = payload, bytes(len(payload))
        elif number == CTA_TIMESTAMP:
            payload = b"".join(pack(inner, bytes(len(value))) for inner, value in attributes(payload) if inner >= 0)
        elif number == CTA_TIMESTAMP_EVENT or (number == CTA_USE and name == "ROW"):
            payload = bytes(len(payload))
        body.append(_again(kind, payload))
    return Message(raw, name, b"".join(key), b"".join(body), timeout, identity, b"")


def _expectation(raw: bytes, name: Kind, head: bytes) -> Message:
    body = [head]
    key = [raw[16:17]]
    timeout: int | None = None
    identity: bytes | None = None
    parent = b""
    for kind, payload in attributes(raw, ATTRIBUTES_AT):
        number = kind & TYPE if kind >= 0 else -1
        if number in (CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_ZONE):
            key.append(pack(kind, payload))
            if number == CTA_EXPECT_MASTER:
                parent = raw[16:17] + payload
        elif number == CTA_EXPECT_TIMEOUT:
            timeout, payload = int.from_bytes(payload, "big"), bytes(len(payload))
        elif number == CTA_EXPECT_ID:
            identity, payload = payload, bytes(len(payload))
        body.append(_again(kind, payload))
    return Message(raw, name, b"".join(key), b"".join(body), timeout, identity, parent)


def _again(kind: int, payload: bytes) -> bytes:
    """Put an attribute back; what could not be an attribute stays as it is."""
    return payload if kind < 0 else pack(kind, payload)
