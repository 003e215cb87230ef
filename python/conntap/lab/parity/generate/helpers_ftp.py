"""FTP sessions (RFC 959, 2428) as a helper sees them: agreements about data connections, good, odd and forged.

Peers act on what arrived: the data connection goes to the port that the other side read, so that a gateway which
rewrites the text is followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, PSH, SYN, TCP
from conntap.lab.parity.generate.sites import as_text
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import MASK, Tcp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["FTP_TROUBLES", "ftp"]

_SIX: Final = re.compile(rb"\d+,\d+,\d+,\d+,(\d+),(\d+)")
_BARS: Final = re.compile(rb"\|(\d+)\|\D*$")


def announced(text: bytes | None, otherwise: int) -> int:
    """The port that *text* names, as whoever reads it would understand; *otherwise* if there is none."""
    if text and (six := _SIX.search(text)):
        return (int(six[1]) << 8 | int(six[2])) & 0xFFFF
    if text and (bars := _BARS.search(text)):
        return int(bars[1]) & 0xFFFF
    return otherwise


class Session:
    """A control connection, and the texts that go over it."""

    __slots__ = ("client", "control", "server", "site")

    def __init__(self, site: Site) -> None:
        port, public = site.listens(TCP, 21)
        self.control = Tcp(site, port, public=public)
        self.site = site
        self.client, self.server = self.control.client, self.control.server

    def six(self, side: int, port: int, *, host: int = 0) -> str:
        """h1,h2,h3,h4,p1,p2 of an address of *side*; of IPv6 ones the last four bytes."""
        return ",".join(map(str, (*self.site.real(side, host)[-4:], port >> 8, port & 255)))

    def eprt(self, port: int, *, host: int = 0, mark: str = "|") -> str:
        """EPRT with the client's address."""
        family = "1" if self.site.version == 4 else "2"
        address = as_text(self.site.real(self.client, host))
        return mark.join(("EPRT ", family, address, str(port), ""))

    def says(self, side: int, text: str) -> Script[bytes | None]:
        """A line, with its end, acknowledged."""
        return (yield from self.control.say(side, text.encode() + b"\r\n"))

    def greet(self) -> Script[None]:
        """Connect and log in, so that both directions have ended a line."""
        yield from self.control.open()
        yield from self.says(self.server, "220 ready")
        yield from self.says(self.client, "USER x")
        yield from self.says(self.server, "230 welcome")

    def data(self, caller: int, port: int, public: int, *, host: int = 0, source: int | None = None) -> Script[None]:
        """A data connection from *caller* to the other side's *port*, known there as *public*; short or whole."""
        rng = self.site.rng
        if host and self.site.nat == "dnat" and caller == 0:
            host = 0  # only the one server is behind the virtual address
        t = Tcp(self.site, port, client=caller, hosts=(host, 0), public=public, source=source)
        if host:
            t.guarded = False
            yield from t.emit(caller, SYN)
            return
        if rng.random() < 0.25:
            yield from t.emit(caller, SYN)
            return
        yield from t.open()
        yield from t.say(
            rng.choice((0, 1)), rng.choice((b"listing\r\n", b"227 Entering Passive Mode (1,2,3,4,5,6)\r\n"))
        )
        if rng.random() < 0.6:
            yield from t.close(rng.choice((0, 1)))

    def offer(self, side: int, text: str, port: int) -> Script[None]:
        """A line that names *port* of *side*; perhaps the other side connects."""
        arrived = yield from self.says(side, text)
        if side == self.client:
            yield from self.says(self.server, "200 ok")
        public = announced(arrived, port)
        if self.site.rng.random() < 0.6:
            source = 20 if side == self.client and self.site.rng.random() < 0.8 else None
            yield from self.data(1 - side, port, public, source=source)


def _active(f: Session) -> Script[None]:
    """PORT, and the server connects."""
    port = f.site.port()
    word = f.site.rng.choice(("PORT", "PORT", "port", "Port"))
    yield from f.offer(f.client, f"{word} {f.six(f.client, port)}", port)


