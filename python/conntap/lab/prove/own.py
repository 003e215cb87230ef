"""Connections of the gateway itself, where rules give them a helper, and what a stranger then reaches on the gateway.

The gateway's own kernel speaks here, by a socket in its namespace: what leaves is answered packet by packet.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, PSH, SYN, TCP, ip, tcp
from conntap.lab.prove import bytes_of
from conntap.lab.prove.model import OWN, Cell, Row, Way
from conntap.lab.prove.scene import Scene, words_of
from conntap.lab.prove.wire import End, mss_option, packed, parse, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conntap.lab.prove.model import Outcome, Who
    from conntap.lab.prove.scene import Door
    from conntap.lab.prove.stage import Stage
    from conntap.lab.prove.trace import Trace
    from conntap.lab.prove.wire import Arrived

__all__ = ["PLAYED", "rows"]

#: Helpers whose sessions are played, and what a program on the gateway says.
PLAYED: Final = {"irc": "DCC offer of a program on the gateway", "ftp": "PORT of a program on the gateway"}
STRANGERS: Final[tuple[Who, ...]] = ("server", "third")


class Conversation:
    """A connection from the gateway to a server outside; use with `with`."""

    def __init__(self, stage: Stage, way: Way, port: int) -> None:
        self.stage, self.wire = stage, way.outside
        self.server = End(way.outside, packed(way.server), port, next=5_000_000)
        family = socket.AF_INET if way.nfproto == 4 else socket.AF_INET6
        self._socket = stage.gateway.call(_client, family)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def address(self) -> bytes:
        """The gateway's own."""
        return self.server.peer

    def open(self) -> bool:
        """Shake hands; False where the gateway's SYN does not leave or the answer is not let in."""
        self.stage.collect()  # what earlier connections left
        self._socket.connect_ex((text_of(self.server.address), self.server.port))
        begun = [one for one in self._left(self.stage.collect()) if one.flags & (SYN | ACK) == SYN]
        for one in begun:
            self.server.peer, self.server.peer_port = one.source, one.sport
            self.server.expected = one.sequence + 1
            return bool(self._answer(SYN | ACK, options=mss_option(1400)))
        return False

    def hear(self, data: bytes) -> None:
        """The server says something. It may be acknowledged later."""
        self._answer(PSH | ACK, data)

    def say(self, data: bytes) -> bool:
        """The gateway says something; whether it leaves."""
        try:
            self._socket.send(data)
        except OSError:
            return False
        got = self._left(self.stage.collect())
        for one in got:
            self.server.expected = max(self.server.expected, one.sequence + len(one.payload))
        self._answer(ACK)
        return any(one.payload for one in got)

    def _answer(self, flags: int, data: bytes = b"", *, options: bytes = b"") -> list[Arrived]:
        end = self.server
        ports, numbers = (end.port, end.peer_port), (end.next, end.expected)
        segment = tcp(end.address, end.peer, ports, numbers, flags, 65000, data, options=options)
        end.next += len(data) + bool(flags & SYN)
        return self._left(self.stage.send(self.wire, ip(end.address, end.peer, TCP, segment)))

    def _left(self, packets: list[tuple[str, bytes]]) -> list[Arrived]:
        found = (parse(data) for wire, data in packets if wire == self.wire)
        return [
            one
            for one in found
            if one is not None
            and one.protocol == TCP
            and (one.destination, one.dport) == (self.server.address, self.server.port)
        ]


def rows(stage: Stage, trace: Trace, way: Way, helper: str, port: int, ports: Sequence[int]) -> Row:
    """One helper of the gateway's own connections."""
    own = Way(way.outside, OWN, way.nfproto, OWN, way.friend, way.server, way.third)
    return Row(helper, TCP, port, own, tuple(_cells(stage, trace, way, helper, port, ports)))


def _cells(stage: Stage, trace: Trace, way: Way, helper: str, port: int, ports: Sequence[int]) -> Iterator[Cell]:
    for who in STRANGERS:
        for wanted in ports:
            stage.forget()
            trace.read()
            with Conversation(stage, way, port) as talk:
                doors = _offer(stage, way, talk, helper, wanted)
                if not doors:
                    why = "no expectation was made" if talk.address else "the gateway does not reach the server"
                    yield Cell(who, PLAYED[helper], TCP, wanted, "closed", why)
                    continue
                yield _knock(stage, trace, way, who, PLAYED[helper], wanted, doors[0])


def _offer(stage: Stage, way: Way, talk: Conversation, helper: str, wanted: int) -> list[Door]:
    """The program makes its offer; what is expected then."""
    if not talk.open():
        return []
    if helper == "ftp":
        talk.hear(b"220 ready\r\n")
        said = talk.say(b"USER a\r\n") and talk.say(bytes_of.eprt(talk.address, wanted))
    else:
        said = talk.say(bytes_of.dcc(talk.address, wanted))
    return [one for one in Scene(stage, way).doors(talk.server.address) if not one.outward] if said else []


def _knock(stage: Stage, trace: Trace, way: Way, who: Who, session: str, wanted: int, door: Door) -> Cell:
    """Something listens on the gateway; whether it answers a stranger."""
    remote = packed(way.server if who == "server" else way.third)
    family = socket.AF_INET if way.nfproto == 4 else socket.AF_INET6
    with stage.gateway.call(_listener, family, door.port):
        trace.read()
        arrived = _answers(stage, way, remote, door)
        steps = trace.read()
        outcome: Outcome = "closed"
        if arrived:
            stage.forget()
            outcome = "anyway" if _answers(stage, way, remote, door, source=3334) else "open"
            trace.read()
    return Cell(who, session, TCP, wanted, outcome, "", words_of(door.expected), steps)


def _answers(stage: Stage, way: Way, remote: bytes, door: Door, *, source: int = 3333) -> bool:
    segment = tcp(remote, door.address, (source, door.port), (9_000_000, 0), SYN, 65000, options=mss_option(1400))
    got = stage.send(way.outside, ip(remote, door.address, TCP, segment), knock=True)
    packets = (parse(data) for wire, data in got if wire == way.outside)
    return any(
        one is not None and one.protocol == TCP and one.sport == door.port and one.flags & (SYN | ACK) == SYN | ACK
        for one in packets
    )


def _client(family: int) -> socket.socket:
    handle = socket.socket(family, socket.SOCK_STREAM)
    handle.setblocking(False)
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Its end is a reset: nothing of it is sent again later.
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return handle


def _listener(family: int, port: int) -> socket.socket:
    handle = socket.socket(family, socket.SOCK_STREAM)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind(("", port))
    handle.listen(1)
    return handle
