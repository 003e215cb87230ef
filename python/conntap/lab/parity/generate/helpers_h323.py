"""H.323 as its helpers see it: registrations, calls, the H.245 connection, channels, and what is nearly right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate import helpers_h323_bytes as h323_bytes
from conntap.lab.parity.generate.build import SYN
from conntap.lab.parity.generate.helpers_h323_bytes import call_proceeding, q931, tpkt
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["H323_TROUBLES", "h323"]


def _port(text: bytes | None, otherwise: int) -> int:
    """The port that a CallProceeding which arrived names: its last two bytes."""
    return int.from_bytes(text[-2:]) if text else otherwise


def _signalling(site: Site) -> Script[None]:
    """A call whose H.245 address is announced by either side; the other side connects and opens channels."""
    rng = site.rng
    t = Tcp(site, 1720)
    yield from t.open()
    for _ in range(rng.choice((1, 1, 2))):
        side = rng.choice((t.server, t.server, t.client))
        port = site.port()
        if rng.random() < 0.3:
            yield from _channel_within(t, side)
            continue
        arrived = yield from t.say(side, tpkt(call_proceeding(site.real(side), port)))
        h245 = Tcp(site, port, client=1 - side, public=_port(arrived, port))
        if rng.random() < 0.3:
            yield from h245.emit(1 - side, SYN)
            continue
        yield from h245.open()
        yield from _channels(h245)
    if rng.random() < 0.5:
        yield from t.close(t.client)


def _channel_within(t: Tcp, side: int) -> Script[None]:
    """A channel that the call itself opens, by a fast start or by H.245 in a tunnel; RTP to it."""
    site, rtp = t.site, t.site.port() & ~1
    host = site.real(side, site.rng.choice((0, 0, 0, 2)))
    message = site.rng.choice((h323_bytes.fast_start, h323_bytes.tunnelled))(host, rtp, rtp + 1)
    yield from t.say(side, tpkt(message))
    if site.rng.random() < 0.6 and not site.nat:
        yield from Udp(site, rtp + site.rng.choice((0, 1)), client=1 - side).emit(1 - side, b"\x80\0rtp packet")


def _channels(t: Tcp) -> Script[None]:
    """Channels opened and acknowledged over H.245, some for other hosts or odd ports; RTP to the first one."""
    site, rng = t.site, t.site.rng
    for number in range(1, rng.randrange(2, 4)):
        side = rng.choice((0, 1))
        own, rtp = site.real(side), site.port() & ~1
        host = own if rng.random() < 0.8 else site.real(side, 2)
        rtcp = rng.choice((rtp + 1, rtp + 1, rtp + 1, None))
        message = h323_bytes.open_channel(host, rtp + rng.choice((0, 0, 0, 1)), rtcp, number)
        yield from t.say(side, tpkt(message))
        if rng.random() < 0.7:
            far = site.port() & ~1
            yield from t.say(1 - side, tpkt(h323_bytes.channel_ack(site.real(1 - side), far, far + 1, number)))
        if rng.random() < 0.6 and not site.nat:
            yield from Udp(site, rtp + rng.choice((0, 1)), client=1 - side).emit(1 - side, b"\x80\0rtp packet")


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
        (tpkt(q931(2, b"\x01\x40\x06\x00\x08")),),
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
    """RRQ and RCF, then somebody calls; perhaps URQ."""
    rng = site.rng
    u = Udp(site, 1719, source=1719 if rng.random() < 0.5 else None)
    signal = site.port()
    for number in range(rng.choice((1, 1, 2))):
        yield from u.emit(u.client, h323_bytes.registration(site.real(u.client), signal, u.ports[0], number))
        if rng.random() < 0.7:
            yield from u.emit(u.server, h323_bytes.registration_confirm(site.real(u.server), 1720, number))
    if rng.random() < 0.6 and not site.nat:
        host = 2 if rng.random() < 0.3 else 0
        caller = Tcp(site, signal, client=u.server, hosts=(host, 0))
        yield from caller.open()
        yield from caller.say(u.client, tpkt(call_proceeding(site.real(u.client), site.port())))
    if rng.random() < 0.4:
        yield from u.emit(u.client, h323_bytes.unregistration(site.real(u.client), signal))


def _gatekeeper(site: Site) -> Script[None]:
    """GCF, ACF and LCF that name the sender, the receiver or a third host; the client calls there."""
    rng = site.rng
    u = Udp(site, 1719)
    yield from u.emit(u.client, bytes.fromhex("0000 0000 0600 0891 4a00 02") + bytes(8))
    for _ in range(rng.randrange(1, 4)):
        side, host = rng.choice(((u.server, 0), (u.server, 2), (u.client, 0)))
        address, port = site.real(side, host), site.port()
        text = rng.choice(
            (
                h323_bytes.gatekeeper_confirm(address, port),
                h323_bytes.admission_confirm(address, port),
                h323_bytes.location_confirm(address, port, site.port()),
            )
        )
        yield from u.emit(u.server, text)
        if side == u.server and not site.nat and rng.random() < 0.7:
            if text[0] == 4:
                yield from Udp(site, port, client=u.client, hosts=(0, host)).emit(u.client, bytes(20))
            else:
                yield from Tcp(site, port, client=u.client, hosts=(0, host)).open()


def _odd_registering(site: Site) -> Script[None]:
    """Foreign addresses, cut and altered messages."""
    rng = site.rng
    u = Udp(site, 1719)
    good = h323_bytes.registration(site.real(u.client), site.port(), u.ports[0])
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(good))
        text = rng.choice(
            (
                h323_bytes.registration(site.real(u.client, 2), site.port(), u.ports[0]),
                h323_bytes.registration(site.real(u.client), 0, u.ports[0]),
                good[:at],
                good[:at] + bytes((good[at] ^ 1 << rng.randrange(8),)) + good[at + 1 :],
                good + bytes(3),
                b"",
            )
        )
        yield from u.emit(u.client, text)
    yield from u.emit(u.server, h323_bytes.registration_confirm(site.real(u.server), 1720))


_TABLE: Final[Table[Site]] = {
    "h323-signalling": (8, _signalling),
    "h323-odd-signalling": (4, _odd_signalling),
    "h323-registering": (5, _registering),
    "h323-gatekeeper": (4, _gatekeeper),
    "h323-odd-registering": (3, _odd_registering),
}

H323_TROUBLES: Final = frozenset(_TABLE)


def h323(site: Site) -> Script[None]:
    """A call or a registration."""
    name, script = pick(site.rng, _TABLE)
    site.note(name)
    yield from script(site)