def _passive(f: Session) -> Script[None]:
    """PASV, 227, and the client connects."""
    port = f.site.port()
    yield from f.says(f.client, f.site.rng.choice(("PASV", "pasv")))
    form = f.site.rng.choice(
        ("227 Entering Passive Mode ({}).", "227 Entering Passive Mode ({})", "227 ok {} bye", "227 ={}")
    )
    yield from f.offer(f.server, form.format(f.six(f.server, port)), port)


def _eprt(f: Session) -> Script[None]:
    """EPRT, with one delimiter or another."""
    port = f.site.port()
    text = f.eprt(port, mark=f.site.rng.choice(("|", "|", "!", ":" if f.site.version == 4 else "@")))
    yield from f.offer(f.client, text.lower() if f.site.rng.random() < 0.2 else text, port)


def _epsv(f: Session) -> Script[None]:
    """EPSV, 229."""
    port = f.site.port()
    yield from f.says(f.client, f.site.rng.choice(("EPSV", "epsv", "EPSV 2")))
    form = f.site.rng.choice(("229 Entering Extended Passive Mode (|||{}|)", "229 (|||{}|)", "229 ok (!!!{}!) done"))
    yield from f.offer(f.server, form.format(port), port)


def _repeated(f: Session) -> Script[None]:
    """The same agreement twice, or another while one waits."""
    rng, port = f.site.rng, f.site.port()
    for number in range(rng.randrange(2, 4)):
        again = port if number == 1 else f.site.port()
        side = rng.choice((f.client, f.server))
        text = f"PORT {f.six(side, again)}" if side == f.client else f"227 ok ({f.six(side, again)})"
        yield from f.says(side, text)
        port = again
    if rng.random() < 0.5:
        yield from f.says(f.client, "NOOP")


def _retransmitted(f: Session) -> Script[None]:
    """The segment that carries the agreement is lost behind the gateway and comes again."""
    rng, port = f.site.rng, f.site.port()
    side = rng.choice((f.client, f.server))
    text = f"PORT {f.six(side, port)}\r\n" if side == f.client else f"227 ok ({f.six(side, port)})\r\n"
    packet = f.control.make(side, PSH | ACK, text.encode())
    yield from f.control.put(side, packet, heed=False)
    yield from f.control.put(side, packet)
    yield from f.control.emit(1 - side, ACK)
    yield from f.says(side, "NOOP" if side == f.client else "250 ok")


def _split(f: Session) -> Script[None]:
    """The line comes in two segments; the second one alone is no command. The first may come once more."""
    rng, port = f.site.rng, f.site.port()
    side = rng.choice((f.client, f.server))
    whole = f"PORT {f.six(side, port)}\r\n" if side == f.client else f"227 ok ({f.six(side, port)})\r\n"
    at = rng.choice((1, 3, 4, 5, 8, len(whole) - 4, len(whole) - 2, len(whole) - 1))
    start = f.control.peers[side].seq
    for part in (whole[:at], whole[at:]):
        yield from f.control.say(side, part.encode())
    if rng.random() < 0.5:
        yield from f.control.emit(side, PSH | ACK, whole.encode(), seq=start)
        yield from f.control.emit(1 - side, ACK)
    if rng.random() < 0.5:
        yield from _active(f)


def _not_at_start(f: Session) -> Script[None]:
    """The command follows another one in the same segment, or stands inside a line."""
    rng, port = f.site.rng, f.site.port()
    side = rng.choice((f.client, f.server))
    if side == f.client:
        text = rng.choice(("NOOP\r\nPORT {}", " PORT {}", "SITE PORT {}", "PORT{}", "PORTX {}", "PORT  {}", "PO RT {}"))
    else:
        text = rng.choice(("150 x\r\n227 ok ({})", "227-ok ({})", " 227 ({})", "2270 ({})", "226 227 ({})", "227 {}x"))
    yield from f.says(side, text.format(f.six(side, port)))
    yield from f.says(side, "NOOP" if side == f.client else "250 ok")


