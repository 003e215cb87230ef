"""ICMP (RFC 792, 950): queries of all types, and errors about flows that are known, unknown or badly quoted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, ICMP, PSH, SYN, icmp, ip
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["ICMP_TROUBLES", "Quotable", "flow_to_quote", "mangled", "messages", "query"]

Quotable = tuple[int, bytes]
"""The side that received a packet, and that packet as it arrived there."""


def query(
    site: Site, side: int, kind: int, code: int, ident: int, number: int = 1, payload: bytes = b"", *, spoil: int = 0
) -> Script[bytes | None]:
    """Send an ICMP (or ICMPv6) query or answer; returns the packet that arrived."""
    source, destination = site.between(side)
    body = icmp(source, destination, kind, code, struct.pack("!HH", ident, number), payload, spoil=spoil)
    forwarded = yield from site.carry(side, 1 if site.version == 4 else 58, body)
    return forwarded[0] if forwarded else None


def _echoes(site: Site) -> Script[None]:
    """Queries of each kind, some answered, some asked again."""
    rng, side = site.rng, site.caller()
    for _ in range(rng.choice((1, 1, 2, 3))):
        asks, answers, size = rng.choice(((8, 0, 56), (8, 0, 0), (13, 14, 12), (15, 16, 0), (17, 18, 4)))
        ident, code = rng.getrandbits(16), rng.choice((0, 0, 0, 0, 3))
        for number in range(rng.choice((1, 1, 2, 4))):
            yield from query(site, side, asks, code, ident, number, bytes(size))
            if rng.random() < 0.8:
                yield from query(site, 1 - side, answers, code, ident, number, bytes(size))


def _wrong_answers(site: Site) -> Script[None]:
    """Answers nobody asked for: another id, code or type, or before the question."""
    rng, side = site.rng, site.caller()
    ident = rng.getrandbits(16)
    if rng.random() < 0.4:
        yield from query(site, 1 - side, 0, 0, ident)
    code = rng.choice((0, 1))
    yield from query(site, side, 8, code, ident)
    for kind, other_code, other in rng.sample(
        ((0, 1, 0), (0, 0, 1), (14, 0, 0), (0, 255, 0), (16, 0, 0), (18, 0, 0)), 3
    ):
        yield from query(site, 1 - side, kind, other_code, ident ^ other)
    yield from query(site, 1 - side, 0, code, ident)
    yield from query(site, side, 0, code, ident)


def _odd_types(site: Site) -> Script[None]:
    """Types without a meaning or without a query in them."""
    rng = site.rng
    for _ in range(rng.randrange(2, 6)):
        kind = rng.choice((1, 2, 6, 7, 9, 10, 19, 30, 37, 40, 42, 43, 128, 253, 255))
        yield from query(site, site.caller(), kind, rng.choice((0, 1)), rng.getrandbits(16), payload=bytes(12))


def _bad_sums(site: Site) -> Script[None]:
    """A wrong checksum on question or answer."""
    rng, side = site.rng, site.caller()
    ident = rng.getrandbits(16)
    yield from query(site, side, 8, 0, ident, spoil=rng.choice((1, 0x100, 0x8000)))
    yield from query(site, side, 8, 0, ident)
    yield from query(site, 1 - side, 0, 0, ident, spoil=0x0101)
    yield from query(site, 1 - side, 0, 0, ident)


def _cut(site: Site) -> Script[None]:
    """Fewer than eight bytes."""
    rng, side = site.rng, site.caller()
    protocol = 1 if site.version == 4 else 58
    source, destination = site.between(side)
    whole = icmp(source, destination, 8 if site.version == 4 else 128, 0, bytes(4))
    for size in rng.sample(range(8), 3):
        piece = icmp(source, destination, whole[0], 0, bytes(max(size - 4, 0)))[:size]
        yield from site.carry(side, protocol, piece)


def flow_to_quote(site: Site) -> Script[list[Quotable]]:
    """Some flow, and packets of it as each side received them."""
    rng = site.rng
    seen: list[Quotable] = []
    kind = rng.choice(("udp", "udp", "tcp", "tcp", "ping"))
    if kind == "udp":
        u = Udp(site)
        for side in (u.client, u.server)[: rng.choice((1, 2, 2))]:
            packet = u.make(side, b"sixteen bytes...")
            forwarded = yield from u.put(side, packet)
            if forwarded:
                seen.append((1 - side, forwarded[0]))
    elif kind == "tcp":
        t = Tcp(site)
        plan = [(t.client, SYN), (t.server, SYN | ACK), (t.client, ACK), (t.server, PSH | ACK)]
        for side, flags in plan[: rng.choice((1, 2, 4))]:
            packet = t.make(side, flags, b"data" if flags & PSH else b"")
            t.peers[1 - side].heard = t.peers[side].seq
            forwarded = yield from site.send(side, packet)
            if forwarded:
                seen.append((1 - side, forwarded[0]))
    else:
        side, ident = site.caller(), rng.getrandbits(16)
        types = (8, 0) if site.version == 4 else (128, 129)
        for who, number in ((side, types[0]), (1 - side, types[1]))[: rng.choice((1, 2))]:
            arrived = yield from query(site, who, number, 0, ident, payload=bytes(8))
            if arrived:
                seen.append((1 - who, arrived))
    return seen


def mangled(rng: random.Random, quote: bytes) -> tuple[str, bytes]:
    """A quotation that lies, and what the lie is."""
    at = 40 if quote[0] >> 4 == 6 else 20
    lies: dict[str, Callable[[], bytes]] = {
        "quote-empty": lambda: b"",
        "quote-cut-header": lambda: quote[: rng.randrange(1, at)],
        "quote-header-only": lambda: quote[:at],
        "quote-cut-ports": lambda: quote[: at + rng.choice((1, 3, 4, 7))],
        "quote-eight-bytes": lambda: quote[: at + 8],
        "quote-wrong-version": lambda: bytes((quote[0] ^ 0x30,)) + quote[1:],
        "quote-other-protocol": lambda: (
            quote[:6] + bytes((33,)) + quote[7:] if at == 40 else quote[:9] + bytes((33,)) + quote[10:]
        ),
        "quote-other-port": lambda: quote[: at + 1] + bytes((quote[at + 1] ^ 1,)) + quote[at + 2 :],
        "quote-turned-round": lambda: (
            quote[:8] + quote[24:40] + quote[8:24] + quote[40:]
            if at == 40
            else quote[:12] + quote[16:20] + quote[12:16] + quote[20:]
        ),
    }
    if at == 20:
        lies |= {
            "quote-long-header": lambda: b"\x4f" + quote[1:],
            "quote-short-header": lambda: b"\x44" + quote[1:],
            "quote-later-fragment": lambda: quote[:6] + b"\x00\x10" + quote[8:],
            "quote-first-fragment": lambda: quote[:6] + b"\x20\x00" + quote[8:],
        }
    name = rng.choice(list(lies))
    return name, lies[name]()


# Type and code of the errors that quote a packet.
_ERRORS: Final = ((3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (11, 1), (12, 0), (3, 255))


def error(
    site: Site, side: int, kind: int, code: int, quote: bytes, *, host: int = 0, other: int = 0, spoil: int = 0
) -> Script[None]:
    """An ICMP error from *host* of *side* about *quote*, to host *other* of the other side."""
    source, destination = site.between(side, host, other)
    rest = site.rng.choice((bytes(4), struct.pack("!HH", 0, 1400)))
    body = icmp(source, destination, kind, code, rest, quote, spoil=spoil)
    yield from site.carry(side, ICMP, body, host=host, other=other, tos=0xC0)


def _errors(site: Site) -> Script[None]:
    """Errors about a real flow, in either direction, from its end or from a router on the way."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.choice((1, 2, 3))):
        if not seen:
            return
        side, quote = rng.choice(seen)
        kind, code = rng.choice(_ERRORS)
        yield from error(site, side, kind, code, quote, host=rng.choice((0, 0, 3)))


