"""PPTP (RFC 2637): control connections, calls in and out, and the GRE packets that belong to them.

Each side addresses GRE to the call id that it read in the other's message, as that arrived.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import GRE, pptp_gre
from conntap.lab.parity.generate.talk import BrokenOffError, pick
from conntap.lab.parity.generate.tcp import Tcp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["PPTP_TROUBLES", "message", "outgoing_call_request", "pptp", "start_request"]

_COOKIE: Final = 0x1A2B_3C4D


def message(kind: int, body: bytes, *, cookie: int = _COOKIE, form: int = 1, length: int | None = None) -> bytes:
    """A control message; *length*, *form* (1 is control) and *cookie* lie."""
    said = 12 + len(body) if length is None else length
    return struct.pack("!HHIHH", said, form, cookie, kind, 0) + body


def start_request() -> bytes:
    """Start-Control-Connection-Request."""
    return message(1, struct.pack("!HHIIHH", 0x100, 0, 1, 1, 0, 0) + bytes(128))


def _start_reply(result: int = 1) -> bytes:
    return message(2, struct.pack("!HBBIIHH", 0x100, result, 0, 1, 1, 0, 0) + bytes(128))


def outgoing_call_request(call: int) -> bytes:
    """Outgoing-Call-Request with the client's call id."""
    return message(7, struct.pack("!HHIIIIHHHH", call, 1, 300, 100_000_000, 3, 3, 64, 0, 0, 0) + bytes(128))


def _outgoing_call_reply(call: int, peer: int, result: int = 1) -> bytes:
    return message(8, struct.pack("!HHBBHIHHI", call, peer, result, 0, 0, 100_000_000, 64, 0, 0))


def _incoming_call_request(call: int) -> bytes:
    return message(9, struct.pack("!HHIIHH", call, 1, 3, 0, 0, 0) + bytes(192))


def _incoming_call_reply(call: int, peer: int, result: int = 1) -> bytes:
    return message(10, struct.pack("!HHBBHHH", call, peer, result, 0, 64, 0, 0))


def _incoming_call_connected(peer: int) -> bytes:
    return message(11, struct.pack("!HHIHHI", peer, 0, 100_000, 64, 0, 1))


def _clear_request(call: int) -> bytes:
    return message(12, struct.pack("!HH", call, 0))


def _disconnect(call: int) -> bytes:
    return message(13, struct.pack("!HBBHH", call, 3, 0, 0, 0) + bytes(128))


def _number(text: bytes | None, at: int, otherwise: int) -> int:
    """The call id at *at* of a message that arrived."""
    return int.from_bytes(text[at : at + 2]) if text and len(text) >= at + 2 else otherwise


class Control:
    """A control connection. *call[side]* is the id by which the other side addresses that side."""

    __slots__ = ("call", "client", "own", "server", "site", "t")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.t = Tcp(site, 1723)
        self.client, self.server = self.t.client, self.t.server
        self.own = [site.rng.getrandbits(16), site.rng.getrandbits(16)]
        self.call = list(self.own)

    def open(self) -> Script[None]:
        """Handshake and start of the control connection."""
        yield from self.t.open()
        yield from self.t.say(self.client, start_request())
        yield from self.t.say(self.server, _start_reply())

    def call_out(self, result: int = 1) -> Script[None]:
        """The client calls."""
        client, server = self.client, self.server
        arrived = yield from self.t.say(client, outgoing_call_request(self.own[client]))
        self.call[client] = _number(arrived, 12, self.own[client])
        arrived = yield from self.t.say(server, _outgoing_call_reply(self.own[server], self.call[client], result))
        self.call[server] = _number(arrived, 12, self.own[server])

    def call_in(self) -> Script[None]:
        """The server announces a call."""
        client, server = self.client, self.server
        arrived = yield from self.t.say(server, _incoming_call_request(self.own[server]))
        self.call[server] = _number(arrived, 12, self.own[server])
        arrived = yield from self.t.say(client, _incoming_call_reply(self.own[client], self.call[server]))
        self.call[client] = _number(arrived, 12, self.own[client])
        yield from self.t.say(server, _incoming_call_connected(self.call[client]))

    def gre(self, side: int, number: int = 0, *, call: int | None = None) -> Script[None]:
        """A GRE packet of *side*, to the other side's call id."""
        target = self.call[1 - side] if call is None else call
        forwarded = yield from self.site.carry(side, GRE, pptp_gre(target, b"\xff\x03\xc0\x21ppp", number=number))
        if self.site.astray(side, forwarded):
            raise BrokenOffError

    def talk(self) -> Script[None]:
        """GRE both ways."""
        rng = self.site.rng
        first = self.client if self.site.nat else rng.choice((0, 1))
        yield from self.gre(first)
        for number in range(1, rng.randrange(1, 5)):
            yield from self.gre(rng.choice((0, 1)), number)