def _wrong_direction(f: Session) -> Script[None]:
    """The client sends a 227, the server a PORT."""
    port = f.site.port()
    yield from f.says(f.client, f"227 Entering Passive Mode ({f.six(f.client, port)})")
    yield from f.says(f.server, f"PORT {f.six(f.server, port)}")
    yield from f.says(f.server, f"229 Extended (|||{port}|)" if f.site.rng.random() < 0.5 else "250 ok")


def _forged(f: Session) -> Script[None]:
    """The address of another host; with it nobody opens a hole unless `loose` is set."""
    rng, port = f.site.rng, f.site.port()
    side = rng.choice((f.client, f.server))
    host = rng.choice((1, 2))
    other = f.six(rng.choice((0, 1)), port, host=host)
    if side == f.server:
        text = f"227 Entering Passive Mode ({other})"
    else:
        text = rng.choice((f"PORT {other}", f.eprt(port, host=host)))
    yield from f.says(side, text)
    if rng.random() < 0.5 and not f.site.nat:
        yield from f.data(1 - side, port, port, host=2)


def _numbers(f: Session) -> Script[None]:
    """Numbers too large, too long, missing or many; port zero; a port of a system service."""
    rng, port = f.site.rng, f.site.port()
    own = f.six(f.client, port).split(",")
    odd = rng.choice(
        ("256", "266", "310", "65535", "65546", "4294967306", "99999999999999999999", "00010", "-1", "0x0a", "")
    )
    own[rng.randrange(4 if f.site.nat == "snat" else 6)] = odd  # there the port must stay below `Site.own_port`
    text = rng.choice(
        (
            "PORT " + ",".join(own),
            "PORT " + ",".join(own[:5]),
            "PORT " + ",".join([*own, "1"]),
            "PORT " + ",".join((*own[:4], "0", "0")),
            "PORT " + f.six(f.client, rng.choice((1, 22, 1023))),
            f.eprt(0),
            f.eprt(65536 + port),
            f.eprt(70000),
            f.eprt(4294967296 + port),
        )
    )
    yield from f.says(f.client, text)
    yield from f.says(f.server, "500 what")
    if rng.random() < 0.5:
        yield from f.says(
            f.server,
            rng.choice(
                ("229 x (|||0|)", f"229 x (|||{65536 + port}|)", "229 x (||||)", "229 x (|1||5|)", "229 x (55555)")
            ),
        )


def _other_family(f: Session) -> Script[None]:
    """EPRT of the other family, PORT on IPv6, families that do not exist, broken delimiters."""
    rng, port = f.site.rng, f.site.port()
    address = as_text(f.site.real(f.client))
    text = rng.choice(
        (
            f"EPRT |1|10.0.0.1|{port}|",
            f"EPRT |2|2001:db8::1|{port}|",
            f"EPRT |3|{address}|{port}|",
            f"EPRT 1{address}1{port}1",
            f"EPRT |1|{address}!{port}|",
            f"EPRT |{port}|",
            f"EPRT |1|{address}x|{port}|",
            f"EPRT \x011\x01{address}\x01{port}\x01",
            f"LPRT 4,4,10,0,0,1,2,{port >> 8},{port & 255}",
            f"PORT {f.six(f.client, port)}",
        )
    )
    yield from f.says(f.client, text)
    yield from f.says(f.client, "NOOP")


def _line_ends(f: Session) -> Script[None]:
    """Other ends of a line, spaces before the end, no end."""
    rng, port = f.site.rng, f.site.port()
    six = f.six(f.client, port).encode()
    for end in rng.sample((b"\n", b" \r\n", b"\r", b"", b"\r\nNOOP\r\n", b"\t\r\n", b"\r\r\n", b"\0\r\n"), 2):
        yield from f.control.say(f.client, b"PORT " + six + end)
    yield from f.says(f.client, "NOOP")
    yield from _active(f)


