"""GRE (RFC 2784, 2890, 2637) without a control connection: both versions, keys, lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import GRE, gre, pptp_gre
from conntap.lab.parity.generate.talk import pick

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["GRE_TROUBLES", "tunnels"]


def _version0(site: Site) -> Script[None]:
    """Tunnelled packets both ways, with and without key, number and checksum: all one flow."""
    rng, side = site.rng, site.caller()
    key = rng.choice((None, rng.getrandbits(32)))
    for number in range(rng.randrange(1, 7)):
        numbered = number if rng.random() < 0.3 else None
        packet = gre(
            rng.choice((0x0800, 0x6558, 0x86DD)), bytes(24), key=key, number=numbered, checksum=rng.random() < 0.3
        )
        yield from site.carry(side if number == 0 else rng.choice((0, 1)), GRE, packet)


def _version1(site: Site) -> Script[None]:
    """PPTP's form, of a call that nobody announced: each direction is a flow of its own."""
    rng = site.rng
    calls = [rng.getrandbits(16), rng.getrandbits(16)]
    first = site.caller()
    for number in range(rng.randrange(1, 6)):
        side = first if site.nat == "snat" else rng.choice((0, 1))
        acknowledged = number if rng.random() < 0.3 else None
        yield from site.carry(
            side, GRE, pptp_gre(calls[side], b"\xff\x03\xc0\x21ppp", number=number, acknowledged=acknowledged)
        )


def _same_call(site: Site) -> Script[None]:
    """PPTP's form with the same call id both ways."""
    rng, side = site.rng, site.caller()
    call = rng.choice((0, rng.getrandbits(16)))
    yield from site.carry(side, GRE, pptp_gre(call, b"ppp"))
    if site.nat != "snat":
        yield from site.carry(1 - side, GRE, pptp_gre(call, b"ppp"))
        yield from site.carry(1 - side, GRE, pptp_gre(0, b"ppp"))


def _wrong_protocol(site: Site) -> Script[None]:
    """Version 1 carrying something other than PPP."""
    side = site.caller()
    yield from site.carry(side, GRE, pptp_gre(site.rng.getrandbits(16), b"ip", protocol=0x0800))
    yield from site.carry(side, GRE, pptp_gre(site.rng.getrandbits(16), b"ppp"))


def _odd_version(site: Site) -> Script[None]:
    """Versions 2 to 7."""
    side = site.caller()
    for who in (side, 1 - side):
        yield from site.carry(who, GRE, bytes((0x20, site.rng.randrange(2, 8), 8, 0)) + bytes(12))


def _short(site: Site) -> Script[None]:
    """Fewer bytes than the header says or needs."""
    side = site.caller()
    for size in site.rng.sample((0, 1, 2, 3, 4, 7), 3):
        whole = site.rng.choice((pptp_gre(7, b""), gre(0x0800, b"")))
        yield from site.carry(side, GRE, whole[:size])


_TABLE: Final[Table[Site]] = {
    "gre-version-0": (10, _version0),
    "gre-version-1": (8, _version1),
    "gre-same-call": (3, _same_call),
    "gre-wrong-protocol": (3, _wrong_protocol),
    "gre-odd-version": (3, _odd_version),
    "gre-short": (3, _short),
}

GRE_TROUBLES: Final = frozenset(_TABLE)


def tunnels(site: Site) -> Script[None]:
    """GRE flows."""
    name, script = pick(site.rng, _TABLE)
    site.note(name)
    yield from script(site)
