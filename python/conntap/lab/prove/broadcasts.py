"""Broadcasts of programs on the gateway, whose answers a helper expects from every host of the network that was asked.

Only the gateway's own kernel makes such an expectation, of a packet that a socket of its own sent: what is forwarded
never does (nf_conntrack_broadcast_help() in net/netfilter/nf_conntrack_broadcast.c).
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import UDP, ip, udp
from conntap.lab.prove.model import OWN, Cell, Row
from conntap.lab.prove.scene import Door, Scene, closed_because, words_of
from conntap.lab.prove.wire import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.lab.prove.model import Kind, Outcome, Way, Who
    from conntap.lab.prove.stage import Stage
    from conntap.lab.prove.trace import Trace

__all__ = ["PLAYED", "row"]

#: Helpers that are played, and the port from which a program on the gateway asks.
PLAYED: Final = {"netbios-ns": 137, "snmp": 40161}
SESSION: Final = "answer to a broadcast of the gateway"
ANSWER: Final = b"here"
#: Smaller networks have no broadcast address (RFC 3021).
MOST_BITS: Final = 30


@dataclass(frozen=True, slots=True)
class Question:
    """A broadcast of the gateway into one of its networks.

    Attributes:
        way: outside is the network that is asked, friend a host of it.
        third_wire: where the third party is.
        outer: the network is one of strangers.
        own, broadcast: the gateway's address there, and everybody's.
        source, port: of the datagram.
    """

    stage: Stage
    trace: Trace
    way: Way
    third_wire: str
    outer: bool
    own: bytes
    broadcast: str
    source: int
    port: int

    def cells(self) -> Iterator[Cell]:
        """A host of the network answers: inside that is what is wanted. Then a third party tries the same port."""
        with self.stage.gateway.call(_asker, self.own, self.source) as asker:
            yield self._cell(asker, "server" if self.outer else "friend", self.way.outside, self.way.friend)
            yield self._cell(asker, "third", self.third_wire, self.way.third)

    def _cell(self, asker: socket.socket, who: Who, wire: str, address: str) -> Cell:
        works, fails = ("works", "fails") if who == "friend" else ("open", "closed")
        kind: Kind = "session" if who == "friend" else "overheard"
        door = self._ask(asker)
        if door is None:
            return Cell(who, SESSION, UDP, self.source, fails, "the gateway's broadcast does not leave", kind=kind)
        remote = packed(address)
        arrived = self._answers(asker, wire, remote)
        trace = self.trace.read()
        outcome: Outcome = works if arrived else fails
        if arrived and who != "friend":
            self.stage.forget()
            outcome = "anyway" if self._answers(asker, wire, remote) else "open"
            self.trace.read()
        why = "" if arrived else closed_because(door, remote, trace)
        return Cell(who, SESSION, UDP, self.source, outcome, why, words_of(door.expected), trace, kind)

    def _ask(self, asker: socket.socket) -> Door | None:
        """Send it, afresh; what is expected then, None where it does not leave."""
        self.stage.collect()  # what earlier sessions left
        self.stage.forget()
        with contextlib.suppress(OSError):  # rules that drop it say so to the program
            asker.sendto(b"who is there", (self.broadcast, self.port))
        left = any(wire == self.way.outside for wire, _ in self.stage.collect())
        doors = Scene(self.stage, self.way).doors(packed(self.way.friend), Door(UDP, self.own, self.source))
        self.trace.read()
        return doors[0] if left else None

    def _answers(self, asker: socket.socket, wire: str, remote: bytes) -> bool:
        """An answer from there; whether the program gets it."""
        datagram = udp(remote, self.own, (self.port, self.source), ANSWER)
        self.stage.send(wire, ip(remote, self.own, UDP, datagram), knock=True)
        try:
            return asker.recv(64) == ANSWER
        except BlockingIOError:
            return False


def row(stage: Stage, trace: Trace, way: Way, link: str, helper: str, port: int) -> Row | None:
    """One helper, and the network of one interface; a third party is outside.

    Returns:
        None where the interface has no network to broadcast to.
    """
    address = stage.address(link)
    if address is None or address.network.prefixlen > MOST_BITS:
        return None
    friend = next(str(one) for one in address.network.hosts() if one != address.ip)
    asked = replace(way, outside=link, friend=friend, server=friend)
    broadcast, source = str(address.network.broadcast_address), PLAYED[helper]
    outer = link == way.outside
    question = Question(stage, trace, asked, way.outside, outer, address.ip.packed, broadcast, source, port)
    return Row(helper, UDP, port, replace(asked, inside=OWN, host=OWN), tuple(question.cells()))


def _asker(own: bytes, port: int) -> socket.socket:
    handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    handle.setblocking(False)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    handle.bind((socket.inet_ntoa(own), port))
    return handle