def _wrong_host(f: Session) -> Script[None]:
    """Somebody else connects to the announced port, then whoever should."""
    port = f.site.port()
    arrived = yield from f.says(f.client, f"PORT {f.six(f.client, port)}")
    public = announced(arrived, port)
    yield from f.data(f.server, port, public, host=2, source=20)
    yield from f.data(f.server, port, public, source=20)


def _spoiled_child(f: Session) -> Script[None]:
    """The first packet of the data connection has a bad checksum, or cannot open; the good one follows."""
    rng, port = f.site.rng, f.site.port()
    yield from f.says(f.client, "PASV")
    arrived = yield from f.says(f.server, f"227 ok ({f.six(f.server, port)})")
    t = Tcp(f.site, port, client=f.client, public=announced(arrived, port))
    first = t.make(f.client, SYN)
    if rng.random() < 0.6:
        bad = t.make(f.client, SYN, seq=t.peers[f.client].isn, spoil=1)
    else:
        bad = t.make(f.client, rng.choice((SYN | ACK, 4, 0)), seq=rng.getrandbits(32))
    yield from t.put(f.client, bad, heed=False)
    yield from t.put(f.client, first)
    yield from t.emit(f.server, SYN | ACK)
    yield from t.emit(f.client, ACK)


def _overtaken(f: Session) -> Script[None]:
    """The next line overtakes the command, or a segment between is lost before the gateway."""
    rng, port, t = f.site.rng, f.site.port(), f.control
    command = t.make(f.client, PSH | ACK, f"PORT {f.six(f.client, port)}\r\n".encode())
    following = t.make(f.client, PSH | ACK, b"NOOP\r\n")
    yield from t.put(f.client, following)
    yield from t.emit(f.server, ACK)
    if rng.random() < 0.7:
        yield from t.put(f.client, command)
        yield from t.emit(f.server, ACK)
    yield from _active(f)


def _keepalive_in_between(f: Session) -> Script[None]:
    """A keep-alive with a stray byte, then the command."""
    t = f.control
    yield from t.emit(f.client, ACK, b"\0", seq=t.peers[f.client].seq - 1 & MASK, heed=False)
    yield from t.emit(f.server, ACK)
    yield from _active(f)


_STEPS: Final[Table[Session]] = {
    "ftp-active": (14, _active),
    "ftp-passive": (14, _passive),
    "ftp-eprt": (8, _eprt),
    "ftp-epsv": (8, _epsv),
    "ftp-repeated": (6, _repeated),
    "ftp-retransmitted": (5, _retransmitted),
    "ftp-split-line": (6, _split),
    "ftp-not-at-start": (5, _not_at_start),
    "ftp-wrong-direction": (3, _wrong_direction),
    "ftp-forged-address": (5, _forged),
    "ftp-numbers": (6, _numbers),
    "ftp-other-family": (4, _other_family),
    "ftp-line-ends": (4, _line_ends),
    "ftp-wrong-host": (4, _wrong_host),
    "ftp-spoiled-child": (3, _spoiled_child),
    "ftp-overtaken": (4, _overtaken),
    "ftp-keepalive": (2, _keepalive_in_between),
}

FTP_TROUBLES: Final = frozenset({*_STEPS, "ftp-first-segment", "ftp-closed-first"})


def ftp(site: Site) -> Script[None]:
    """One session with some agreements in it."""
    rng, f = site.rng, Session(site)
    if rng.random() < 0.1:
        site.note("ftp-first-segment")  # the command is the first data: no line has ended before it
        yield from f.control.open()
        yield from _active(f)
    else:
        yield from f.greet()
    for _ in range(rng.choice((1, 1, 2, 3))):
        name, script = pick(rng, _STEPS)
        site.note(name)
        yield from script(f)
    if rng.random() < 0.5:
        yield from f.control.close(rng.choice((0, 1)))
        if rng.random() < 0.3:
            site.note("ftp-closed-first")  # the agreement outlives the session's close
            yield from f.data(f.client, site.port(), site.port())
