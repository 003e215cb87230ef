"""The same conversations as packets through the engine, which asks the helper: what stands between is tried too."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from conntap import _core
from conntap.helpers.base import ORIGINAL, TCP
from conntap.helpers.registry import HELPERS, load
from conntap.helpers.runtime import HelperHost

if TYPE_CHECKING:
    from random import Random

    from helper_messages import Conversation

    from conntap.helpers.base import Helper

AF_INET, AF_INET6 = 2, 10
SYN, ACK = 2, 16
SECOND = 1_000_000_000
# Few, so that connections and expectations of earlier conversations are in the way.
PORTS = (40_000, 40_001, 40_002, 162)
ENDS = {
    AF_INET: [ip_address(text).packed for text in ("10.0.1.2", "10.0.2.2", "10.0.2.1")],
    AF_INET6: [ip_address(text).packed for text in ("2001:db8:1::2", "2001:db8:2::2", "2001:db8:2::1")],
}


def _ip(family: int, l4proto: int, src: bytes, dst: bytes, segment: bytes) -> bytes:
    if family == AF_INET6:
        return struct.pack(">IHBB", 6 << 28, len(segment), l4proto, 64) + src + dst + segment
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, l4proto, 0) + src + dst
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return head[:10] + total.to_bytes(2, "big") + head[12:] + segment


class Gateway:
    """An engine with all helpers, used for many conversations of one of them."""

    def __init__(self, random: Random, helper: type[Helper]) -> None:
        self.random, self.helper = random, helper
        settings = [("checksum", 0), ("max", 200), ("expect_max", random.choice((3, 60, 4096)))]
        self.engine = _core.Engine(settings, b"0123456789abcdef")
        self.port = helper.port or 11_000
        self.host = HelperHost(self.engine, {name: load(name) for name in HELPERS}, {})
        for l4proto in helper.l4protos:
            self.engine.assign(list(HELPERS).index(helper.name), l4proto, self.port, 0)
        self.natted = random.random() < 0.5
        if self.natted:
            for family in (AF_INET, AF_INET6):
                outside = ENDS[family][2]
                self.engine.add_nat(True, family, None, None, (outside, outside), None, False)
        self.now_ns = 1_700_000_000 * SECOND
        self.executions = 0

    def hold(self, steps: Conversation) -> None:
        """Let a conversation pass."""
        random = self.random
        family = AF_INET if 6 not in self.helper.families or random.random() < 0.8 else AF_INET6
        l4proto, sport = random.choice(self.helper.l4protos), random.choice(PORTS)
        client, server, outside = ENDS[family]
        seqs = [random.choice((1000, 0xFFFF_FF00)), 5000]

        def send(direction: int, flags: int, payload: bytes) -> None:
            ends = (client, server) if direction == ORIGINAL else (server, outside if self.natted else client)
            ports = (sport, self.port) if direction == ORIGINAL else (self.port, sport)
            payload = payload[:60_000]
            if l4proto == TCP:
                numbers = (seqs[direction], seqs[1 - direction] if flags & ACK else 0)
                segment = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 65535, 0, 0) + payload
                seqs[direction] = (seqs[direction] + len(payload) + (flags & SYN) // SYN) % (1 << 32)
            else:
                segment = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
            self.now_ns += random.choice((1, 1, 1, 400)) * SECOND // 1000
            self.engine.packet(self.now_ns, _ip(family, l4proto, *ends, segment), self.host.ask)
            self.executions += 1

        if l4proto == TCP:
            send(0, SYN, b"")
            send(1, SYN | ACK, b"")
            send(0, ACK, b"")
        for direction, payload in steps:
            send(direction, ACK, payload)
        events, _ = self.engine.take_events()
        assert events.json().count(b"\n") == len(events)
        if random.random() < 0.05:
            self.now_ns += 1000 * SECOND
