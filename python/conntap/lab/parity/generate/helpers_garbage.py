"""Nearly right text and plain noise on the ports where helpers listen: bytes turned, cut, doubled, moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import TCP, UDP
from conntap.lab.parity.generate.helpers_h323_bytes import call_proceeding, registration, tpkt
from conntap.lab.parity.generate.helpers_pptp import outgoing_call_request, start_request
from conntap.lab.parity.generate.helpers_sip import compose, description
from conntap.lab.parity.generate.sites import as_text
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    import random

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script

__all__ = ["GARBAGE_TROUBLES", "garbage", "spoiled"]


def _ftp(site: Site, side: int) -> bytes:
    six = ",".join(map(str, (*site.real(side)[-4:], 100, 10)))
    address = as_text(site.real(side))
    texts = (
        f"PORT {six}",
        f"227 ok ({six})",
        f"EPRT |{1 if site.version == 4 else 2}|{address}|20001|",
        "229 ok (|||20002|)",
    )
    return site.rng.choice(texts).encode() + b"\r\n"


def _irc(site: Site, side: int) -> bytes:
    number = int.from_bytes(site.real(side)[-4:])
    return f"PRIVMSG bob :\1DCC SEND file {number} {site.own_port()} 100\1\r\n".encode()


def _sip(site: Site, side: int) -> bytes:
    own = as_text(site.real(side))
    where = own if site.version == 4 else f"[{own}]"
    if site.rng.random() < 0.5:
        return compose("REGISTER sip:x SIP/2.0", ["CSeq: 1 REGISTER", f"Contact: <sip:a@{where}:5060>;expires=60"])
    body = description(own, [("audio", 8000)], version=site.version)
    return compose(site.rng.choice(("INVITE sip:b SIP/2.0", "SIP/2.0 200 OK")), ["CSeq: 1 INVITE"], body)


_Maker = Callable[["Site", int], bytes]

_PLACES: Final[dict[str, tuple[int, int, _Maker]]] = {
    "garbage-ftp": (TCP, 21, _ftp),
    "garbage-irc": (TCP, 6667, _irc),
    "garbage-sip": (UDP, 5060, _sip),
    "garbage-sip-tcp": (TCP, 5060, _sip),
    "garbage-tftp": (UDP, 69, lambda site, _: site.rng.choice((b"\0\1a\0octet\0", b"\0\2b\0octet\0"))),
    "garbage-amanda": (UDP, 10080, lambda _, __: b"REP\nCONNECT DATA 5001 MESG 5002 INDEX 5003\n"),
    "garbage-sane": (TCP, 6566, lambda site, _: site.rng.choice((b"\0\0\0\7\0\0\0\0", b"\0\0\0\0\0\0\x15\xb3"))),
    "garbage-pptp": (TCP, 1723, lambda site, _: site.rng.choice((start_request(), outgoing_call_request(7)))),
    "garbage-ras": (UDP, 1719, lambda site, side: registration(site.real(side), 1720, 1719)),
    "garbage-q931": (TCP, 1720, lambda site, side: tpkt(call_proceeding(site.real(side), 11000))),
}

GARBAGE_TROUBLES: Final = frozenset(_PLACES)


def spoiled(rng: random.Random, text: bytes) -> bytes:
    """*text* with one to three accidents; sometimes unharmed, sometimes noise."""
    if rng.random() < 0.2:
        return text
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(0, 200))
    for _ in range(rng.randrange(1, 4)):
        if not text:
            break
        at, size = rng.randrange(len(text)), rng.randrange(1, 9)
        accident = rng.randrange(6)
        if accident == 0:
            text = text[:at] + bytes((text[at] ^ 1 << rng.randrange(8),)) + text[at + 1 :]
        elif accident == 1:
            text = text[:at] + text[at + size :]
        elif accident == 2:
            text = text[:at] + text[at : at + size] + text[at:]
        elif accident == 3:
            text = text[:at]
        elif accident == 4:
            text = text[:at] + rng.choice((b"\0", b" ", b"\r\n", b"9" * size, b"\xff", b",", b":")) + text[at:]
        else:
            text = text[at:] + text[:at]
    return text


def garbage(site: Site) -> Script[None]:
    """One flow with a helper, and some texts that were once right."""
    rng = site.rng
    # An offer of IRC opens its port to everybody: where all share one address a spoiled one may be somebody else's.
    name = rng.choice([place for place in _PLACES if site.nat != "snat" or place != "garbage-irc"])
    site.note(name)
    protocol, port, make = _PLACES[name]
    flow = (Tcp if protocol == TCP else Udp)(site, port)
    if isinstance(flow, Tcp):
        yield from flow.open()
        if rng.random() < 0.7:
            yield from flow.say(flow.server, b"200 hello\r\n")
            yield from flow.say(flow.client, b"HELLO\r\n")
    for number in range(rng.randrange(2, 7)):
        side = rng.choice((flow.client, flow.server)) if number else flow.client
        text = spoiled(rng, make(site, side))
        if isinstance(flow, Tcp):
            yield from flow.say(side, text)
        else:
            yield from flow.emit(side, text)
