"""Where a conversation takes place: its own addresses on both sides, and how the two sides reach each other.

Each conversation owns 14 addresses a side, chosen by its number alone: 10.0.0.0/8 and 2001:db8:1::/64 inside,
172.0.0.0/8 and 2001:db8:2::/64 outside. So 2^20 = 1,048,576 conversations fit beside each other before addresses
come round again, and each may use all ports. Last bytes are 1 to 14 above a multiple of 16: never .0, never .255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ip
from conntap.lab.parity.generate.talk import LEFT, RIGHT, Script, Sent

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

__all__ = ["CAPACITY", "HELPER_PORTS", "SERVER", "SHIFTED", "SHIFTING", "SNAT", "VIRTUAL", "Site", "as_text"]

CAPACITY: Final = 1 << 20
"""Conversations that fit beside each other without sharing an address."""

HOSTS: Final = 14

_OWN_PORTS: Final = 32768

_PREFIXES: Final = {
    (4, LEFT): bytes((10,)),
    (4, RIGHT): bytes((172,)),
    (6, LEFT): bytes.fromhex("20010db80001 0000000000"),
    (6, RIGHT): bytes.fromhex("20010db80002 0000000000"),
}

SNAT: Final = {4: bytes((203, 0, 113, 1)), 6: bytes.fromhex("20010db8ffff 0000000000000000 0001")}
"""The outside address that all inside hosts get, by IP version."""
VIRTUAL: Final = {4: bytes((203, 0, 113, 2)), 6: bytes.fromhex("20010db8ffff 0000000000000000 0002")}
"""The outside address that stands for the inside server."""
SERVER: Final = {4: bytes((192, 168, 200, 2)), 6: bytes.fromhex("20010db80003 0000000000000000 0002")}
"""The inside server that connections to the virtual addresses come to."""
SHIFTING: Final = {4: bytes((203, 0, 113, 3)), 6: bytes.fromhex("20010db8ffff 0000000000000000 0003")}
"""A second virtual address, whose services listen at other ports of the same server."""
SHIFTED: Final = {
    (6, 21): 2121,
    (6, 80): 8080,
    (6, 5060): 5070,
    (6, 6667): 6670,
    (17, 53): 5353,
    (17, 69): 6969,
    (17, 5060): 5070,
    (17, 10080): 10081,
}
"""Ports behind it, by protocol number and public port; all others stay as they are."""

HELPER_PORTS: Final = frozenset({21, 69, 137, 161, 1719, 1720, 1723, 5060, 6566, 6667, 10080})
"""Server ports whose connections get a helper; others never use them by chance."""

_MILLISECOND: Final = 1_000_000


def as_text(address: bytes) -> str:
    """An address as people write it: dotted, or the full IPv6 form without leading zeros."""
    if len(address) == 4:
        return ".".join(map(str, address))
    return ":".join(f"{address[at] << 8 | address[at + 1]:x}" for at in range(0, 16, 2))


class Site:
    """Addresses, ports, time and the random numbers of one conversation.

    Attributes:
        rng: rules everything in this conversation.
        version: 4 or 6.
        nat: "" for none, "snat" (the left side is hidden behind one address), "dnat" (the right side calls a server
            on the left by a virtual address).
        client: the side that opens connections; given by *nat*, otherwise either.
        notes: troubles so far.
        marked: set by a script before it sends what the IP layer itself drops or answers.
    """

    __slots__ = ("_shared", "_shifted", "_used", "client", "marked", "nat", "notes", "rng", "slot", "version")

    def __init__(self, rng: random.Random, index: int, version: int, nat: str = "") -> None:
        self.rng = rng
        self.version = version
        self.nat = nat
        self.client = LEFT if nat == "snat" else RIGHT if nat == "dnat" else rng.choice((LEFT, LEFT, RIGHT))
        self.notes: list[str] = []
        self.marked = False
        self.slot = index % CAPACITY
        self._shifted = False
        self._shared = 0
        self._used: set[int] = set(HELPER_PORTS)

    def real(self, side: int, host: int = 0) -> bytes:
        """The address that host number *host* (0 to 13) of *side* has itself."""
        if self.nat == "dnat" and side == LEFT and not host:
            return SERVER[self.version]
        last = (self.slot << 4) + host % HOSTS + 1
        return _PREFIXES[self.version, side] + last.to_bytes(3 if self.version == 4 else 5)

    def reach(self, side: int, host: int = 0) -> bytes:
        """The address by which the other side knows that host."""
        if side == LEFT and self.nat == "snat":
            return SNAT[self.version]
        if side == LEFT and self.nat == "dnat" and not host:
            return (SHIFTING if self._shifted else VIRTUAL)[self.version]
        return self.real(side, host)

    def between(self, side: int, host: int = 0, other: int = 0) -> tuple[bytes, bytes]:
        """Source and destination of what *host* of *side* sends to host *other* of the other side."""
        return self.real(side, host), self.reach(1 - side, other)

    def seen(self, side: int, host: int = 0, other: int = 0) -> tuple[bytes, bytes]:
        """Source and destination of the same packet as it arrives."""
        return self.reach(side, host), self.real(1 - side, other)

    def port(self) -> int:
        """A client port that this conversation has not used yet."""
        while True:
            port = self.rng.randrange(1024, _OWN_PORTS if self.nat == "snat" else 65536)
            if port not in self._used:
                self._used.add(port)
                return port

    def service(self) -> int:
        """A server port without helper, not used yet."""
        while True:
            port = self.rng.choice((80, 443, 22, 53, 8080, self.rng.randrange(1, 65536), 3306, 1))
            if port not in self._used:
                self._used.add(port)
                return port

    def listens(self, protocol: int, port: int) -> tuple[int, int]:
        """Where the service that clients call at *port* really listens, and *port*: sometimes the gateway shifts it.

        To be asked before anything else of the conversation is made.
        """
        if self.nat == "dnat" and (protocol, port) in SHIFTED and self.rng.random() < 0.4:
            self._shifted = True
            return SHIFTED[protocol, port], port
        return port, port

    def own_port(self) -> int:
        """A port that no other of 2,048 conversations in a row gets for anything, up to 16 times.

        For expectations that any host may meet: behind one outside address nothing else must expect the same port.
        """
        self._shared += 1
        return _OWN_PORTS + ((self.slot << 4) + self._shared % 16) % (65536 - _OWN_PORTS)

    def caller(self) -> int:
        """A side that may open a flow: either, but where the left is hidden only the left.

        What the right calls at the hidden side's address is not translated, and takes the port that a later flow from
        the left to the same place would have kept; the gateway then picks another one at random.
        """
        return LEFT if self.nat == "snat" else self.rng.choice((LEFT, RIGHT))

    @property
    def answerer(self) -> int | None:
        """The side that must not open flows by itself where the gateway translates, or None."""
        return {"snat": RIGHT, "dnat": LEFT}.get(self.nat)

    def astray(self, side: int, forwarded: Sequence[bytes]) -> bool:
        """Whether a packet of the answering *side* came out as no answer does: the gateway saw a flow of its own in it.

        The right's still goes to the address that hides the left; the left's does not come from the virtual address.
        """
        if side != self.answerer or not forwarded:
            return False
        packet = forwarded[0]
        source, destination = (packet[12:16], packet[16:20]) if self.version == 4 else (packet[8:24], packet[24:40])
        return destination == SNAT[self.version] if side == RIGHT else source != self.reach(LEFT)

    def note(self, trouble: str) -> None:
        self.notes.append(trouble)

    def send(self, side: int, packet: bytes) -> Script[Sequence[bytes]]:
        """Send a finished packet a few milliseconds after the last one; returns what was forwarded."""
        return (yield Sent(self.rng.randrange(1, 4) * _MILLISECOND, side, packet))

    def carry(
        self,
        side: int,
        protocol: int,
        payload: bytes,
        *,
        host: int = 0,
        other: int = 0,
        ttl: int = 64,
        ident: int | None = None,
        tos: int = 0,
        options: bytes = b"",
    ) -> Script[Sequence[bytes]]:
        """Send *payload* in an IP packet from *host* of *side* to host *other* of the other side."""
        source, destination = self.between(side, host, other)
        if ident is None:
            ident = self.rng.getrandbits(16)
        packet = ip(source, destination, protocol, payload, ttl=ttl, ident=ident, tos=tos, options=options)
        return (yield from self.send(side, packet))
