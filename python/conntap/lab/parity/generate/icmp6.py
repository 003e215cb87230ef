"""ICMPv6 (RFC 4443, 4620): queries, errors, and what belongs to the link: neighbours, listeners, redirects."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ICMP6, icmp, ip, udp
from conntap.lab.parity.generate.icmp import flow_to_quote, mangled, query
from conntap.lab.parity.generate.talk import pick

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["ICMP6_TROUBLES", "messages6"]


def _echoes(site: Site) -> Script[None]:
    """Echo and node information queries, some answered, some asked again."""
    rng, side = site.rng, site.caller()
    for _ in range(rng.choice((1, 1, 2, 3))):
        asks, answers = rng.choice(((128, 129), (128, 129), (139, 140)))
        ident, code = rng.getrandbits(16), rng.choice((0, 0, 0, 1))
        for number in range(rng.choice((1, 1, 2, 4))):
            yield from query(site, side, asks, code, ident, number, bytes(8))
            if rng.random() < 0.8:
                yield from query(site, 1 - side, answers, code, ident, number, bytes(8))


def _wrong_answers(site: Site) -> Script[None]:
    """Answers nobody asked for: another id, code or type, or before the question."""
    rng, side = site.rng, site.caller()
    ident = rng.getrandbits(16)
    if rng.random() < 0.4:
        yield from query(site, 1 - side, 129, 0, ident)
    yield from query(site, side, 128, 0, ident)
    for kind, code, other in rng.sample(((129, 1, 0), (129, 0, 1), (140, 0, 0)), 2):
        yield from query(site, 1 - side, kind, code, ident ^ other)
    yield from query(site, 1 - side, 129, 0, ident)


def _bad_sums(site: Site) -> Script[None]:
    """A wrong checksum on a query, an answer, or a message that is not tracked."""
    rng, side = site.rng, site.caller()
    ident = rng.getrandbits(16)
    yield from query(site, side, 128, 0, ident, spoil=rng.choice((1, 0x100, 0x8000)))
    yield from query(site, side, 128, 0, ident)
    yield from query(site, 1 - side, rng.choice((129, 136, 143)), 0, ident, spoil=0x0101)
    yield from query(site, 1 - side, 129, 0, ident)


def _short(site: Site) -> Script[None]:
    """Fewer than eight bytes."""
    side = site.caller()
    source, destination = site.between(side)
    for size in site.rng.sample(range(8), 3):
        piece = icmp(source, destination, 128, 0, bytes(max(size - 4, 0)))[:size]
        yield from site.carry(side, ICMP6, piece)


def _link(site: Site) -> Script[None]:
    """Neighbour discovery (RFC 4861) and listener discovery (RFC 2710, 3810) between single hosts; not tracked."""
    rng = site.rng
    for _ in range(rng.randrange(1, 5)):
        side = rng.choice((0, 1))
        source, destination = site.between(side)
        kind = rng.choice((130, 131, 132, 133, 134, 135, 136, 143, 151, 152, 153))
        payload = destination if kind in {130, 131, 132, 135, 136} else bytes(8)
        body = icmp(source, destination, kind, rng.choice((0, 0, 0, 1)), bytes(4), payload)
        yield from site.carry(side, ICMP6, body, ttl=rng.choice((255, 255, 64)))


def _redirects(site: Site) -> Script[None]:
    """Redirects from afar: another source than link-local, another hop limit, another code, no or a cut quotation."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.randrange(1, 4)):
        if not seen:
            return
        side, quote = rng.choice(seen)
        source, destination = site.between(side)
        quoted = quote + bytes(-len(quote) % 8)
        option = struct.pack("!BB6x", rng.choice((4, 4, 1)), (8 + len(quoted)) // 8) + quoted
        option = option[: rng.choice((len(option), len(option), 0, 8, 40))]
        body = icmp(source, destination, 137, rng.choice((0, 0, 1)), bytes(4), source + destination + option)
        yield from site.carry(side, ICMP6, body, ttl=rng.choice((255, 255, 64)))


def _odd_types(site: Site) -> Script[None]:
    """Types without a meaning, on both sides of 128."""
    rng = site.rng
    for _ in range(rng.randrange(2, 6)):
        kind = rng.choice((0, 5, 100, 127, 138, 141, 142, 144, 148, 150, 154, 200, 255))
        yield from query(site, site.caller(), kind, 0, rng.getrandbits(16), payload=bytes(44))


_ERRORS: Final = ((1, 0), (1, 1), (1, 3), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (0, 0), (100, 0), (127, 9))


def error6(
    site: Site, side: int, quote: bytes, *, host: int = 0, other: int = 0, spoil: int = 0, kind: int | None = None
) -> Script[None]:
    """An ICMPv6 error from *host* of *side* about *quote*, to host *other* of the other side."""
    source, destination = site.between(side, host, other)
    number, code = site.rng.choice(_ERRORS) if kind is None else (kind, 0)
    body = icmp(source, destination, number, code, struct.pack("!I", 1400 if number == 2 else 0), quote, spoil=spoil)
    yield from site.carry(side, ICMP6, body, host=host, other=other)


def _errors(site: Site) -> Script[None]:
    """Errors about a real flow, in either direction, from its end or from a router on the way."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.choice((1, 2, 3))):
        if seen:
            side, quote = rng.choice(seen)
            yield from error6(site, side, quote, host=rng.choice((0, 0, 3)))


def _unknown_errors(site: Site) -> Script[None]:
    """Errors about packets that never were, and one to the wrong side."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    side = rng.choice((0, 1))
    source, destination = site.seen(1 - side)
    ports = rng.getrandbits(16), rng.getrandbits(16)
    yield from error6(site, side, ip(source, destination, 17, udp(source, destination, ports, b"never sent")))
    if seen:
        side, quote = seen[0]
        yield from error6(site, 1 - side, quote)


def _lying_errors(site: Site) -> Script[None]:
    """Errors that quote a real flow wrongly, too shortly, to the wrong host, or with a bad sum."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    for _ in range(rng.randrange(1, 5)):
        if not seen:
            return
        side, quote = rng.choice(seen)
        lie = rng.random()
        if lie < 0.75:
            name, quote = mangled(rng, quote)
            site.note(name.replace("quote", "quote6"))
            yield from error6(site, side, quote)
        elif lie < 0.85:
            yield from error6(site, side, quote, spoil=0x0100)
        else:
            yield from error6(site, side, quote, other=5)


def _nested(site: Site) -> Script[None]:
    """An error about an error."""
    rng = site.rng
    seen = yield from flow_to_quote(site)
    if not seen:
        return
    side, quote = rng.choice(seen)
    source, destination = site.between(side)
    forwarded = yield from site.carry(side, ICMP6, icmp(source, destination, 1, 4, bytes(4), quote))
    if forwarded:
        yield from error6(site, 1 - side, forwarded[0])


_TABLE: Final[Table[Site]] = {
    "icmp6-queries": (12, _echoes),
    "icmp6-wrong-answers": (5, _wrong_answers),
    "icmp6-odd-types": (4, _odd_types),
    "icmp6-bad-checksum": (3, _bad_sums),
    "icmp6-short": (3, _short),
    "icmp6-link": (6, _link),
    "icmp6-redirects": (5, _redirects),
    "icmp6-errors": (10, _errors),
    "icmp6-unknown-errors": (5, _unknown_errors),
    "icmp6-lying-errors": (10, _lying_errors),
    "icmp6-nested-errors": (3, _nested),
}

_QUOTES: Final = (
    "quote6-empty",
    "quote6-cut-header",
    "quote6-header-only",
    "quote6-cut-ports",
    "quote6-eight-bytes",
    "quote6-wrong-version",
    "quote6-other-protocol",
    "quote6-other-port",
    "quote6-turned-round",
)

ICMP6_TROUBLES: Final = frozenset({*_TABLE, *_QUOTES})


def messages6(site: Site) -> Script[None]:
    """Queries, errors and link messages of ICMPv6."""
    for _ in range(site.rng.choice((1, 1, 2))):
        name, script = pick(site.rng, _TABLE)
        site.note(name)
        yield from script(site)
