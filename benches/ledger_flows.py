"""Synthetic flows of a gateway with carrier-grade NAT, as the kernel's own messages, to measure the ledger with.

What they are like (`Shape` has the numbers):
- subscribers in 100.64.0.0/10, each bound to one public address; how busy they are is heavy-tailed (Pareto);
- the source port is kept, as netfilter does when it is free, for all but a few, which get another;
- destinations: popular servers by Zipf's law, ports mostly 443, 53, 80;
- TCP, UDP and ICMP; a part is never answered (scans);
- beginnings at random nanoseconds through the time; lifetimes log-normal, and the protocol's timeout on top;
- sizes log-normal with a heavy tail; bytes follow packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Chunk", "Shape", "chunks", "messages"]

SECOND = 1_000_000_000
TCP, UDP, ICMP = 6, 17, 1
NEW, DESTROY = 0, 2
SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, SRC_NAT_DONE, DYING = 2, 4, 8, 16, 128, 512


@dataclass(frozen=True)
class Shape:
    """How a gateway's flows look."""

    flows: int = 10_000_000
    a_second: int = 10_000
    subscribers: int = 20_000
    public: int = 64
    servers: int = 100_000
    port_kept: float = 0.95
    unanswered: float = 0.08
    protocols: tuple[float, float, float] = (0.58, 0.40, 0.02)
    begin_ns: int = 1_790_000_000 * SECOND
    seed: int = 1


class Chunk(NamedTuple):
    """Flows by column, in order of their end."""

    proto: Any
    src: Any
    sport: Any
    dst: Any
    dport: Any
    nat: Any
    nport: Any
    answered: Any
    start: Any
    stop: Any
    packets: Any
    bytes: Any
    reply_packets: Any
    reply_bytes: Any


