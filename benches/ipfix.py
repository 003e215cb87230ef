"""Encoding of records as IPFIX: flows a second of one core, decoding of the records included.

The records are what a ledger makes of DESTROY events as a gateway sends them (both tuples, status, counters of both
directions, id, times): 70 % TCP and 20 % UDP behind source NAT, 7 % IPv6 without NAT, 3 % ICMP, in random order.
"""

from __future__ import annotations

import random
import struct
import time
from ipaddress import ip_address
from typing import Any

from benches.figures import spread
from conntap import _core

__all__ = ["measure", "records"]

START_NS = 1_795_474_031_000_000_000
NESTED = 0x8000
TCP, UDP, ICMP = 6, 17, 1


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(parts))


def tuple_of(kind: int, src: str, dst: str, proto: int, ports: bytes) -> bytes:
    source, destination = ip_address(src), ip_address(dst)
    first = 1 if source.version == 4 else 3
    ends = nest(1, attribute(first, source.packed), attribute(first + 1, destination.packed))
    return nest(kind, ends, nest(2, attribute(1, bytes([proto])), ports))


def ports_of(sport: int, dport: int) -> bytes:
    return attribute(2, sport.to_bytes(2, "big")) + attribute(3, dport.to_bytes(2, "big"))


def echo_of(identifier: int, kind: int) -> bytes:
    return attribute(4, identifier.to_bytes(2, "big")) + attribute(5, bytes([kind])) + attribute(6, b"\0")


def destroyed(number: int, chance: random.Random) -> bytes:
    """One DESTROY message."""
    draw, inside, sport = (
        chance.random(),
        f"10.{chance.randrange(4)}.0.{chance.randrange(1, 255)}",
        number % 60_000 + 1024,
    )
    outside, server = (
        f"203.0.113.{chance.randrange(1, 255)}",
        f"198.51.{chance.randrange(100)}.{chance.randrange(1, 255)}",
    )
    family = 2
    if draw < 0.90:
        proto, port = (TCP, 443) if draw < 0.70 else (UDP, 53)
        mapped = chance.randrange(1024, 65_536)
        orig = tuple_of(1, inside, server, proto, ports_of(sport, port))
        reply = tuple_of(2, server, outside, proto, ports_of(port, mapped))
    elif draw < 0.97:
        family, six = 10, f"2001:db8:1::{chance.randrange(1, 65_536):x}"
        orig = tuple_of(1, six, "2001:db8:2::80", TCP, ports_of(sport, 443))
        reply = tuple_of(2, "2001:db8:2::80", six, TCP, ports_of(443, sport))
    else:
        orig = tuple_of(1, inside, server, ICMP, echo_of(sport, 8))
        reply = tuple_of(2, server, outside, ICMP, echo_of(sport, 0))
    counters = [
        nest(
            kind,
            attribute(1, chance.randrange(1, 500).to_bytes(8, "big")),
            attribute(2, (number * 97).to_bytes(8, "big")),
        )
        for kind in (9, 10)
    ]
    start = START_NS + number * 1000
    body = b"".join(
        (
            orig,
            reply,
            attribute(3, (0x18E).to_bytes(4, "big")),
            *counters,
            attribute(12, chance.getrandbits(32).to_bytes(4, "big")),
            nest(20, attribute(1, start.to_bytes(8, "big")), attribute(2, (start + 3_000_000_000).to_bytes(8, "big"))),
        )
    )
    return struct.pack("=IHHII4x", 20 + len(body), 0x0102, 0, 0, 0)[:16] + bytes([family, 0, 0, 0]) + body


def records(count: int, *, seed: int = 6) -> _core.Batch:
    """A batch of that many records of flows that have ended."""
    chance = random.Random(seed)
    events = _core.Batch.of([(destroyed(number, chance), START_NS + number * 1000) for number in range(count)])
    return _core.Ledger().feed(events)


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Return flows a second of CPU time, with NAT events (another record of each translated flow) and without."""
    batch = records(plan["ipfix_flows"])
    found: dict[str, Any] = {"flows": len(batch)}
    ways: dict[str, dict[str, Any]] = {
        "udp": {"mtu": 1400, "nat_events": "no"},
        "udp_nat_events": {"mtu": 1400},
        "file": {"mtu": 65_535, "nat_events": "no"},
        "extended": {"mtu": 1400, "nat_events": "no", "extended": True},
        "netflow9": {"mtu": 1400, "nat_events": "no", "version": 9},
    }
    for name, options in ways.items():
        exporter = _core.IpfixExporter(**options)
        exporter.templates()
        rates: list[float] = []
        for _ in range(plan["ipfix_rounds"] + 1):
            begun = time.process_time()
            exporter.encode(batch)
            rates.append(len(batch) / (time.process_time() - begun))
        found[name] = spread(rates[1:])  # the first round warmed the memory up
    return found


if __name__ == "__main__":
    import json

    print(json.dumps(measure({"ipfix_flows": 100_000, "ipfix_rounds": 10}), indent=2))