def _unknown_errors(site: Site) -> Script[None]:
    """Errors about packets that never were."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.choice((1, 2))):
        side = rng.choice((0, 1))
        stranger = Udp(site, source=rng.randrange(65536), port=rng.randrange(65536))
        source, destination = site.seen(1 - side)
        quote = ip(source, destination, 17, stranger.make(1 - side, b"x" * 8)[20:])
        yield from error(site, side, *rng.choice(_ERRORS), quote)
    if seen:
        side, quote = seen[0]
        yield from error(site, 1 - side, 3, 3, quote)  # to the wrong side


def _lying_errors(site: Site) -> Script[None]:
    """Errors that quote a real flow wrongly, too shortly, to the wrong host, or with a bad sum."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.randrange(1, 5)):
        if not seen:
            return
        side, quote = rng.choice(seen)
        kind, code = rng.choice(_ERRORS)
        lie = rng.random()
        if lie < 0.75:
            name, quote = mangled(rng, quote)
            site.note(name)
            yield from error(site, side, kind, code, quote)
        elif lie < 0.85:
            site.note("error-bad-checksum")
            yield from error(site, side, kind, code, quote, spoil=0x0100)
        else:
            site.note("error-to-another-host")
            yield from error(site, side, kind, code, quote, other=5)


def _nested(site: Site) -> Script[None]:
    """An error about an error."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    if not seen:
        return
    side, quote = rng.choice(seen)
    source, destination = site.between(side)
    first = icmp(source, destination, 3, 3, bytes(4), quote)
    forwarded = yield from site.carry(side, ICMP, first)
    if forwarded:
        yield from error(site, 1 - side, rng.choice((3, 11)), 0, forwarded[0])


_TABLE: Final[Table[Site]] = {
    "icmp-queries": (12, _echoes),
    "icmp-wrong-answers": (5, _wrong_answers),
    "icmp-odd-types": (4, _odd_types),
    "icmp-bad-checksum": (3, _bad_sums),
    "icmp-short": (3, _cut),
    "icmp-errors": (10, _errors),
    "icmp-unknown-errors": (5, _unknown_errors),
    "icmp-lying-errors": (12, _lying_errors),
    "icmp-nested-errors": (3, _nested),
}

_QUOTES: Final = (
    "quote-empty",
    "quote-cut-header",
    "quote-header-only",
    "quote-cut-ports",
    "quote-eight-bytes",
    "quote-wrong-version",
    "quote-other-protocol",
    "quote-other-port",
    "quote-turned-round",
    "quote-long-header",
    "quote-short-header",
    "quote-later-fragment",
    "quote-first-fragment",
    "error-bad-checksum",
    "error-to-another-host",
)

ICMP_TROUBLES: Final = frozenset({*_TABLE, *_QUOTES})


def messages(site: Site) -> Script[None]:
    """Queries and errors of ICMP."""
    for _ in range(site.rng.choice((1, 1, 2))):
        name, script = pick(site.rng, _TABLE)
        site.note(name)
        yield from script(site)
