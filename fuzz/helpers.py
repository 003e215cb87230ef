#!/usr/bin/env python3
"""Fuzz every protocol helper: real and made-up conversations with faults. No coverage: messages know their grammar.

  fuzz/helpers.py [--seconds S | --executions N] [--seed SEED] [--engine] [HELPER …]

An execution is one packet through a helper. Invariant: nothing but `Drop` comes out, and what is asked for is in the
engine's bounds: ports, classes, times, places in the payload. One call is bounded, also for the longest payload of
the worst shape: that is measured first. Ends with 1 if the invariant broke; the conversation that did it is written
to fuzz/artifacts/helpers/. The same seed gives the same conversations. With --engine they pass through the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from ipaddress import IPv4Interface, ip_address
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal, NoReturn

from helper_messages import MAKERS, Conversation, mutated, seeds
from helper_shapes import LARGEST, shapes

from conntap.helpers.base import GRE, ORIGINAL, TCP, UDP, Drop, Expect, Expectation, Helper, Refused, Tuple
from conntap.helpers.registry import HELPERS, load
from conntap.helpers.testing import FakeConnection, FakeExpectation, FakePacket

if TYPE_CHECKING:
    from conntap.helpers.base import Policy

State = Literal["new", "established", "related"]

ARTIFACTS = Path(__file__).parent / "artifacts/helpers"
HOSTS = {4: ("10.0.1.2", "10.0.2.2", "10.0.2.1"), 6: ("2001:db8:1::2", "2001:db8:2::2", "2001:db8:2::1")}
LONGEST = 65_535 - 40

# Of one call with the longest payload, in processor time, which a busy neighbour can double: 4 µs an octet. Segments
# with hundreds of whole messages come near to it; a message alone does not.
MOST_NS = 260_000_000
# How much longer a payload four times as long may take where that is more than the clock's own doubt.
MOST_GROWTH = 4 * 1.75
DOUBT_NS = 1_500_000


class Table:
    """A connection and its expectations, with the engine's limits and its refusal of what it cannot take."""

    def __init__(self, random: Random, helper: type[Helper]) -> None:
        self.random = random
        self.family = random.choice(helper.families if random.random() < 0.9 else (4,))
        client, server, seen_as = HOSTS[self.family]
        port, l4proto = helper.port or 11_000, random.choice(helper.l4protos)
        self.connection = FakeConnection(client, random.choice((40_000, port, 162)), server, port, l4proto=l4proto)
        if random.random() < 0.5:
            way = self.connection.original
            natted = way._replace(src=ip_address(seen_as), sport=random.choice((way.sport, 1024)))
            if random.random() < 0.3:
                natted = natted._replace(dst=ip_address("192.0.2.9" if self.family == 4 else "2001:db8:9::9"))
            self.connection.reply = natted.inverse()
        self.connection.expected = random.random() < 0.1
        self.connection.outside = {ip_address(server)}
        self.policies: tuple[Policy, ...] = helper.policies
        self.busy = random.choice((0, 0, 0, 1, 150))  # ports that are
        self.room = random.choice((LONGEST, LONGEST, 200, 0))

    @property
    def entries(self) -> list[FakeExpectation]:
        """All expectations."""
        return self.connection.table

    def packet(
        self, payload: bytes, direction: int, seq: int, state: State = "established", local: IPv4Interface | None = None
    ) -> CheckedPacket:
        """The connection's next packet."""
        made = CheckedPacket(self.connection, payload, direction, state, seq, local)
        made.table = self
        return made

    def others(self) -> None:
        """Another connection of the same helper has expectations too."""
        host = ip_address(HOSTS[self.family][0])
        wanted = Expect(dst=host, dport=8000, l4proto=UDP, expect_class=min(1, len(self.policies) - 1))
        self.entries.append(FakeExpectation(self.entries, wanted, mine=False))

    def expect(self, packet: CheckedPacket, wanted: Expect) -> Expectation:
        """Enter one as the engine does."""
        check_expect(wanted, self)
        if self.busy and self.random.random() < 0.9:
            self.busy -= 1
            raise Refused("busy")
        if self.random.random() < 0.03:
            raise Refused(self.random.choice(("busy", "already", "full")))
        same = [one for one in self.entries if one.mine and one.wanted.expect_class == wanted.expect_class]
        limit = self.policies[wanted.expect_class].max_expected
        for one in [one for one in same if one.wanted == wanted]:
            one.remove()
            same.remove(one)
        if limit and len(same) >= limit:
            same[0].remove()
        if len(self.entries) >= 100:
            raise Refused("full")
        return FakePacket.expect(packet, wanted)


