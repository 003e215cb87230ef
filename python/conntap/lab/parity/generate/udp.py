"""UDP (RFC 768) and UDP-Lite (RFC 3828): exchanges, streams, and headers that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import UDP, UDPLITE, ip, udp, udplite
from conntap.lab.parity.generate.talk import BrokenOffError, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["LITE_TROUBLES", "UDP_TROUBLES", "Udp", "datagrams", "lite"]


class Udp:
    """A pair of endpoints: host *hosts[0]* of the client side, host *hosts[1]* of the other.

    *port* is the server's own port, *public* the one that clients call where the gateway translates it. Clear *guarded*
    where the answering side may open a flow, since nothing goes back on it: see `Site.caller`.

    The tracker checks UDP-Lite sums as if the protocol were UDP (IPPROTO_UDP in udplite_error,
    net/netfilter/nf_conntrack_proto_udp.c), so sums that are right by RFC 3828 count as wrong. *pseudo* is the number
    that goes into them: mostly the one that is accepted.
    """

    __slots__ = ("_reach", "_real", "client", "guarded", "hosts", "lite", "ports", "pseudo", "server", "site")

    def __init__(
        self,
        site: Site,
        port: int | None = None,
        *,
        client: int | None = None,
        hosts: tuple[int, int] = (0, 0),
        source: int | None = None,
        public: int | None = None,
        lite: bool = False,
    ) -> None:
        self.site = site
        self.client = site.client if client is None else client
        self.server = 1 - self.client
        self.lite = lite
        self.guarded = bool(site.nat)
        self.pseudo = site.rng.choice((UDP, UDP, UDP, UDPLITE)) if lite else UDP
        own = (site.port() if source is None else source, site.service() if port is None else port)
        known = (own[0], own[1] if public is None else public)
        self.ports = own
        self.hosts = hosts if self.client == 0 else hosts[::-1]
        self._real = own if self.client == 0 else own[::-1]
        self._reach = known if self.client == 0 else known[::-1]

    def end(self, side: int) -> tuple[bytes, int]:
        """The address and port that *side* has itself."""
        return self.site.real(side, self.hosts[side]), self._real[side]

    def make(
        self,
        side: int,
        payload: bytes = b"",
        *,
        length: int | None = None,
        checksum: int | None = None,
        spoil: int = 0,
        cut: int | None = None,
        padding: bytes = b"",
        ident: int | None = None,
    ) -> bytes:
        """A packet of *side*. *cut* leaves only so many bytes of the datagram; *padding* follows the IP packet."""
        source, destination = self.site.between(side, self.hosts[side], self.hosts[1 - side])
        ports = self._real[side], self._reach[1 - side]
        if self.lite:
            coverage = length or 0
            datagram = udplite(
                *(source, destination, ports, payload),
                coverage=coverage,
                checksum=checksum,
                spoil=spoil,
                pseudo=self.pseudo,
            )
        else:
            datagram = udp(source, destination, ports, payload, length=length, checksum=checksum, spoil=spoil)
        if cut is not None:
            datagram = datagram[:cut]
        if ident is None:
            ident = self.site.rng.getrandbits(16)
        return ip(source, destination, UDPLITE if self.lite else UDP, datagram, ident=ident) + padding

    def emit(self, side: int, payload: bytes = b"") -> Script[bytes | None]:
        """Send a datagram; returns the payload that arrived, or None."""
        return payload_of((yield from self.put(side, self.make(side, payload))))

    def put(self, side: int, packet: bytes) -> Script[Sequence[bytes]]:
        """Send a packet that `make` made; returns what was forwarded."""
        forwarded = yield from self.site.send(side, packet)
        if self.guarded and self.site.astray(side, forwarded):
            raise BrokenOffError
        return forwarded


def payload_of(packets: Sequence[bytes]) -> bytes | None:
    """What the first of *packets* carries in its datagram."""
    if not packets:
        return None
    packet = packets[0]
    return packet[(packet[0] & 15) * 4 + 8 :] if packet[0] >> 4 == 4 else packet[48:]


def _exchange(u: Udp) -> Script[None]:
    """A question, perhaps repeated, and an answer."""
    rng = u.site.rng
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        yield from u.emit(u.client, rng.randbytes(rng.choice((0, 1, 30, 512))))
    if rng.random() < 0.8:
        yield from u.emit(u.server, rng.randbytes(rng.choice((0, 1, 200, 1400))))


def _stream(u: Udp) -> Script[None]:
    """Many datagrams both ways, well within two seconds."""
    rng = u.site.rng
    for number in range(rng.randrange(4, 16)):
        side = rng.choice((0, 1)) if number else u.client
        yield from u.emit(side, rng.randbytes(rng.choice((12, 160, 1200))))


def _one_sided(u: Udp) -> Script[None]:
    """Datagrams that nobody answers."""
    for _ in range(u.site.rng.randrange(1, 6)):
        yield from u.emit(u.client, b"anybody?")


def _server_first(u: Udp) -> Script[None]:
    """What looks like the answer comes first and opens the flow from the other side."""
    first = u.client if u.site.nat == "snat" else u.server
    yield from u.emit(first, b"first")
    yield from u.emit(1 - first, b"second")
    yield from u.emit(first, b"third")


def _other_port(u: Udp) -> Script[None]:
    """The answer comes from another port or another host: a flow of its own."""
    site = u.site
    yield from u.emit(u.client, b"question")
    elsewhere = Udp(site, site.port(), source=u.ports[0], hosts=(0, site.rng.choice((0, 1))), lite=u.lite)
    elsewhere.guarded = False
    yield from elsewhere.emit(u.server, b"answer from elsewhere")
    yield from u.emit(u.server, b"answer")


def _bad_sum(u: Udp) -> Script[None]:
    """A wrong checksum on the first datagram, on an answer, or in between."""
    rng = u.site.rng
    if rng.random() < 0.5:
        yield from u.emit(u.client, b"good")
    side = rng.choice((0, 1))
    yield from u.put(side, u.make(side, b"bad sum", spoil=rng.choice((1, 0x8000, 0x0F0F))))
    yield from u.emit(u.server, b"good")


def _no_sum(u: Udp) -> Script[None]:
    """Checksum zero: none was computed (RFC 768); on IPv6 it is allowed to tunnels only (RFC 6935)."""
    for side in (u.client, u.server):
        yield from u.put(side, u.make(side, b"no sum", checksum=0))


def _short(u: Udp) -> Script[None]:
    """Fewer bytes than a UDP header."""
    rng = u.site.rng
    side = rng.choice((0, 1))
    yield from u.put(side, u.make(side, b"too short", cut=rng.choice((0, 1, 2, 3, 4, 5, 7))))
    yield from u.emit(u.client, b"whole")


def _long_length(u: Udp) -> Script[None]:
    """A length field above what is there."""
    rng = u.site.rng
    side = rng.choice((0, 1))
    yield from u.put(side, u.make(side, b"data", length=rng.choice((13, 20, 1000, 65535))))
    yield from u.emit(u.client, b"data")


def _short_length(u: Udp) -> Script[None]:
    """A length field below what is there, below the header, or zero."""
    rng = u.site.rng
    for length in rng.sample((0, 1, 7, 8, 9, 11), 2):
        yield from u.put(u.client, u.make(u.client, b"some data", length=length))
    yield from u.put(u.server, u.make(u.server, b"some data", length=10))


def _port_zero(u: Udp) -> Script[None]:
    """Port 0 at one end or both."""
    rng = u.site.rng
    zero = Udp(u.site, rng.choice((0, u.ports[1])), source=rng.choice((0, u.ports[0])), lite=u.lite)
    yield from zero.emit(zero.client, b"from or to port zero")
    yield from zero.emit(zero.server, b"back")


def _padded(u: Udp) -> Script[None]:
    """Bytes after the IP packet's end, as Ethernet pads short frames."""
    for side in (u.client, u.server):
        yield from u.put(side, u.make(side, b"x", padding=bytes(17)))


