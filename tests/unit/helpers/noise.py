"""Conversations that no program would hold, and what every helper must do with them: nothing worse than drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, Drop, Helper
from conntap.helpers.testing import FakeConnection

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from conntap.helpers.testing import FakeExpectation

CLIENTS = {4: ("10.0.1.2", "10.0.2.2", "10.0.2.1"), 6: ("2001:db8:1::2", "2001:db8:2::2", "2001:db8:2::1")}

Step = tuple[int, bytes]


def conversations(*pieces: bytes) -> SearchStrategy[list[Step]]:
    """Payloads of both sides, made of *pieces* of the protocol and of arbitrary bytes."""
    part = st.one_of(st.sampled_from(pieces), st.binary(max_size=12), st.integers(0, 70000).map(lambda n: b"%d" % n))
    payload = st.lists(part, max_size=9).map(b"".join)
    return st.lists(st.tuples(st.sampled_from([ORIGINAL, REPLY]), payload), max_size=8)


def connection(helper: type[Helper], *, family: int = 4, natted: bool = False) -> FakeConnection:
    """A connection from 10.0.1.2 to the helper's port of 10.0.2.2, or the like in IPv6; the world sees 10.0.2.1."""
    client, server, seen_as = CLIENTS[family]
    made = FakeConnection(client, 40000, server, helper.port, l4proto=helper.l4protos[0])
    if natted:
        outside = FakeConnection(seen_as, 40000, server, helper.port, l4proto=helper.l4protos[0])
        made.reply = outside.original.inverse()
    return made


def hold(helper: type[Helper], steps: list[Step], *, family: int = 4, natted: bool = False) -> list[FakeExpectation]:
    """Hold the conversation, each segment where the one before ended: what is expected then.

    Anything but Drop is the helper's fault; so is more than five expectations at one packet, a port that is none, or
    a payload longer than a packet.
    """
    held = connection(helper, family=family, natted=natted)
    reader = helper()
    seqs = [0xFFFF_FFF0, 7]
    for direction, payload in steps:
        packet = held.packet(payload, direction=direction, seq=seqs[direction])
        before = len(held.table)
        try:
            reader.packet(packet)
        except Drop:
            continue
        finally:
            assert len(held.table) - before <= 5
            assert len(packet.payload) < 1 << 16
        seqs[direction] = (seqs[direction] + len(payload)) % (1 << 32)
    assert all(0 <= entry.wanted.dport < 1 << 16 for entry in held.table)
    return held.table
