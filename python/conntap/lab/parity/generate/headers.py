"""What the IP layer may put before the payload: IPv6 extension headers, IPv4 options, padding, and lies it drops."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import AH, ICMP6, TCP, UDP, icmp, internet_checksum, ip, tcp, udp
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["HEADER_TROUBLES", "headers"]

_HOP: Final = 0
_ROUTING: Final = 43
_FRAGMENT: Final = 44
_NOTHING: Final = 59
_DESTINATION: Final = 60


def _extension(kind: int, following: int, size: int) -> bytes:
    """An extension header of *kind*, with *size* more groups of eight bytes where it may have any."""
    if kind == _HOP:
        size = 0  # Linux drops more than seven bytes of padding here, where every router reads (RFC 4942 2.1.9.5)
    if kind == AH:
        return struct.pack("!BBHII", following, 4, 0, 0x1234, 1) + bytes(12)
    if kind == _ROUTING:  # type 253 (experiments), no segment left: any router passes it on
        return bytes((following, size, 253, 0)) + bytes(4 + 8 * size)
    if kind == _FRAGMENT:
        return struct.pack("!BBHI", following, 0, 0, 77)
    return bytes((following, size, 1, 4 + 8 * size)) + bytes(4 + 8 * size)  # one option: PadN


def chain(kinds: tuple[int, ...], protocol: int, size: int = 0) -> tuple[int, bytes]:
    """Extension headers of these kinds, the last of which names *protocol*: the first one's number, and all bytes."""
    following = (*kinds[1:], protocol)
    return (kinds or (protocol,))[0], b"".join(
        _extension(kind, after, size) for kind, after in zip(kinds, following, strict=False)
    )


_CHAINS: Final = (
    (_HOP,),
    (_DESTINATION,),
    (_ROUTING,),
    (AH,),
    (_FRAGMENT,),
    (_HOP, _DESTINATION),
    (_HOP, _ROUTING, _DESTINATION),
    (_DESTINATION, _ROUTING, _FRAGMENT),
    (_HOP, _DESTINATION, AH, _DESTINATION),
    (_DESTINATION,) * 9,
)


def _extended(site: Site) -> Script[None]:
    """UDP, TCP and echoes behind chains of extension headers, another chain in each packet."""
    rng, side = site.rng, site.caller()
    ports = site.port(), site.service()
    protocol = rng.choice((UDP, TCP, ICMP6))
    for who in (side, 1 - side, side)[: rng.randrange(1, 4)]:
        source, destination = site.between(who)
        order = ports if who == side else (ports[1], ports[0])
        if protocol == UDP:
            body = udp(source, destination, order, b"behind a chain")
        elif protocol == TCP:
            body = tcp(source, destination, order, (7, 8), 2 if who == side else 18, 500)
        else:
            body = icmp(source, destination, 128 if who == side else 129, 0, b"\0\7\0\1")
        first, extensions = chain(rng.choice(_CHAINS), protocol, rng.choice((0, 0, 1)))
        yield from site.carry(who, first, body, options=extensions)


def _no_next(site: Site) -> Script[None]:
    """No next header, at once or behind others."""
    side = site.caller()
    for kinds in ((), (_DESTINATION,), (_HOP,)):
        first, extensions = chain(kinds, _NOTHING)
        yield from site.carry(side, first, site.rng.choice((b"", b"ignored bytes")), options=extensions)


def _cut_chain(site: Site) -> Script[None]:
    """A chain that ends before its last header, or whose header says it is longer than the packet."""
    rng, side = site.rng, site.caller()
    first, extensions = chain(rng.choice(((_DESTINATION, _DESTINATION), (_DESTINATION, AH), (_ROUTING,))), UDP)
    yield from site.carry(side, first, b"", options=extensions[: rng.choice((1, 2, 8, 9))])
    yield from site.carry(side, _DESTINATION, bytes(8), options=bytes((UDP, 40, 1, 4, 0, 0, 0, 0)))
    yield from site.carry(side, _DESTINATION, b"", options=bytes((UDP, 0, 1, 4, 0, 0, 0, 0)))


def _options4(site: Site) -> Script[None]:
    """IPv4 options that change nothing: no-operations and the end of the list."""
    rng = site.rng
    u = Udp(site)
    for side in (u.client, u.server):
        packet = u.make(side, b"behind options")
        source, destination = site.between(side)
        options = rng.choice((b"\1\1\1\1", b"\1\1\1\0", b"\0\0\0\0", b"\1" * 40))
        yield from site.send(side, ip(source, destination, UDP, packet[20:], options=options))


def _padded(site: Site) -> Script[None]:
    """Bytes behind the packet, as in a short Ethernet frame."""
    u = Udp(site)
    for side in (u.client, u.server):
        yield from u.put(side, u.make(side, site.rng.randbytes(3), padding=site.rng.randbytes(15)))


def _dropped_header(site: Site) -> Script[None]:
    """A header that the IP layer refuses before tracking: nothing is tracked, nothing forwarded. Marked."""
    rng = site.rng
    site.marked = True
    u = Udp(site)
    packet = bytearray(u.make(u.client, b"never tracked"))
    if site.version == 4:
        lie = rng.choice(("sum", "version", "short", "long", "total"))
        if lie == "sum":
            packet[10] ^= 0x40
        elif lie == "version":
            packet[0] = 0x55
        elif lie == "short":
            packet[0] = 0x44
        elif lie == "long":
            packet = packet[:20]
            packet[0] = 0x46
        else:
            packet[2:4] = (len(packet) + 1).to_bytes(2)
        if lie != "sum":
            packet[10:12] = bytes(2)
            packet[10:12] = internet_checksum(bytes(packet[:20])).to_bytes(2)
    elif rng.random() < 0.5:
        packet[0] = 0x50
    else:
        packet[4:6] = (len(packet) - 39).to_bytes(2)
    yield from u.put(u.client, bytes(packet))
    yield from u.emit(u.client, b"tracked")


def _link_local_redirect(site: Site) -> Script[None]:
    """An ICMPv6 redirect as the tracker accepts it: link-local source, hop limit 255. Routing refuses it. Marked."""
    site.marked = True
    u = Udp(site)
    forwarded = yield from u.put(u.client, u.make(u.client, b"redirect me"))
    if not forwarded:
        return
    quote = forwarded[0] + bytes(-len(forwarded[0]) % 8)
    source = bytes.fromhex("fe80") + bytes(13) + b"\1"
    destination = site.reach(u.client)
    option = struct.pack("!BB6x", 4, (8 + len(quote)) // 8) + quote
    body = icmp(source, destination, 137, 0, bytes(4), bytes(32) + option)
    yield from site.send(u.server, ip(source, destination, ICMP6, body, ttl=255))
    yield from u.emit(u.server, b"answer")


_TABLES: Final[dict[int, Table[Site]]] = {
    4: {"ip-options": (4, _options4), "ip-padding": (4, _padded), "ip-dropped": (4, _dropped_header)},
    6: {
        "extension-headers": (12, _extended),
        "no-next-header": (3, _no_next),
        "cut-chain": (4, _cut_chain),
        "ip-padding": (3, _padded),
        "ip-dropped": (3, _dropped_header),
        "link-local-redirect": (3, _link_local_redirect),
    },
}

HEADER_TROUBLES: Final = frozenset({*_TABLES[4], *_TABLES[6]})


def headers(site: Site) -> Script[None]:
    """A flow whose IP headers are the point."""
    name, script = pick(site.rng, _TABLES[site.version])
    site.note(name)
    yield from script(site)