def chunks(shape: Shape, size: int = 1 << 17) -> Iterator[Chunk]:
    """All flows, in pieces of *size*."""
    rng = np.random.default_rng(shape.seed)
    busy = rng.pareto(1.2, shape.subscribers) + 0.05
    busy_sum = np.cumsum(busy) / busy.sum()
    servers = rng.integers(0x05000000, 0xDF000000, shape.servers, dtype=np.uint32)
    popular = 1 / np.arange(1, shape.servers + 1) ** 1.1
    popular_sum = np.cumsum(popular) / popular.sum()
    usual = rng.random(shape.servers)
    ports = np.select(
        [usual < 0.75, usual < 0.85, usual < 0.93], [443, 53, 80], rng.integers(1024, 65536, shape.servers)
    )
    for first in range(0, shape.flows, size):
        n = min(size, shape.flows - first)
        who = np.searchsorted(busy_sum, rng.random(n))
        server = np.searchsorted(popular_sum, rng.random(n))
        proto = rng.choice(np.array([TCP, UDP, ICMP], np.uint8), n, p=shape.protocols)
        # Linux gives clients ports of 32768 to 60999, others use more.
        sport = np.where(rng.random(n) < 0.6, rng.integers(32768, 61000, n), rng.integers(1024, 65536, n)).astype(
            np.uint16
        )
        kept = rng.random(n) < shape.port_kept
        answered = rng.random(n) >= shape.unanswered
        low, high = (first * SECOND // shape.a_second, (first + n) * SECOND // shape.a_second)
        stop = shape.begin_ns + np.sort(rng.integers(low, high, n))
        life = rng.lognormal(np.where(proto == TCP, 1.5, 0.0), 1.8) * SECOND
        wait = np.where(proto == TCP, 10, 30) * SECOND + rng.integers(0, SECOND, n)
        packets = np.maximum(1, rng.lognormal(1.8, 1.3, n)).astype(np.int64)
        packets = np.where(answered, packets, np.minimum(packets, 3))
        back = np.where(answered, np.maximum(1, packets * rng.lognormal(0.1, 0.5, n)).astype(np.int64), 0)
        yield Chunk(
            proto=proto,
            src=(0x64400000 + who).astype(np.uint32),
            sport=sport,
            dst=servers[server],
            dport=np.where(proto == UDP, np.where(ports[server] == 80, 443, ports[server]), ports[server]).astype(
                np.uint16
            ),
            nat=(0xC6336400 + who % shape.public).astype(np.uint32),
            nport=np.where(kept, sport, rng.integers(1024, 65536, n)).astype(np.uint16),
            answered=answered,
            start=stop - (life + wait).astype(np.int64),
            stop=stop,
            packets=packets,
            bytes=(packets * rng.uniform(52, 400, n)).astype(np.int64),
            reply_packets=back,
            reply_bytes=(back * rng.uniform(60, 1400, n)).astype(np.int64),
        )


def messages(chunk: Chunk, what: int) -> list[tuple[bytes, int]]:
    """NEW or DESTROY events of a chunk, for `_core.Batch.of`: one piece of memory for each protocol."""
    made: list[tuple[bytes, int]] = []
    for proto in (TCP, UDP, ICMP):
        chosen = chunk.proto == proto
        if chosen.any():
            part = Chunk(*(column[chosen] for column in chunk))
            when = part.stop[-1] if what == DESTROY else part.start.max()
            made.append((table(part, proto, what).tobytes(), int(when)))
    return made


def attribute(kind: int, data: bytes) -> bytes:
    """A netlink attribute, padded."""
    head = (4 + len(data)).to_bytes(2, "little") + kind.to_bytes(2, "little")
    return head + data + bytes(-len(data) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(parts))


def table(part: Chunk, proto: int, what: int) -> Any:
    """Messages of one layout: a template, repeated, with columns written over its marks."""
    marks: dict[str, tuple[bytes, int]] = {}

    def mark(name: str, size: int) -> bytes:
        value = bytes([0xA0 + len(marks)]) * size if size > 1 else b""
        marks[name] = (value, size)
        return value

    def ends(kind: int, name: str) -> bytes:
        ip = nest(1, attribute(1, mark(f"{name}src", 4)), attribute(2, mark(f"{name}dst", 4)))
        if proto == ICMP:
            answer = 0 if name == "r" else 8
            l4 = [attribute(4, mark(f"{name}sport", 2)), attribute(5, bytes([answer])), attribute(6, b"\0")]
        else:
            l4 = [attribute(2, mark(f"{name}sport", 2)), attribute(3, mark(f"{name}dport", 2))]
        return nest(kind, ip, nest(2, attribute(1, bytes([proto])), *l4))

    body = b"\x02\0\0\0" + ends(1, "o") + ends(2, "r") + attribute(3, mark("status", 4)) + attribute(12, mark("id", 4))
    if what == DESTROY:
        for kind, name in ((9, "o"), (10, "r")):
            body += nest(kind, attribute(1, mark(f"{name}packets", 8)), attribute(2, mark(f"{name}bytes", 8)))
    stop = [attribute(2, mark("stop", 8))] if what == DESTROY else []
    body += nest(20, attribute(1, mark("start", 8)), *stop)
    if proto == TCP:
        body += nest(4, nest(1, attribute(1, b"\x07" if what == DESTROY else b"\x01")))
    kind = (1 << 8) | what
    head = (
        (16 + len(body)).to_bytes(4, "little")
        + kind.to_bytes(2, "little")
        + (0x600 if what == NEW else 0).to_bytes(2, "little")
    )
    template = head + bytes(8) + body
    rows = np.tile(np.frombuffer(template, np.uint8), (len(part.src), 1))
    status = np.where(
        part.answered, SEEN_REPLY | CONFIRMED | SRC_NAT | SRC_NAT_DONE, CONFIRMED | SRC_NAT | SRC_NAT_DONE
    )
    if proto == TCP:
        status = np.where(part.answered, status | ASSURED, status)
    if what == DESTROY:
        status = status | DYING
    columns = {
        "osrc": part.src, "odst": part.dst, "osport": part.sport, "odport": part.dport,
        "rsrc": part.dst, "rdst": part.nat, "rsport": part.dport, "rdport": part.nport,
        "status": status, "id": (part.start ^ part.src) & 0xFFFFFFFF,
        "opackets": part.packets, "obytes": part.bytes, "rpackets": part.reply_packets, "rbytes": part.reply_bytes,
        "start": part.start, "stop": part.stop,
    }  # fmt: skip
    if proto == ICMP:
        columns["rsport"] = part.nport
    for name, (value, size) in marks.items():
        at = template.index(value)
        rows[:, at : at + size] = columns[name].astype(f">u{size}").view(np.uint8).reshape(-1, size)
    return rows
