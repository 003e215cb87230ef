"""Honest sessions: what users of each helper's protocol do, with a server that does it, too.

Each plays its conversation and then the second connection that the helper is for; True where that arrives.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate import helpers_h323_bytes as h323
from conntap.lab.parity.generate.build import GRE, TCP, UDP
from conntap.lab.parity.generate.helpers_pptp import message, outgoing_call_request, start_request
from conntap.lab.prove import bytes_of
from conntap.lab.prove.scene import Door

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.lab.prove.scene import Scene

__all__ = ["HONEST"]


def ftp_active(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The server connects to the client's port."""
    talk = scene.tcp(remote, port)
    data = scene.data()
    if not talk.open() or not talk.say(talk.server, b"220 ready\r\n") or not talk.say(talk.client, b"USER a\r\n"):
        return None
    if not talk.say(talk.client, bytes_of.eprt(scene.host, data)):
        return None
    return scene.doors(remote, Door(TCP, scene.host, data))


def ftp_passive(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The client connects to the server's port."""
    talk = scene.tcp(remote, port)
    data = scene.far_data(50123)
    if not talk.open() or not talk.say(talk.server, b"220 ready\r\n") or not talk.say(talk.client, b"PASV\r\n"):
        return None
    if not talk.say(talk.server, bytes_of.passive(remote, data)):
        return None
    return scene.doors(remote, Door(TCP, remote, data, outward=True))


def irc(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """Another user fetches the file that was offered."""
    talk = scene.tcp(remote, port)
    data = scene.data()
    if not talk.open() or not talk.say(talk.client, b"NICK al\r\n"):
        return None
    if not talk.say(talk.client, bytes_of.dcc(scene.host, data)):
        return None
    return scene.doors(remote, Door(TCP, scene.host, data))


def tftp(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The server answers from another port."""
    talk = scene.udp(remote, port)
    if talk.say(talk.client, b"\0\1boot.img\0octet\0") is None:
        return None
    return scene.doors(remote, Door(UDP, scene.host, talk.client.port))


def sip_register(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """A call comes from the registrar, by another of its ports."""
    talk = scene.udp(remote, port, source=5060)
    request = talk.say(talk.client, bytes_of.contact(scene.host, remote, 5060, "UDP"))
    if request is None or talk.say(talk.server, bytes_of.sip_ok(request)) is None:
        return None
    return scene.doors(remote, Door(UDP, scene.host, 5060))


def sip_call(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The other party sends sound."""
    talk = scene.udp(remote, port, source=5060)
    media = scene.data() & 0xFFFE
    if talk.say(talk.client, bytes_of.invite(scene.host, remote, 5060, media, "UDP")) is None:
        return None
    return scene.doors(remote, Door(UDP, scene.host, media))


def sip_tcp(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """A call comes from the registrar, TCP."""
    talk = scene.tcp(remote, port)
    data = scene.data()
    if not talk.open():
        return None
    request = talk.say(talk.client, bytes_of.contact(scene.host, remote, data, "TCP"))
    if not request or not talk.say(talk.server, bytes_of.sip_ok(request)):
        return None
    return scene.doors(remote, Door(TCP, scene.host, data))


def ras(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The gatekeeper begins a call."""
    talk = scene.udp(remote, port, source=1719)
    data = scene.data()
    if talk.say(talk.client, h323.registration(scene.host, data, 1719)) is None:
        return None
    if talk.say(talk.server, h323.registration_confirm(remote, 1720)) is None:
        return None
    return scene.doors(remote, Door(TCP, scene.host, data))


def q931(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The client connects to the H.245 port that the server named."""
    talk = scene.tcp(remote, port)
    data = scene.far_data(11000)
    if not talk.open() or not talk.say(talk.client, h323.tpkt(b"\x08\x02\0\1\x05")):
        return None
    if not talk.say(talk.server, h323.tpkt(h323.call_proceeding(remote, data))):
        return None
    return scene.doors(remote, Door(TCP, remote, data, outward=True))


def q931_fast(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The other party sends sound, as the call itself announced."""
    talk = scene.tcp(remote, port)
    media = scene.data() & 0xFFFE
    if not talk.open() or not talk.say(talk.client, h323.tpkt(h323.fast_start(scene.host, media, media + 1))):
        return None
    return scene.doors(remote, Door(UDP, scene.host, media))


def amanda(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The backup server connects to the client's data port."""
    talk = scene.udp(remote, port)
    if talk.say(talk.client, b"Amanda 2.5 REQ\n") is None:
        return None
    if talk.say(talk.server, b"CONNECT DATA 5001 MESG 5002 INDEX 5003\n") is None:
        return None
    return scene.doors(remote, Door(TCP, remote, 5001, outward=True))


def sane(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The client fetches the picture."""
    talk = scene.tcp(remote, port)
    if not talk.open() or not talk.say(talk.client, struct.pack("!II", 7, 0)):
        return None
    if not talk.say(talk.server, struct.pack("!IHHI", 0, 0, 5555, 0x1234)):
        return None
    return scene.doors(remote, Door(TCP, remote, 5555, outward=True))


def pptp(scene: Scene, remote: bytes, port: int) -> list[Door] | None:
    """The tunnel's first packet, from the client."""
    talk = scene.tcp(remote, port)
    reply = message(2, struct.pack("!HBBIIHH", 0x100, 1, 0, 1, 1, 0, 0) + bytes(128))
    if not talk.open() or not talk.say(talk.client, start_request()) or not talk.say(talk.server, reply):
        return None
    asked = talk.say(talk.client, outgoing_call_request(0x1111))
    if not asked:
        return None
    answer = struct.pack("!HHBBHIHHI", 0x2222, int.from_bytes(asked[12:14]), 1, 0, 0, 100_000_000, 64, 0, 0)
    if not talk.say(talk.server, message(8, answer)):
        return None
    return scene.doors(remote, Door(GRE, remote, 0x2222, outward=True))


#: Helper and transport → its sessions, by what happens in them.
HONEST: Final[dict[tuple[str, int], dict[str, Callable[[Scene, bytes, int], list[Door] | None]]]] = {
    ("ftp", TCP): {"active data connection": ftp_active, "passive data connection": ftp_passive},
    ("tftp", UDP): {"answer from another port": tftp},
    ("irc", TCP): {"DCC offer": irc},
    ("sip", UDP): {"call from the registrar": sip_register, "media of a call": sip_call},
    ("sip", TCP): {"call from the registrar": sip_tcp},
    ("RAS", UDP): {"call from the gatekeeper": ras},
    ("Q.931", TCP): {"H.245 channel": q931, "media of a fast start": q931_fast},
    ("amanda", UDP): {"backup stream": amanda},
    ("sane", TCP): {"scan": sane},
    ("pptp", TCP): {"tunnel": pptp},
}
