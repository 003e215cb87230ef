"""Messages as a gateway's kernel sends them, written by hand, and the records that a ledger makes of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import ip_address

from conntap import Batch, _core

#: 2026-11-24 in nanoseconds, and not on a whole millisecond.
START_NS = 1_795_474_031_123_456_789
SECOND = 1_000_000_000

TCP, UDP, ICMP, ESP, ICMPV6 = 6, 17, 1, 50, 58
NEW, DESTROY, DUMPED = (0x0100, 0x400), (0x0102, 0), (0x0100, 0x002)

NESTED = 0x8000


@dataclass(frozen=True)
class Side:
    """One tuple. *ports*: source and destination; of ICMP *echo*: identifier, type, code."""

    src: str
    dst: str
    ports: tuple[int, int] | None = None
    echo: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Connection:
    """What the kernel knows of one. A value of None is not sent."""

    proto: int
    orig: Side
    reply: Side
    number: int = 7
    #: packets and bytes, original and reply
    counters: tuple[int, int, int, int] | None = (10, 1000, 8, 90_000)
    start_ns: int | None = START_NS
    stop_ns: int | None = START_NS + 5 * SECOND
    status: int = 0x19E
    mark: int | None = None
    zone: int | None = None
    helper: str | None = None
    labels: bytes | None = None
    state: int | None = None


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(parts))


def number(kind: int, value: int, octets: int) -> bytes:
    return attribute(kind, value.to_bytes(octets, "big"))


def side(kind: int, proto: int, ends: Side) -> bytes:
    src, dst = ip_address(ends.src), ip_address(ends.dst)
    first = 1 if src.version == 4 else 3
    parts = [number(1, proto, 1)]
    if ends.ports:
        parts += [number(2, ends.ports[0], 2), number(3, ends.ports[1], 2)]
    if ends.echo:
        base = 7 if proto == ICMPV6 else 4
        parts += [number(base + at, value, 1 if at else 2) for at, value in enumerate(ends.echo)]
    return nest(kind, nest(1, attribute(first, src.packed), attribute(first + 1, dst.packed)), nest(2, *parts))


def message(event: tuple[int, int], flow: Connection) -> bytes:
    """The kernel's message: `NEW`, `DESTROY`, or an entry of a table (`DUMPED`)."""
    parts = [side(1, flow.proto, flow.orig), side(2, flow.proto, flow.reply), number(3, flow.status, 4)]
    if flow.counters and event is not NEW:
        for kind, (packets, octets) in zip((9, 10), (flow.counters[:2], flow.counters[2:]), strict=True):
            parts.append(nest(kind, number(1, packets, 8), number(2, octets, 8)))
    times = [(1, flow.start_ns), (2, flow.stop_ns if event is DESTROY else None)]
    if any(time is not None for _, time in times):
        parts.append(nest(20, *(number(kind, time, 8) for kind, time in times if time is not None)))
    parts.append(number(12, flow.number, 4))
    if flow.mark is not None:
        parts.append(number(8, flow.mark, 4))
    if flow.zone is not None:
        parts.append(number(18, flow.zone, 2))
    if flow.helper is not None:
        parts.append(nest(5, attribute(1, flow.helper.encode() + b"\0")))
    if flow.labels is not None:
        parts.append(attribute(22, flow.labels))
    if flow.state is not None:
        parts.append(nest(4, nest(1, number(1, flow.state, 1))))
    body = b"".join(parts)
    family = 2 if ip_address(flow.orig.src).version == 4 else 10
    kind, flags = event
    return struct.pack("=IHHII", 20 + len(body), kind, flags, 0, 0) + bytes([family, 0, 0, 0]) + body


def batch(*rows: tuple[tuple[int, int], Connection], received_ns: int = START_NS + 9 * SECOND) -> Batch:
    return Batch.of([(message(event, flow), received_ns) for event, flow in rows])


def ended(*flows: Connection, bindings: str = "none") -> Batch:
    """The records of connections that began and ended."""
    ledger = _core.Ledger(bindings=bindings)
    began = ledger.feed(batch(*((NEW, flow) for flow in flows), received_ns=START_NS))
    return Batch.concat([began, ledger.feed(batch(*((DESTROY, flow) for flow in flows)))])


SNAT = Connection(
    TCP,
    Side("10.0.0.5", "198.51.100.9", (40_000, 443)),
    Side("198.51.100.9", "203.0.113.7", (443, 41_234)),
    state=7,
)
DNAT = Connection(
    UDP,
    Side("192.0.2.33", "203.0.113.7", (5353, 53)),
    Side("10.0.0.53", "192.0.2.33", (5300, 5353)),
    number=8,
    counters=(1, 60, 1, 300),
)
PLAIN6 = Connection(
    TCP,
    Side("2001:db8:1::5", "2001:db8:2::80", (50_000, 80)),
    Side("2001:db8:2::80", "2001:db8:1::5", (80, 50_000)),
    number=9,
    counters=(5, 400, 4, 5000),
)
SNAT6 = Connection(
    UDP,
    Side("fd00::5", "2001:db8:2::53", (5000, 53)),
    Side("2001:db8:2::53", "2001:db8:f::1", (53, 6000)),
    number=10,
)
PING = Connection(
    ICMP,
    Side("10.0.0.5", "198.51.100.9", echo=(777, 8, 0)),
    Side("198.51.100.9", "203.0.113.7", echo=(888, 0, 0)),
    number=11,
    counters=(4, 336, 4, 336),
)
PING6 = Connection(
    ICMPV6,
    Side("2001:db8:1::5", "2001:db8:2::80", echo=(99, 128, 0)),
    Side("2001:db8:2::80", "2001:db8:1::5", echo=(99, 129, 0)),
    number=12,
    counters=(1, 104, 1, 104),
)
TUNNEL = Connection(
    ESP, Side("10.0.0.5", "198.51.100.9"), Side("198.51.100.9", "203.0.113.7"), number=13, counters=(3, 300, 2, 200)
)
#: One of each form.
ALL = (SNAT, DNAT, PLAIN6, SNAT6, PING, PING6, TUNNEL)


def many(count: int) -> Batch:
    """Records of that many different translated connections."""
    flows = [
        replace(
            SNAT,
            number=at,
            orig=replace(SNAT.orig, src=f"10.1.{at // 250}.{at % 250 + 1}"),
            start_ns=START_NS + at,
        )
        for at in range(count)
    ]
    return ended(*flows)
