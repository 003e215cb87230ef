"""Fragments (RFC 791, 8200): in order, turned round, overlapping, missing, doubled, tiny, uneven, mixed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ICMP, ICMP6, TCP, UDP, icmp, ip, tcp, udp
from conntap.lab.parity.generate.talk import pick

if TYPE_CHECKING:
    import random

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["FRAGMENT_TROUBLES", "fragments"]

_MORE: Final = 0x2000
_DONT: Final = 0x4000
_FRAGMENT_HEADER: Final = 44
_DESTINATION_OPTIONS: Final = 60
#: IPv4 options that belong to the first fragment only, and to every one (RFC 791 section 3.1).
_FIRST_ONLY: Final = b"\x1e\x04\x00\x00"
_COPIED: Final = b"\x9e\x04\x01\x02"
#: IPv6 destination options that say nothing, before a fragment header.
_PADDING: Final = b"\x2c\x00\x01\x04\x00\x00\x00\x00"


class Datagrams:
    """One flow whose packets come in pieces.

    *body* makes the next whole payload, *piece* one fragment of it; identification numbers go up.
    """

    __slots__ = ("ident", "ports", "protocol", "rng", "side", "site")

    def __init__(self, site: Site) -> None:
        self.site = site
        self.rng: random.Random = site.rng
        self.side = site.caller()
        self.protocol = site.rng.choice((UDP, UDP, TCP, ICMP if site.version == 4 else ICMP6))
        self.ports = site.port(), site.service()
        self.ident = site.rng.getrandbits(15)

    def body(self, side: int, size: int) -> bytes:
        """A payload of the flow's protocol, opening (from the flow's side) or answering, *size* bytes of data."""
        source, destination = self.site.between(side)
        opening = side == self.side
        ports = self.ports if opening else (self.ports[1], self.ports[0])
        data = self.rng.randbytes(size)
        if self.protocol == UDP:
            return udp(source, destination, ports, data)
        if self.protocol == TCP:
            return tcp(source, destination, ports, (1, 2), 2 if opening else 18, 1000, data)
        kind = (8 if opening else 0) if self.site.version == 4 else (128 if opening else 129)
        return icmp(source, destination, kind, 0, struct.pack("!HH", self.ports[0], 1), data)

    def piece(
        self,
        side: int,
        body: bytes,
        start: int,
        end: int,
        *,
        more: bool | None = None,
        tos: int = 0,
        dont: bool = False,
        head: bytes = b"",
    ) -> bytes:
        """Bytes *start* to *end* of *body* as a fragment; *start* is a multiple of eight.

        *dont* sets DF. *head* is IPv4 options, or an IPv6 header of destination options.
        """
        source, destination = self.site.between(side)
        following = end < len(body) if more is None else more
        part = body[start:end]
        if self.site.version == 4:
            word = start >> 3 | (_MORE if following else 0) | (_DONT if dont else 0)
            return ip(source, destination, self.protocol, part, ident=self.ident, fragment=word, tos=tos, options=head)
        number = _DESTINATION_OPTIONS if head else _FRAGMENT_HEADER
        head += struct.pack("!BBHI", self.protocol, 0, start | following, self.ident)
        return ip(source, destination, number, part, options=head, tos=tos)

    def cut(self, side: int, body: bytes) -> list[bytes]:
        """All fragments of *body*, of one random size each time; a new identification number."""
        self.ident = self.ident + 1 & 0xFFFF
        step = self.rng.choice((8, 64, 256, 1400)) if len(body) < 200 else self.rng.choice((256, 512, 1400))
        return [self.piece(side, body, start, start + step) for start in range(0, len(body), step)]

    def cut_unevenly(self, side: int, body: bytes, heads: tuple[bytes, bytes] = (b"", b"")) -> list[bytes]:
        """Fragments of different sizes, some with DF; *heads*: of the first, and of the others."""
        self.ident = self.ident + 1 & 0xFFFF
        dont = self.rng.choice((0.0, 0.5, 1.0))
        packets: list[bytes] = []
        start = 0
        while start < len(body):
            end = start + self.rng.choice((8, 16, 24, 64, 128, 600, 1400))
            packets.append(
                self.piece(side, body, start, end, dont=self.rng.random() < dont, head=heads[1 if start else 0])
            )
            start = end
        return packets

    def send(self, side: int, packets: list[bytes]) -> Script[None]:
        """Send them in this order."""
        for packet in packets:
            yield from self.site.send(side, packet)

    def answer(self) -> Script[None]:
        """The other side answers in one piece."""
        yield from self.site.carry(1 - self.side, self.protocol, self.body(1 - self.side, 10))

    def size(self) -> int:
        """Some size that takes several fragments."""
        return self.rng.choice((60, 120, 700, 3000))


def _in_order(d: Datagrams) -> Script[None]:
    """First to last."""
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, d.size())))
    yield from d.answer()


def _reversed(d: Datagrams) -> Script[None]:
    """Last to first."""
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, d.size()))[::-1])
    yield from d.answer()


def _shuffled(d: Datagrams) -> Script[None]:
    """Any order, both ways."""
    for side in (d.side, 1 - d.side):
        packets = d.cut(side, d.body(side, d.size()))
        d.rng.shuffle(packets)
        yield from d.send(side, packets)


def _missing(d: Datagrams) -> Script[None]:
    """One fragment never comes; a later whole datagram does."""
    packets = d.cut(d.side, d.body(d.side, 700))
    del packets[d.rng.randrange(len(packets))]
    yield from d.send(d.side, packets)
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, 60)))
    yield from d.answer()


def _duplicate(d: Datagrams) -> Script[None]:
    """A fragment comes twice, before the datagram is whole or after."""
    packets = d.cut(d.side, d.body(d.side, d.size()))
    packets.insert(d.rng.randrange(len(packets) + 1), d.rng.choice(packets))
    yield from d.send(d.side, packets)
    yield from d.answer()


def _overlapping(d: Datagrams) -> Script[None]:
    """Fragments share bytes: within, across borders, equal start, last ones of different ends."""
    d.ident = d.ident + 1 & 0xFFFF
    body = d.body(d.side, 192)
    extra = d.rng.choice(
        ((0, 64), (8, 24), (32, 96), (56, 72), (64, 96), (56, 136), (128, len(body)), (0, 136), (0, 8))
    )
    packets = [d.piece(d.side, body, start, end) for start, end in ((0, 64), (64, 128), (128, len(body)))]
    packets.insert(d.rng.randrange(len(packets) + 1), d.piece(d.side, body, *extra))
    yield from d.send(d.side, packets)
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, 60)))
    yield from d.answer()


def _tiny(d: Datagrams) -> Script[None]:
    """Eight bytes a fragment: transport headers are split."""
    d.ident = d.ident + 1 & 0xFFFF
    body = d.body(d.side, 24)
    packets = [d.piece(d.side, body, start, start + 8) for start in range(0, len(body), 8)]
    if d.rng.random() < 0.5:
        d.rng.shuffle(packets)
    yield from d.send(d.side, packets)
    yield from d.answer()


def _uneven(d: Datagrams) -> Script[None]:
    """Sizes that differ: a router sends the pieces on as they came, or cuts anew."""
    packets = d.cut_unevenly(d.side, d.body(d.side, d.size()))
    d.rng.shuffle(packets)
    yield from d.send(d.side, packets)
    yield from d.answer()


def _headed(d: Datagrams) -> Script[None]:
    """Headers between IP and the data, in every fragment or in the first only."""
    head = _PADDING
    if d.site.version == 4:
        head = d.rng.choice((_FIRST_ONLY, _COPIED, _FIRST_ONLY + _COPIED, _COPIED + _FIRST_ONLY))
    heads = d.rng.choice(((head, head), (head, b""), (b"", head)))
    packets = d.cut_unevenly(d.side, d.body(d.side, d.size()), heads)
    if d.rng.random() < 0.5:
        packets.reverse()
    yield from d.send(d.side, packets)
    yield from d.answer()


def _atomic(d: Datagrams) -> Script[None]:
    """A fragment that is the whole: IPv6 atomic fragments (RFC 6946); IPv4 has none, so an ordinary packet."""
    for side in (d.side, 1 - d.side):
        d.ident = d.ident + 1 & 0xFFFF
        body = d.body(side, 20)
        yield from d.send(side, [d.piece(side, body, 0, len(body))])


def _odd_length(d: Datagrams) -> Script[None]:
    """A fragment with more to come whose length is no multiple of eight."""
    d.ident = d.ident + 1 & 0xFFFF
    body = d.body(d.side, 100)
    packets = [d.piece(d.side, body, 0, 61, more=True), d.piece(d.side, body, 56, len(body))]
    d.rng.shuffle(packets)
    yield from d.send(d.side, packets)
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, 60)))


def _two_ends(d: Datagrams) -> Script[None]:
    """Two last fragments that disagree about the end, or one that goes past it."""
    d.ident = d.ident + 1 & 0xFFFF
    body = d.body(d.side, 200)
    ends = d.rng.choice((((128, 200), (128, 160)), ((64, 100), (128, len(body)))))
    packets = [d.piece(d.side, body, 0, 64), *(d.piece(d.side, body, *end, more=False) for end in ends)]
    d.rng.shuffle(packets)
    yield from d.send(d.side, packets)
    yield from d.send(d.side, d.cut(d.side, d.body(d.side, 60)))


def _mixed(d: Datagrams) -> Script[None]:
    """Fragments of several datagrams between each other, both ways."""
    third = d.side if d.site.nat == "snat" else 1 - d.side  # the answer must not come first there
    queues = [(side, d.cut(side, d.body(side, 150))) for side in (d.side, d.side, third)]
    while queues:
        side, packets = queue = d.rng.choice(queues)
        yield from d.send(side, [packets.pop(0)])
        if not packets:
            queues.remove(queue)


def _same_number(d: Datagrams) -> Script[None]:
    """Two datagrams in a row with one identification number: a fragment of the first may meet the second."""
    body = d.body(d.side, 100)
    packets = d.cut(d.side, body)
    d.ident = d.ident - 1 & 0xFFFF
    again = d.cut(d.side, body)
    yield from d.send(d.side, packets + again)


def _congested(d: Datagrams) -> Script[None]:
    """Fragments that carry different ECN bits (RFC 3168 section 5.3)."""
    d.ident = d.ident + 1 & 0xFFFF
    body = d.body(d.side, 192)
    for start, tos in zip(
        range(0, len(body), 128), d.rng.choice(((1, 3), (2, 3), (3, 3), (0, 3), (0, 1))), strict=True
    ):
        yield from d.send(d.side, [d.piece(d.side, body, start, start + 128, tos=tos)])
    yield from d.answer()


_TABLE: Final[Table[Datagrams]] = {
    "fragments-in-order": (8, _in_order),
    "fragments-reversed": (5, _reversed),
    "fragments-shuffled": (6, _shuffled),
    "fragment-missing": (5, _missing),
    "fragment-duplicate": (5, _duplicate),
    "fragments-overlapping": (7, _overlapping),
    "fragments-tiny": (5, _tiny),
    "fragments-uneven": (6, _uneven),
    "fragments-headed": (6, _headed),
    "fragment-atomic": (4, _atomic),
    "fragment-odd-length": (3, _odd_length),
    "fragments-two-ends": (4, _two_ends),
    "fragments-mixed": (4, _mixed),
    "fragments-same-number": (3, _same_number),
    "fragments-ecn": (3, _congested),
}

FRAGMENT_TROUBLES: Final = frozenset(_TABLE)


def fragments(site: Site) -> Script[None]:
    """One flow in fragments."""
    name, script = pick(site.rng, _TABLE)
    site.note(name)
    yield from script(Datagrams(site))