class CheckedPacket(FakePacket):
    """A packet that looks at what it is asked."""

    table: Table

    def expect(self, wanted: Expect) -> Expectation:
        return self.table.expect(self, wanted)

    def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
        within(start, 0, len(self.payload), "start")
        within(length, 0, len(self.payload) - start, "length")
        if len(replacement) > length and len(self.payload) - length + len(replacement) > self.table.room:
            raise Drop("the packet would become too long")
        super().mangle(start, length, bytes(replacement), adjust=adjust)

    def refresh(self, seconds: int) -> None:
        within(seconds, 0, 2**32 - 1, "seconds")
        super().refresh(seconds)

    def adjust_sequence(self, difference: int) -> None:
        within(difference, -(2**31), 2**31 - 1, "difference")
        super().adjust_sequence(difference)

    def set_dport(self, port: int) -> None:
        within(port, 0, 65_535, "port")
        super().set_dport(port)

    def find(self, wanted: Tuple) -> Expectation | None:
        check_tuple(wanted)
        return super().find(wanted)

    def map_gre(self, original: Tuple, reply: Tuple) -> bool:
        check_tuple(original)
        check_tuple(reply)
        return super().map_gre(original, reply) and self.table.random.random() < 0.9

    def kill(self, flow: Tuple) -> bool:
        check_tuple(flow)
        super().kill(flow)
        return self.table.random.random() < 0.5


def within(value: int, least: int, most: int, what: str) -> None:
    """See that a number is one, and in its bounds."""
    assert isinstance(value, int), what
    assert least <= value <= most, f"{what} is {value}, not {least} to {most}"


def check_tuple(flow: Tuple) -> None:
    """See that the engine can take a tuple."""
    within(flow.sport, 0, 65_535, "sport")
    within(flow.dport, 0, 65_535, "dport")
    assert flow.src.version == flow.dst.version
    assert flow.l4proto in {TCP, UDP, GRE}


def check_expect(wanted: Expect, table: Table) -> None:
    """See that the engine can take an expectation."""
    check_tuple(Tuple(wanted.src or wanted.dst, wanted.dst, wanted.l4proto, wanted.sport or 0, wanted.dport))
    assert wanted.dst.version == table.family
    within(wanted.expect_class, 0, len(table.policies) - 1, "class")
    within(wanted.src_prefix or 0, 0, wanted.dst.max_prefixlen, "prefix")
    within(wanted.timeout or 0, 0, 2**32 - 1, "timeout")
    assert wanted.helper is None or wanted.helper in HELPERS
    if wanted.nat:
        within(wanted.nat.direction, 0, 1, "direction")
        within(wanted.nat.saved_port, 0, 65_535, "saved port")


