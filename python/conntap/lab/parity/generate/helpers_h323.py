"""H.323 as far as short byte recipes go: registration (RAS, H.225.0), call signalling (Q.931), the H.245 connection.

Messages are aligned PER, written by hand: each comment names the fields in their order.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import SYN
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["H323_TROUBLES", "call_proceeding", "h323", "q931", "registration", "tpkt"]

_OID: Final = bytes.fromhex("06 00 08 91 4a 00 02")  # itu-t(0) recommendation(0) h(8) 2250 version(0) 2


def _transport(address: bytes, port: int) -> bytes:
    """A TransportAddress: choice ipAddress or ip6Address, address, port."""
    if len(address) == 16:
        return b"\x30" + address + struct.pack("!H", port)
    return b"\0" + address + struct.pack("!H", port)


def registration(address: bytes, signal_port: int, ras_port: int, number: int = 0) -> bytes:
    """RegistrationRequest: tag, sequence number, OID, discovery, call signal and RAS addresses, terminal, vendor."""
    return (
        b"\x0c\x00"
        + struct.pack("!H", number)
        + _OID
        + b"\x00\x01"
        + _transport(address, signal_port)
        + b"\x01"
        + _transport(address, ras_port)
        + b"\0\0\0\xb5\0\x53\x4c"
    )


def confirmation(address: bytes, signal_port: int, number: int = 0) -> bytes:
    """RegistrationConfirm: tag, sequence number, OID, call signal address, endpoint identifier."""
    return b"\x10\x00" + struct.pack("!H", number) + _OID + b"\x01" + _transport(address, signal_port) + b"\x00\x00a"


def tpkt(body: bytes, *, length: int | None = None) -> bytes:
    """RFC 1006 framing; *length* lies."""
    return struct.pack("!BBH", 3, 0, len(body) + 4 if length is None else length) + body


def q931(kind: int, information: bytes, *, reference: bytes = b"\x02\0\1") -> bytes:
    """A Q.931 message with a user-user element that holds *information*."""
    return (
        b"\x08" + reference + bytes((kind,)) + b"\x7e" + struct.pack("!H", len(information) + 1) + b"\x05" + information
    )


def call_proceeding(address: bytes, port: int) -> bytes:
    """CallProceeding with h245Address: choice and option bits, OID, nine bits of terminal type, address choice, address."""
    choice = b"\0\x18" if len(address) == 16 else b"\0\0"
    return q931(2, b"\x01\x40" + _OID + choice + address + struct.pack("!H", port))


def _signalling(site: Site) -> Script[None]:
    """A call whose H.245 address is announced, rightly or not; the other side connects."""
    rng = site.rng
    t = Tcp(site, 1720)
    yield from t.open()
    for _ in range(rng.choice((1, 1, 2))):
        side = rng.choice((t.server, t.server, t.client))
        port = site.port()
        good = call_proceeding(site.real(side), port)
        text = tpkt(good)
        yield from t.say(side, text)
        if rng.random() < 0.7:
            yield from Tcp(site, port, client=1 - side).emit(1 - side, SYN)
    if rng.random() < 0.5:
        yield from t.close(t.client)


def _odd_signalling(site: Site) -> Script[None]:
    """Foreign addresses, port 0, other message kinds, split, joined and lying frames, cut messages."""
    rng = site.rng
    t = Tcp(site, 1720)
    yield from t.open()
    port, side = site.port(), t.server
    good = call_proceeding(site.real(side), port)
    choices: tuple[tuple[bytes, ...], ...] = (
        (tpkt(call_proceeding(site.real(side, 2), port)),),
        (tpkt(call_proceeding(site.real(1 - side), port)),),
        (tpkt(call_proceeding(site.real(side), 0)),),
        (tpkt(good[:4] + b"\x07" + good[5:]),),
        (tpkt(good[:4] + b"\x62" + good[5:]),),
        (tpkt(b"\x09" + good[1:]),),
        (tpkt(q931(2, b"\x01\x40" + _OID)),),
        (tpkt(good[: rng.randrange(1, len(good))]),),
        (tpkt(good, length=4),),
        (tpkt(good, length=len(good) + 40),),
        (tpkt(b""), good),
        (tpkt(good)[:4], tpkt(good)[4:]),
        (tpkt(good)[:9], tpkt(good)[9:]),
        (tpkt(good) + tpkt(call_proceeding(site.real(side), site.port())),),
        (b"\3\0",),
        (b"\2\0" + tpkt(good)[2:],),
    )
    for parts in rng.sample(choices, 3):
        for part in parts:
            yield from t.say(side, part)
    yield from Tcp(site, port, client=t.client).emit(t.client, SYN)


def _registering(site: Site) -> Script[None]:
    """RRQ and RCF; then somebody calls."""
    rng = site.rng
    u = Udp(site, 1719, source=1719 if rng.random() < 0.5 else None)
    signal = site.port()
    for number in range(rng.choice((1, 1, 2))):
        yield from u.emit(u.client, registration(site.real(u.client), signal, u.ports[0], number))
        if rng.random() < 0.7:
            yield from u.emit(u.server, confirmation(site.real(u.server), 1720, number))
    if rng.random() < 0.6 and not site.nat:
        host = 2 if rng.random() < 0.3 else 0
        caller = Tcp(site, signal, client=u.server, hosts=(host, 0))
        yield from caller.open()
        yield from caller.say(u.client, tpkt(call_proceeding(site.real(u.client), site.port())))


def _odd_registering(site: Site) -> Script[None]:
    """Foreign addresses, cut and altered messages."""
    rng = site.rng
    u = Udp(site, 1719)
    good = registration(site.real(u.client), site.port(), u.ports[0])
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(good))
        text = rng.choice(
            (
                registration(site.real(u.client, 2), site.port(), u.ports[0]),
                registration(site.real(u.client), 0, u.ports[0]),
                good[:at],
                good[:at] + bytes((good[at] ^ 1 << rng.randrange(8),)) + good[at + 1 :],
                good + bytes(3),
                b"",
            )
        )
        yield from u.emit(u.client, text)
    yield from u.emit(u.server, confirmation(site.real(u.server), 1720))


_TABLE: Final[Table[Site]] = {
    "h323-signalling": (5, _signalling),
    "h323-odd-signalling": (4, _odd_signalling),
    "h323-registering": (5, _registering),
    "h323-odd-registering": (3, _odd_registering),
}

H323_TROUBLES: Final = frozenset(_TABLE)


def h323(site: Site) -> Script[None]:
    """A call or a registration."""
    name, script = pick(site.rng, _TABLE)
    site.note(name)
    yield from script(site)
