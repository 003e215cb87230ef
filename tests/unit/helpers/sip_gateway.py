"""A gateway with one table of expectations for all its SIP connections, as the kernel keeps it.

Source of the table's rules: kernel net/netfilter/nf_conntrack_expect.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conntap.helpers.base import ORIGINAL, REPLY, Drop, Expect, Refused, Tuple
from conntap.helpers.sip import Sip
from conntap.helpers.testing import FakeConnection, FakePacket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.helpers.base import Expectation

PERMANENT, INACTIVE = 1, 2
LONGEST = 65507


class Outcome(NamedTuple):
    """What became of a packet: its payload (None: dropped), expectation messages, other wishes of the helper."""

    payload: bytes | None
    events: list[dict[str, Any]]
    log: list[tuple[object, ...]]

    @property
    def made(self) -> list[int]:
        """Ports of the expectations made."""
        return [event["dport"] for event in self.events if event["what"] == "new"]

    @property
    def removed(self) -> list[int]:
        """Ports of the expectations removed."""
        return [event["dport"] for event in self.events if event["what"] == "destroy"]


class Entry:
    """An expectation in the table."""

    def __init__(self, gateway: Gateway, owner: Connection, wanted: Expect) -> None:
        self.gateway = gateway
        self.owner = owner
        self.wanted = wanted
        self.inactive = wanted.inactive
        self.left = Sip.policies[wanted.expect_class].timeout

    def remove(self) -> None:
        self.gateway.table.remove(self)
        self.gateway.events.append({**self.message("destroy"), "timeout": self.left})

    def message(self, what: str) -> dict[str, Any]:
        wanted = self.wanted
        message = {
            "what": what,
            "src": None if wanted.src is None else str(wanted.src),
            "dst": str(wanted.dst),
            "dport": wanted.dport,
            "l4proto": wanted.l4proto,
            "class": wanted.expect_class,
            "flags": PERMANENT * wanted.permanent | INACTIVE * self.inactive,
            "connection": self.owner.number,
        }
        if nat := wanted.nat:
            message["nat"] = [nat.direction, str(nat.saved_addr), nat.saved_port]
        return message

    def matches(self, flow: Tuple) -> bool:
        wanted = self.wanted
        return (
            flow[1:3] == (wanted.dst, wanted.l4proto) and flow.dport == wanted.dport and wanted.src in (None, flow.src)
        )

    def clashes(self, wanted: Expect) -> bool:
        return _end(wanted) == _end(self.wanted) and (wanted.src is None or self.wanted.src in (None, wanted.src))


class Seen:
    """An entry as a connection's helper sees it."""

    def __init__(self, entry: Entry, by: Connection) -> None:
        self.entry = entry
        self.wanted = entry.wanted
        self.mine = entry.owner is by
        self.same_helper = entry.owner.original.l4proto == by.original.l4proto
        self.remove = entry.remove

    def refresh(self, seconds: int, *, activate: bool = False) -> None:
        self.entry.left = seconds
        self.entry.inactive = self.entry.inactive and not activate


class Connection(FakeConnection):
    """A connection of the gateway, with its helper."""

    def __init__(self, gateway: Gateway, original: Tuple, reply: Tuple, options: Mapping[str, int]) -> None:
        super().__init__(
            str(original.src), original.sport, str(original.dst), original.dport, l4proto=original.l4proto, reply=reply
        )
        self.gateway = gateway
        self.number = len(gateway.connections)
        self.options = options
        self.helper = Sip(options)
        self.answered = self.confirmed = False


class Packet(FakePacket):
    """A packet whose expectations go into the gateway's table."""

    _connection: Connection

    def expect(self, wanted: Expect) -> Expectation:
        gateway = self._connection.gateway
        for entry in reversed(gateway.table):
            owner = entry.owner is self._connection
            same = (entry.wanted.src, *_end(entry.wanted)) == (wanted.src, *_end(wanted))
            if same and (owner or wanted.any_master):
                if not owner or entry.wanted.expect_class != wanted.expect_class:
                    raise Refused("already")
                entry.remove()
                break
            if entry.clashes(wanted):
                raise Refused("busy")
        mine = [entry for entry in gateway.table if entry.owner is self._connection]
        of_class = [entry for entry in mine if entry.wanted.expect_class == wanted.expect_class]
        if len(of_class) >= Sip.policies[wanted.expect_class].max_expected:
            of_class[0].remove()
        entry = Entry(gateway, self._connection, wanted)
        gateway.table.append(entry)
        gateway.events.append(entry.message("new"))
        return Seen(entry, self._connection)

    def expectations(self) -> list[Expectation]:
        table = self._connection.gateway.table
        return [Seen(entry, self._connection) for entry in reversed(table) if entry.owner is self._connection]

    def find(self, wanted: Tuple) -> Expectation | None:
        found = [entry for entry in reversed(self._connection.gateway.table) if entry.matches(wanted)]
        return Seen(found[0], self._connection) if found else None

    def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
        assert 0 <= start <= start + length <= len(self.payload)
        if len(self.payload) + len(replacement) - length > LONGEST:
            raise Drop("too long")
        super().mangle(start, length, replacement, adjust=adjust)


class Gateway:
    """Forwards packets of connections, each read by a SIP helper if it is to or from port 5060.

    Attributes:
        table: expectations, oldest first.
    """

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        self.options = options or {}
        self.connections: list[Connection] = []
        self.table: list[Entry] = []
        self.events: list[dict[str, Any]] = []

    def connect(self, original: Tuple, reply: Tuple | None = None) -> Connection:
        """Make a connection."""
        made = Connection(self, original, reply or original.inverse(), self.options)
        self.connections.append(made)
        return made

    def arrive(self, flow: Tuple, payload: bytes) -> Outcome:
        """A packet with this tuple arrives; what becomes of it."""
        for known in self.connections:
            if flow in (known.original, known.reply):
                return self.send(known, ORIGINAL if flow == known.original else REPLY, payload)
        self.events.clear()
        announced = [entry for entry in reversed(self.table) if not entry.inactive and entry.matches(flow)]
        if announced and not announced[0].wanted.permanent:
            announced[0].remove()
        made = self.connect(flow)
        made.expected = bool(announced)
        return self.send(made, ORIGINAL, payload, before=list(self.events))

    def send(
        self, connection: Connection, direction: int, payload: bytes, before: list[dict[str, Any]] | None = None
    ) -> Outcome:
        """The next packet of a connection; what becomes of it."""
        connection.answered = connection.answered or direction == REPLY
        state = "established" if connection.answered else "new"
        packet = Packet(connection, payload, direction, state, 0, None)
        self.events.clear()
        connection.log.clear()
        out: bytes | None = None
        try:
            if Sip.port in (connection.original.dport, connection.reply.dport) or connection.expected:
                connection.helper.packet(packet)
        except Drop:
            if not connection.confirmed:
                # The entry is not kept, and its expectations go with it.
                for entry in packet.expectations():
                    entry.remove()
                connection.helper = Sip(connection.options)
        else:
            connection.confirmed = True
            out = packet.payload
        return Outcome(out, [*(before or []), *self.events], list(connection.log))


def _end(wanted: Expect) -> tuple[object, ...]:
    return wanted.dst, wanted.l4proto, wanted.dport