class Run:
    """One helper's share."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = Random(f"{name} {seed}")
        self.helper = load(name)
        self.seeds = seeds(self.helper)
        self.payloads = [payload for conversation in self.seeds for _, payload in conversation] or [b"\0" * 50]
        self.maker = MAKERS.get(name)
        self.executions = self.drops = self.expectations = self.mangled = 0
        self.slowest_ns, self.slowest_len = 0, 0

    # --- conversations

    def conversation(self) -> Conversation:
        """One that was held, or one that was made up, with or without faults."""
        random, maker = self.random, self.maker
        if self.seeds and (maker is None or random.random() < 0.4):
            steps = random.choice(self.seeds)[:12]
        elif maker is not None:
            steps = [(side := random.getrandbits(1), maker(random, side)) for _ in range(random.randrange(1, 8))]
        else:
            steps = [(ORIGINAL, random.randbytes(50))]
        chance = random.choice((0.0, 0.2, 0.2, 0.7, 1.0))
        out: Conversation = []
        for direction, payload in steps:
            if random.random() < chance:
                payload = mutated(random, payload, self.payloads)
            if random.random() < 0.02:
                direction = 1 - direction
            out.append((direction, payload))
            if random.random() < 0.03:
                out.append((direction, payload))
        if random.random() < 0.05:
            at = random.randrange(len(out))
            direction, payload = out[at]
            out[at : at + 1] = [(direction, payload[:9]), (direction, payload[9:])]
        return out

    def hold(self, steps: Conversation) -> None:
        """Hold the conversation."""
        random = self.random
        table = Table(random, self.helper)
        if random.random() < 0.2:
            table.others()
        options = {name: random.choice((0, 1, value)) for name, value in self.helper.parameters.items()}
        reader = self.helper(options if random.random() < 0.3 else None)
        reader_packet = reader.packet
        seqs = [random.choice((0xFFFF_FFF0, 1000)), 7]
        local = IPv4Interface("10.0.1.2/24") if random.random() < 0.3 else None
        state: State = "established" if random.random() < 0.9 else "new"
        made = None
        for direction, payload in steps:
            made = table.packet(payload, direction, seqs[direction], state, local)
            before = len(table.entries)
            began = time.thread_time_ns()
            try:
                reader_packet(made)
            except Drop:
                self.drops += 1
            took = time.thread_time_ns() - began
            self.executions += 1
            self.expectations += len(table.entries) > before
            self.mangled += made.payload is not payload
            assert len(made.payload) <= max(LONGEST, len(payload))
            if took > self.slowest_ns:
                self.slowest_ns, self.slowest_len = took, len(payload)
            if random.random() < 0.97:
                seqs[direction] = (seqs[direction] + len(payload)) % (1 << 32)
            state = "established" if random.random() < 0.95 else random.choice(("new", "related"))
        if made is not None and random.random() < 0.5:
            made.payload = b""
            reader.ended(made)

    def fuzz(self, seconds: float, executions: int) -> None:
        """Hold conversations until it is enough."""
        until = time.monotonic() + seconds if seconds else 0.0
        while self.executions < executions or (until and time.monotonic() < until):
            steps = self.conversation()
            try:
                self.hold(steps)
            except Exception:  # noqa: BLE001 — whatever it is, it is the find
                self.broken(steps)

    def fuzz_engine(self, seconds: float, executions: int) -> None:
        """Hold conversations through the engine until it is enough; a new one after every hundred."""
        from helper_engine import Gateway  # the rest needs no extension module

        until = time.monotonic() + seconds if seconds else 0.0
        while self.executions < executions or (until and time.monotonic() < until):
            gateway = Gateway(self.random, self.helper)
            held: list[Conversation] = []
            try:
                for _ in range(100):
                    held.append(self.conversation())
                    gateway.hold(held[-1])
            except Exception:  # noqa: BLE001 — whatever it is, it is the find
                self.broken(held[-1])
            self.executions += gateway.executions
            self.drops += gateway.engine.counters["helper_dropped"]
            self.expectations += gateway.engine.counters["expectations"]

    def broken(self, steps: Conversation) -> NoReturn:
        """Write down the conversation, and end."""
        traceback.print_exc()
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTIFACTS / f"{self.name}-{self.executions}.json"
        path.write_text(json.dumps([[direction, payload.hex()] for direction, payload in steps]))
        print(f"{self.name}: BROKEN after {self.executions} executions: {path}")
        sys.exit(1)

    # --- cost

    def measure(self) -> tuple[int, str]:
        """The most that one call costs with the longest payloads of the worst shapes, and by which shape."""
        worst, which = 0, ""
        for what, build in shapes(self.name, self.seeds):
            for natted in (False, True):
                short = self.cost(build(LARGEST // 4), natted=natted)
                long = self.cost(build(LARGEST), natted=natted)
                if long > worst:
                    worst, which = long, f"{what}{' (NAT)' if natted else ''}"
                if long > MOST_NS or long > DOUBT_NS + short * MOST_GROWTH:
                    times = f"{short / 1e6:.2f} ms, then {long / 1e6:.2f} ms"
                    print(f"{self.name}: {what}, natted {natted}: {times}: too much")
                    self.too_slow = True
        return worst, which

    too_slow = False

    def cost(self, steps: Conversation, *, natted: bool) -> int:
        """What the last call of a conversation costs, at best of three."""
        best = 1 << 62
        for _ in range(3):
            random = Random(1)
            client, server, seen_as = HOSTS[4]
            port, l4proto = self.helper.port or 11_000, self.helper.l4protos[0]
            if self.name == "sip" and steps[-1][1].startswith(b"INVITE") and steps[-1][1].count(b"l: 0"):
                l4proto = TCP
            connection = FakeConnection(client, 40_000, server, port, l4proto=l4proto)
            if natted:
                connection.reply = connection.original._replace(src=ip_address(seen_as)).inverse()
            table = Table(random, self.helper)
            table.connection, table.family, table.busy, table.room = connection, 4, 0, LONGEST
            reader, seqs = self.helper(), [0, 0]
            took = 0
            for direction, payload in steps:
                made = table.packet(payload, direction, seqs[direction])
                began = time.thread_time_ns()
                try:
                    reader.packet(made)
                except Drop:
                    pass
                took = time.thread_time_ns() - began
                seqs[direction] += len(payload)
            best = min(best, took)
        return best


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("helpers", nargs="*", metavar="HELPER", default=list(HELPERS))
    parser.add_argument("--seconds", type=float, default=0, help="for each helper; default 5 without --executions")
    parser.add_argument("--executions", type=int, default=0, help="for each helper")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", action="store_true", help="through the engine")
    chosen = parser.parse_args()
    seconds = chosen.seconds or (0 if chosen.executions else 5)
    head = ("helper", "executions", "per_second", "drops", "expecting", "changed", "slowest", "64 KiB", "worst shape")
    print(f"\n{head[0]:<12}" + "".join(f"{word:>12}" for word in head[1:-1]) + f"  {head[-1]}")
    status = 0
    for name in chosen.helpers:
        run = Run(name, chosen.seed)
        worst, which = (0, "") if chosen.engine else run.measure()
        began = time.monotonic()
        (run.fuzz_engine if chosen.engine else run.fuzz)(seconds, chosen.executions)
        rate = run.executions / max(time.monotonic() - began, 1e-9)
        slowest = f"{run.slowest_ns / 1e6:.2f} ms"
        print(
            f"{name:<12}{run.executions:>12}{rate:>12.0f}{run.drops:>12}{run.expectations:>12}{run.mangled:>12}"
            f"{slowest:>12}{worst / 1e6:>9.2f} ms  {which}",
            flush=True,
        )
        status |= run.too_slow
    return status


if __name__ == "__main__":
    sys.exit(main())
