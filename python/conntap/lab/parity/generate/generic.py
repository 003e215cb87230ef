"""Protocols that are tracked by addresses alone: ESP, AH, DCCP, IP in IP, and numbers without a name."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import AH, DCCP, ESP
from conntap.lab.parity.generate.talk import pick

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["GENERIC_TROUBLES", "others"]


def _both_ways(site: Site, protocol: int, payloads: tuple[bytes, ...]) -> Script[None]:
    side = site.caller()
    yield from site.carry(side, protocol, payloads[0])
    for _ in range(site.rng.randrange(0, 6)):
        yield from site.carry(site.rng.choice((0, 1)), protocol, site.rng.choice(payloads))


def _esp(site: Site) -> Script[None]:
    """ESP with several indexes: one flow."""
    payloads = tuple(site.rng.randbytes(size) for size in (8, 40, 3, 0))
    yield from _both_ways(site, ESP, payloads)


def _ah(site: Site) -> Script[None]:
    """AH around UDP; on IPv6 it is an extension header and the datagram behind it counts."""
    head = struct.pack("!BBHII", 17, 4, 0, 0x1234, 1) + bytes(12)
    datagram = struct.pack("!HHHH", site.port(), site.service(), 12, 0) + b"data"
    yield from _both_ways(site, AH, (head + datagram,))


def _dccp(site: Site) -> Script[None]:
    """DCCP request and response (RFC 4340); ports do not count."""
    payloads = tuple(
        struct.pack("!HHBBHBBH", port, 80, 4, 0, 0, 0, 0, 1) + bytes(12) for port in (site.port(), site.port())
    )
    yield from _both_ways(site, DCCP, payloads)


def _tunnel(site: Site) -> Script[None]:
    """IP in IP, IPv6 in IP."""
    yield from _both_ways(site, site.rng.choice((4, 41)), (b"\x45" + bytes(27), b"\x60" + bytes(47)))


def _named(site: Site) -> Script[None]:
    """Routing and other protocols: OSPF, EIGRP, VRRP, L2TP, IGMP, PIM, RSVP, mobility."""
    protocol = site.rng.choice((2, 8, 9, 46, 88, 89, 94, 103, 108, 112, 115, 135, 139, 140))
    yield from _both_ways(site, protocol, (bytes(8), bytes(32), b""))


def _unnamed(site: Site) -> Script[None]:
    """Numbers nobody uses, for experiments (RFC 3692), reserved; and the other IP version's ICMP."""
    numbers = (0, 59, 60, 43, 58, 145, 200, 253, 254, 255) if site.version == 4 else (1, 145, 200, 253, 254, 255)
    yield from _both_ways(site, site.rng.choice(numbers), (bytes(16), site.rng.randbytes(9)))


def _side_by_side(site: Site) -> Script[None]:
    """Several protocols between the same two addresses: several flows."""
    protocols = site.rng.sample((ESP, 89, 112, 253, 4), 3)
    side = site.caller()
    for who in (side, 1 - side):
        for protocol in protocols:
            yield from site.carry(who, protocol, bytes(20))


_TABLE: Final[Table[Site]] = {
    "esp": (6, _esp),
    "ah": (3, _ah),
    "dccp": (4, _dccp),
    "ip-tunnel": (4, _tunnel),
    "named-protocol": (5, _named),
    "unnamed-protocol": (5, _unnamed),
    "side-by-side": (3, _side_by_side),
}

GENERIC_TROUBLES: Final = frozenset(_TABLE)


def others(site: Site) -> Script[None]:
    """Flows of other protocols."""
    name, script = pick(site.rng, _TABLE)
    site.note(name)
    yield from script(site)
