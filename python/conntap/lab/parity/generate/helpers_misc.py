"""TFTP, IRC, Amanda and SANE as their helpers see them: what they agree on, and what only looks like it."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, SYN, TCP, UDP
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["AMANDA_TROUBLES", "IRC_TROUBLES", "SANE_TROUBLES", "TFTP_TROUBLES", "amanda", "irc", "sane", "tftp"]


def _one(site: Site, table: Table[Site], times: tuple[int, ...] = (1,)) -> Script[None]:
    for _ in range(site.rng.choice(times)):
        name, script = pick(site.rng, table)
        site.note(name)
        yield from script(site)


# ---- TFTP, RFC 1350


def _tftp_transfer(site: Site) -> Script[None]:
    """A request, repeated perhaps, answered from another port; acknowledgements go there."""
    rng = site.rng
    port, public = site.listens(UDP, 69)
    u = Udp(site, port, public=public)
    request = rng.choice((b"\0\1boot.img\0octet\0", b"\0\2up.img\0octet\0", b"\0\1", b"\0\2x"))
    for _ in range(rng.choice((1, 1, 2, 3))):
        yield from u.emit(u.client, request)
    answer = Udp(site, u.ports[0], client=u.server, source=site.port())
    for number in range(1, rng.randrange(2, 5)):
        yield from answer.emit(u.server, struct.pack("!HH", 3, number) + b"data")
        yield from answer.emit(u.client, struct.pack("!HH", 4, number))
    if rng.random() < 0.4:
        yield from u.emit(u.client, request)


def _tftp_refused(site: Site) -> Script[None]:
    """An error from port 69 itself; then a data packet from another port all the same."""
    u = Udp(site, 69)
    yield from u.emit(u.client, b"\0\1nothing\0octet\0")
    yield from u.emit(u.server, b"\0\5\0\1no such file\0")
    if site.rng.random() < 0.5:
        yield from Udp(site, u.ports[0], client=u.server, source=site.port()).emit(u.server, b"\0\3\0\1data")


def _tftp_others(site: Site) -> Script[None]:
    """Other operations to port 69, too few bytes, requests in the wrong direction."""
    rng = site.rng
    u = Udp(site, 69)
    for text in rng.sample((b"\0\3\0\1data", b"\0\4\0\1", b"\0\6", b"\1\0", b"\0", b"", b"\0\1x\0octet\0"), 3):
        yield from u.emit(u.client, text)
    yield from u.emit(u.server, rng.choice((b"\0\1x\0octet\0", b"\0\2x\0octet\0")))
    yield from Udp(site, u.ports[0], client=u.server, source=site.port()).emit(u.server, b"\0\3\0\1data")


def _tftp_wrong_host(site: Site) -> Script[None]:
    """The answer comes from another host, then from the right one."""
    u = Udp(site, 69)
    yield from u.emit(u.client, b"\0\1boot.img\0octet\0")
    for host in (2, 0) if site.nat != "dnat" else (0,):
        answer = Udp(site, u.ports[0], client=u.server, hosts=(host, 0), source=site.port())
        answer.guarded = False
        yield from answer.emit(u.server, b"\0\3\0\1")


_TFTP: Final[Table[Site]] = {
    "tftp-transfer": (8, _tftp_transfer),
    "tftp-refused": (3, _tftp_refused),
    "tftp-others": (3, _tftp_others),
    "tftp-wrong-host": (3, _tftp_wrong_host),
}
TFTP_TROUBLES: Final = frozenset(_TFTP)


def tftp(site: Site) -> Script[None]:
    """One transfer, or none."""
    yield from _one(site, _TFTP)


# ---- IRC, DCC offers


_OFFER: Final = re.compile(rb"DCC \S+ \S+ (\d+) (\d+)")
_DCC: Final = ("SEND file.txt", "CHAT chat", "MOVE here", "TSEND file.txt", "SCHAT chat")


def _irc_open(site: Site) -> Script[Tcp]:
    port, public = site.listens(TCP, 6667)
    t = Tcp(site, port, public=public)
    yield from t.open()
    yield from t.say(t.client, b"NICK al\r\n")
    yield from t.say(t.server, b":srv 001 al :hi\r\n")
    return t


def _number(site: Site, side: int, host: int = 0) -> int:
    return int.from_bytes(site.real(side, host))


def _irc_offer(site: Site) -> Script[None]:
    """Offers of each kind; strangers connect to some."""
    rng = site.rng
    t = yield from _irc_open(site)
    for _ in range(rng.choice((1, 1, 2, 3))):
        port = site.own_port()
        word = rng.choice(("PRIVMSG", "PRIVMSG", "privmsg"))
        size = rng.choice((" 100", "", " 1 2"))
        text = f"{word} bob :\1DCC {rng.choice(_DCC)} {_number(site, t.client)} {port}{size}\1\r\n"
        arrived = yield from t.say(t.client, text.encode())
        if rng.random() < 0.6:
            found = _OFFER.search(arrived or b"")
            public = int(found[2]) if found else port
            host = 2 if t.server == 1 else 0
            child = Tcp(site, port, client=t.server, hosts=(host, 0), public=public)
            child.guarded = False
            yield from child.emit(t.server, SYN)
            if not site.nat:
                yield from child.emit(t.client, SYN | ACK)
                yield from child.emit(t.server, ACK)


def _irc_many(site: Site) -> Script[None]:
    """More offers than are kept: the oldest go."""
    t = yield from _irc_open(site)
    first = site.own_port()
    for number in range(site.rng.randrange(8, 12)):
        port = first if number == 0 else site.own_port()
        text = f"PRIVMSG bob :\1DCC SEND f {_number(site, t.client)} {port} 1\1\r\n"
        yield from t.emit(t.client, ACK, text.encode())
    yield from t.emit(t.server, ACK)


def _irc_odd(site: Site) -> Script[None]:
    """What is no offer: other words, addresses, ports, forms, directions; lines cut in two."""
    rng = site.rng
    t = yield from _irc_open(site)
    number, port = _number(site, t.client), site.own_port()
    texts = (
        f"NOTICE bob :\1DCC CHAT chat {number} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC CHAT chat {number + 1} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC CHAT chat {_number(site, t.server)} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC CHAT chat {number} 0\1\r\n",
        f"PRIVMSG bob :\1DCC CHAT chat {number} {65536 + port}\1\r\n",
        f"PRIVMSG bob :\1DCC CHAT chat {number + (1 << 32)} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC chat chat {number} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC XMIT file {number} {port}\1\r\n",
        f"PRIVMSG bob :DCC SEND file {number} {port}\1\r\n",
        f"PRIVMSG bob \1DCC SEND file {number} {port}\1\r\n",
        f"PRIVMSG bob :hello\r\nPRIVMSG bob :\1DCC SEND file {number} {port}\1\r\n",
        f"PRIVMSG bob :look :\1DCC SEND file {number} {port}\1\r\n",
        f"\r\n \r\nPRIVMSG bob :\1DCC SEND file {number} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC SEND a file {number} {port}\1\r\n",
        f"PRIVMSG bob :\1DCC SEND file {number}    {port}\1\r\n",
        f"PRIVMSG bob :\1DCC SEND file {number} {port}\1",
        f"PRIVMSG bob :\1DCC SEND file x {port}\1\r\n",
        "PRIVMSG bob :\1DCC SEND\1\r\n",
        "PRIVMSG b :\1DCC SEND f 1 1\n",
    )
    for text in rng.sample(texts, 3):
        yield from t.say(t.client, text.encode())
    yield from t.say(t.server, f":x!y@z PRIVMSG al :\1DCC SEND f {_number(site, t.server)} {port} 1\1\r\n".encode())
    whole = f"PRIVMSG bob :\1DCC CHAT chat {number} {site.own_port()}\1\r\n".encode()
    at = rng.randrange(1, len(whole))
    yield from t.say(t.client, whole[:at])
    yield from t.say(t.client, whole[at:])


_IRC: Final[Table[Site]] = {"irc-offer": (8, _irc_offer), "irc-many": (2, _irc_many), "irc-odd": (5, _irc_odd)}
IRC_TROUBLES: Final = frozenset(_IRC)


def irc(site: Site) -> Script[None]:
    """A chat with offers in it."""
    yield from _one(site, _IRC)


# ---- Amanda


def _amanda(site: Site) -> Script[None]:
    """A request and replies whose CONNECT line names ports; the asker connects to some."""
    rng = site.rng
    port, public = site.listens(UDP, 10080)
    u = Udp(site, port, public=public)
    yield from u.emit(u.client, b"Amanda 2.4 REQ HANDLE 1 SEQ 2\nSERVICE sendbackup\n")
    ports = [site.port() for _ in range(4)]
    form = rng.choice(
        (
            "Amanda 2.4 REP HANDLE 1 SEQ 2\nCONNECT DATA {} MESG {} INDEX {}\nOPTIONS x\n",
            "CONNECT INDEX {} MESG {} DATA {}\n",
            "x CONNECT STATE {3} DATA {0} MESG {1} INDEX {2}\n",
            "CONNECT DATA {}\n",
            "CONNECT DATA {}",
        )
    )
    text = form.format(*ports)
    arrived = yield from u.emit(u.server, text.encode())
    for number, known in list(
        zip(re.findall(r" (\d{4,5})", text), re.findall(rb" (\d{4,5})", arrived or b""), strict=False)
    )[:2]:
        child = Tcp(site, int(number), client=u.client, public=int(known))
        yield from child.emit(u.client, SYN)
        yield from child.emit(u.server, SYN | ACK)
    if rng.random() < 0.4:
        yield from u.emit(u.server, text.encode())
    yield from u.emit(u.client, b"ACK\n")


def _amanda_odd(site: Site) -> Script[None]:
    """Bad ports, lower case, no line, more ports than are kept, and the line from the wrong side."""
    rng = site.rng
    u = Udp(site, 10080)
    yield from u.emit(u.client, rng.choice((b"REQ\n", b"CONNECT DATA 5001 MESG 5002\n")))
    texts = (
        "CONNECT DATA 6001 MESG 0 INDEX 6003\n",
        "CONNECT DATA 70000 MESG 6002 INDEX 6003\n",
        "CONNECT DATA 123456 MESG 6002\n",
        "CONNECT DATA x MESG 6002\n",
        "CONNECT DATA  6001\n",
        "connect DATA 6005\n",
        "CONNECT data 6005\n",
        "CONNECT \nDATA 6005\n",
        "CONNECT STATE 6004 DATA 6001 MESG 6002 INDEX 6003\n",
        "CONNECT DATA 6011 MESG 6012 INDEX 6013\n",
        "CONNECT DATA 6021 DATA 6022\n",
        "CONNECT MESG 80 CONNECT DATA 6031\n",
        "CONNECT",
    )
    for text in rng.sample(texts, 3):
        yield from u.emit(u.server, text.encode())


_AMANDA: Final[Table[Site]] = {"amanda-backup": (6, _amanda), "amanda-odd": (5, _amanda_odd)}
AMANDA_TROUBLES: Final = frozenset(_AMANDA)


def amanda(site: Site) -> Script[None]:
    """A backup's beginning."""
    yield from _one(site, _AMANDA)


