r"""A connection and its expectations without an engine, to try a helper on.

connection = FakeConnection("10.0.1.2", 40000, "10.0.2.2", 21)
helper.packet(connection.packet(b"PORT 10,0,1,2,195,80\r\n", seq=1))
assert connection.table[0].wanted.dport == 50000
"""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address
from typing import Literal

from conntap.helpers.base import ORIGINAL, TCP, Address, Expect, Expectation, Refused, Tuple

__all__ = ["FakeConnection", "FakeExpectation", "FakePacket"]


class FakeExpectation:
    """An expectation in the table of a `FakeConnection`; `active` and `left` (seconds) can be looked at."""

    def __init__(
        self, table: list[FakeExpectation], wanted: Expect, *, mine: bool = True, same_helper: bool = True
    ) -> None:
        self._table = table
        self.wanted = wanted
        self.mine = mine
        self.same_helper = same_helper
        self.active = not wanted.inactive
        self.left: int | None = wanted.timeout

    def remove(self) -> None:
        """Take it out of the table."""
        self._table.remove(self)

    def refresh(self, seconds: int, *, activate: bool = False) -> None:
        """Let it live so long from now on."""
        self.left = seconds
        self.active = self.active or activate

    def matches(self, flow: Tuple) -> bool:
        """Would a connection with this original tuple fulfil it?"""
        wanted = self.wanted
        return (
            (wanted.dst, wanted.dport, wanted.l4proto) == (flow.dst, flow.dport, flow.l4proto)
            and wanted.src in (None, flow.src)
            and wanted.sport in (None, flow.sport)
        )


class FakeConnection:
    """A connection, translated where `reply` differs from the inverse of `original`.

    Attributes:
        table: expectations, oldest first.
        gre: what `map_gre` was last told and took.
        log: what packets asked for beside expectations: ("refresh", 3600), ("kill", tuple) …
        outside: addresses to which packets leave as this connection's do.
        refuse: the next `expect` calls fail for these reasons, in order; None lets one pass.
    """

    def __init__(
        self, src: str, sport: int, dst: str, dport: int, *, l4proto: int = TCP, reply: Tuple | None = None
    ) -> None:
        self.original = Tuple(ip_address(src), ip_address(dst), l4proto, sport, dport)
        self.reply = reply or self.original.inverse()
        self.table: list[FakeExpectation] = []
        self.log: list[tuple[object, ...]] = []
        self.refuse: list[Literal["busy", "already", "full"] | None] = []
        self.outside: set[Address] = set()
        self.expected = False
        self.gre: tuple[Tuple, Tuple] | None = None

    def packet(
        self,
        payload: bytes,
        *,
        direction: int = ORIGINAL,
        state: Literal["new", "established", "related"] = "established",
        seq: int = 0,
        local_network: IPv4Interface | None = None,
    ) -> FakePacket:
        """Make the next packet of this connection."""
        return FakePacket(self, payload, direction, state, seq, local_network)


class FakePacket:
    """A packet of a `FakeConnection`: `conntap.helpers.base.Packet`."""

    def __init__(
        self,
        connection: FakeConnection,
        payload: bytes,
        direction: int,
        state: Literal["new", "established", "related"],
        seq: int,
        local_network: IPv4Interface | None,
    ) -> None:
        self._connection = connection
        self.payload = payload
        self.direction = direction
        self.state: Literal["new", "established", "related"] = state
        self.seq = seq
        self.original = connection.original
        self.reply = connection.reply
        self.natted = connection.reply != connection.original.inverse()
        self.expected = connection.expected
        self.local_network = local_network

    @property
    def tuple(self) -> Tuple:
        """The connection's tuple of this packet's direction."""
        return self.original if self.direction == ORIGINAL else self.reply

    @property
    def inverse(self) -> Tuple:
        """The connection's tuple of the other direction."""
        return self.reply if self.direction == ORIGINAL else self.original

    def expect(self, wanted: Expect) -> Expectation:
        """Enter an expectation, unless the connection is told to refuse."""
        why = self._connection.refuse.pop(0) if self._connection.refuse else None
        if why is not None:
            raise Refused(why)
        made = FakeExpectation(self._connection.table, wanted)
        self._connection.table.append(made)
        return made

    def expectations(self) -> list[Expectation]:
        """Those of this connection, newest first."""
        return [found for found in reversed(self._connection.table) if found.mine]

    def find(self, wanted: Tuple) -> Expectation | None:
        """The expectation that this tuple would match."""
        return next((found for found in self._connection.table if found.matches(wanted)), None)

    def refresh(self, seconds: int) -> None:
        """Note the wish."""
        self._connection.log.append(("refresh", seconds))

    def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
        """Replace bytes of the payload, and note the shift of sequence numbers."""
        self.payload = self.payload[:start] + replacement + self.payload[start + length :]
        if adjust and len(replacement) != length and self.original.l4proto == TCP:
            self._connection.log.append(("adjust", len(replacement) - length))

    def adjust_sequence(self, difference: int) -> None:
        """Note the wish."""
        self._connection.log.append(("adjust", difference))

    def leaves_alike(self, address: Address) -> bool:
        """Is it one of the connection's `outside`?"""
        return address in self._connection.outside

    def set_dport(self, port: int) -> None:
        """Note the wish."""
        self._connection.log.append(("set_dport", port))

    def map_gre(self, original: Tuple, reply: Tuple) -> bool:
        """Keep the pair, unless there is another; as in the kernel, senders' keys are not compared."""
        self._connection.log.append(("map_gre", original, reply))
        held = self._connection.gre = self._connection.gre or (original, reply)
        same = [one._replace(sport=0) == other._replace(sport=0) for one, other in zip(held, (original, reply))]
        if same == [True, False]:
            self._connection.gre = None
        return all(same)

    def unmap_gre(self) -> None:
        """Forget the pair."""
        self._connection.log.append(("unmap_gre",))
        self._connection.gre = None

    def kill(self, flow: Tuple) -> bool:
        """Note the wish; nothing is there to be killed."""
        self._connection.log.append(("kill", flow))
        return False