def _many_flows(u: Udp) -> Script[None]:
    """One client port, several servers; one server, several clients."""
    site = u.site
    others = [
        Udp(site, u.ports[1], source=u.ports[0], hosts=(0, 2), lite=u.lite),
        Udp(site, u.ports[1], hosts=(1 if site.nat != "dnat" else 0, 0), lite=u.lite),
    ]
    for flow in (u, *others):
        yield from flow.emit(flow.client, b"to one of many")
    for flow in (*others, u):
        yield from flow.emit(flow.server, b"back")


_PLAIN: Final[Table[Udp]] = {
    "exchange": (24, _exchange),
    "stream": (10, _stream),
    "one-sided": (5, _one_sided),
    "server-first": (3, _server_first),
    "answer-from-elsewhere": (4, _other_port),
    "bad-checksum": (5, _bad_sum),
    "zero-checksum": (4, _no_sum),
    "short-header": (4, _short),
    "length-too-long": (4, _long_length),
    "length-too-short": (4, _short_length),
    "port-zero": (4, _port_zero),
    "padding": (3, _padded),
    "many-flows": (4, _many_flows),
}


def _coverage(u: Udp) -> Script[None]:
    """The header only, header and some data, everything."""
    for length in (8, 12, 8 + 20, 0):
        side = u.site.rng.choice((0, 1))
        yield from u.put(side, u.make(side, b"twenty bytes of data", length=length))


def _wrong_coverage(u: Udp) -> Script[None]:
    """A coverage below the header or past the end."""
    for length in u.site.rng.sample((1, 4, 7, 29, 100, 65535), 3):
        yield from u.put(u.client, u.make(u.client, b"twenty bytes of data", length=length))
    yield from u.emit(u.server, b"whole")


def _uncovered_error(u: Udp) -> Script[None]:
    """An error behind the covered part, which does not count, and one within it, which does."""
    packet = u.make(u.client, b"covered, not covered", length=16)
    yield from u.put(u.client, packet[:-1] + bytes((packet[-1] ^ 0xFF,)))
    yield from u.put(u.client, packet[:-13] + bytes((packet[-13] ^ 0xFF,)) + packet[-12:])
    yield from u.emit(u.server, b"whole")


_LITE_ONLY: Final[Table[Udp]] = {
    "coverage": (8, _coverage),
    "wrong-coverage": (5, _wrong_coverage),
    "error-beyond-coverage": (4, _uncovered_error),
}

_LITE: Final[Table[Udp]] = {
    name: entry for name, entry in (_PLAIN | _LITE_ONLY).items() if not name.startswith("length-")
}

UDP_TROUBLES: Final = frozenset(_PLAIN)
LITE_TROUBLES: Final = frozenset({*_LITE, "sum-by-rfc"})


def _some(site: Site, table: Table[Udp], *, lite: bool) -> Script[None]:
    u = Udp(site, lite=lite)
    if lite and u.pseudo == UDPLITE:
        site.note("sum-by-rfc")
    for _ in range(site.rng.choice((1, 1, 2))):
        name, script = pick(site.rng, table)
        site.note(name)
        yield from script(u)


def datagrams(site: Site) -> Script[None]:
    """UDP flows."""
    yield from _some(site, _PLAIN, lite=False)


def lite(site: Site) -> Script[None]:
    """UDP-Lite flows."""
    yield from _some(site, _LITE, lite=True)