def _outgoing(c: Control) -> Script[None]:
    """A call of the client, with traffic, perhaps ended properly."""
    yield from c.call_out()
    if c.site.rng.random() < 0.8:
        yield from c.talk()


def _incoming(c: Control) -> Script[None]:
    """A call of the server."""
    yield from c.call_in()
    yield from c.talk()


def _disconnected(c: Control) -> Script[None]:
    """Call, traffic or none, clear, disconnect."""
    rng = c.site.rng
    yield from c.call_out()
    if rng.random() < 0.7:
        yield from c.talk()
    if rng.random() < 0.8:
        yield from c.t.say(c.client, _clear_request(c.own[c.client]))
    yield from c.t.say(c.server, _disconnect(c.own[c.server]))
    if rng.random() < 0.3 and not c.site.nat:
        yield from c.gre(c.client)


def _twice(c: Control) -> Script[None]:
    """The call's messages come again, or a second call with other ids."""
    yield from c.call_out()
    if c.site.rng.random() < 0.5:
        c.own = [c.site.rng.getrandbits(16), c.site.rng.getrandbits(16)]
    yield from c.call_out()
    yield from c.talk()


def _refused(c: Control) -> Script[None]:
    """The server refuses, then agrees."""
    yield from c.call_out(result=c.site.rng.choice((2, 4, 7, 0)))
    if c.site.rng.random() < 0.5:
        yield from c.call_out()


def _wrong(c: Control) -> Script[None]:
    """Replies to nothing, for other calls, too short, with another cookie, form or length; two in one segment."""
    rng, client, server = c.site.rng, c.client, c.server
    own, other = c.own[client], c.own[server]
    messages: list[tuple[int, bytes]] = [
        (server, _outgoing_call_reply(other, own)),
        (server, _outgoing_call_reply(other, own ^ 1)),
        (client, outgoing_call_request(own)[:40]),
        (client, message(7, b"")),
        (client, message(7, outgoing_call_request(own)[12:], cookie=0x1A2B3C4E)),
        (client, message(7, outgoing_call_request(own)[12:], form=2)),
        (client, message(7, outgoing_call_request(own)[12:], length=500)),
        (client, outgoing_call_request(own) + message(5, bytes(4))),
        (client, message(5, bytes(4))),
        (server, message(6, bytes(8))),
        (client, message(15, struct.pack("!HHII", other, 0, 0xFFFFFFFF, 0xFFFFFFFF))),
        (server, message(14, bytes(28))),
        (client, message(99, bytes(40))),
        (server, outgoing_call_request(other)),
        (client, message(3, bytes(4))),
        (server, message(4, bytes(4))),
        (server, _disconnect(other)),
        (client, _incoming_call_reply(own, other)),
        (server, _incoming_call_connected(own)),
        (client, b"\0"),
    ]
    for side, text in rng.sample(messages, 4):
        yield from c.t.say(side, text)
    yield from c.call_out()
    yield from c.talk()


_CALLS: Final[Table[Control]] = {
    "pptp-outgoing": (8, _outgoing),
    "pptp-incoming": (4, _incoming),
    "pptp-disconnected": (6, _disconnected),
    "pptp-twice": (4, _twice),
    "pptp-refused": (3, _refused),
    "pptp-wrong-messages": (5, _wrong),
}

PPTP_TROUBLES: Final = frozenset({*_CALLS, "pptp-no-start", "pptp-start-refused", "pptp-closed"})


def pptp(site: Site) -> Script[None]:
    """One control connection."""
    rng, c = site.rng, Control(site)
    beginning = rng.random()
    if beginning < 0.8:
        yield from c.open()
    elif beginning < 0.9:
        site.note("pptp-no-start")
        yield from c.t.open()
    else:
        site.note("pptp-start-refused")
        yield from c.t.open()
        yield from c.t.say(c.client, start_request())
        yield from c.t.say(c.server, _start_reply(rng.choice((2, 5))))
    name, script = pick(rng, _CALLS)
    site.note(name)
    yield from script(c)
    if rng.random() < 0.4:
        site.note("pptp-closed")
        yield from c.t.close(rng.choice((0, 1)))