# ---- SANE


def _sane(site: Site) -> Script[None]:
    """NET_START and replies, good and bad; the client connects."""
    rng = site.rng
    t = Tcp(site, 6566)
    yield from t.open()
    for _ in range(rng.choice((1, 2, 3))):
        request = rng.choice(
            (
                struct.pack("!II", 7, 0),
                struct.pack("!II", 7, 1),
                struct.pack("!II", 3, 0),
                struct.pack("!I", 7),
                b"\0" * 9,
            )
        )
        yield from t.say(t.client, request)
        if rng.random() < 0.2:
            yield from t.say(t.client, rng.choice((struct.pack("!II", 1, 0), b"text")))
        port = site.port()
        reply = rng.choice(
            (
                struct.pack("!IHHI", 0, 0, port, 0x1234),
                struct.pack("!IHH", 0, 0, port),
                struct.pack("!IHH", 5, 0, port),
                struct.pack("!IHH", 0, 1, port),
                struct.pack("!IHH", 0, 0, 0),
                struct.pack("!IH", 0, 0),
            )
        )
        yield from t.say(t.server, reply)
        if rng.random() < 0.3:
            yield from t.say(t.server, struct.pack("!IHH", 0, 0, site.port()))
        if rng.random() < 0.6:
            child = Tcp(site, port, client=t.client)
            yield from child.open()
    if rng.random() < 0.5:
        yield from t.close(t.client)


_SANE: Final[Table[Site]] = {"sane-scan": (1, _sane)}
SANE_TROUBLES: Final = frozenset(_SANE)


def sane(site: Site) -> Script[None]:
    """A scan."""
    yield from _one(site, _SANE)
