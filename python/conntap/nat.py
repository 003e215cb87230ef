"""NAT rules of the userspace engine, as a program or a command line says them.

    snat("src 10.0.0.0/8 to 203.0.113.1:1024-65535")
    dnat("tcp and dst 203.0.113.1 and dport 8080 to 10.0.0.2:80")
    masquerade("203.0.113.1")

The words in front of "to" are a filter (docs/filter.md) over the connection as its first packet comes; behind it
stand addresses and ports as nft and iptables write them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from conntap.errors import UsageError
from conntap.filter import Filter

__all__ = ["NatRule", "dnat", "masquerade", "redirect", "snat"]

Address = IPv4Address | IPv6Address

#: What a home or office network calls its own. RFC 1918, RFC 6598, RFC 4193.
PRIVATE: Final = {
    4: "src 10.0.0.0/8 or src 172.16.0.0/12 or src 192.168.0.0/16 or src 100.64.0.0/10",
    6: "src fc00::/7",
}

HINT: Final = "say: [FILTER] to ADDRESS[-ADDRESS][:PORT[-PORT]], and IPv6 with ports as [ADDRESS]:PORT"

_TARGET: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)(?:-(?P<six_last>[0-9a-fA-F:.]+))?\]"
    r"|(?P<bare>[0-9a-fA-F:]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)"
    r"|(?P<four>[0-9.]+)(?:-(?P<four_last>[0-9.]+))?)?"
    r"(?::(?P<port>[0-9]{1,5})(?:-(?P<port_last>[0-9]{1,5}))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatRule:
    """How new connections are translated; the first rule that fits decides, as in a rule set of the kernel.

    Attributes:
        source: the source is translated; False: the destination.
        family: 4 or 6.
        where: which connections, before translation; None: all.
        addresses: first and last of those to choose from; None: the address stays.
        ports: first and last; None: the port stays where it can.
        interface: number of the capture (or of its interface) by which the first packet comes; None: any.
        persistent: one source always gets the same address.
    """

    source: bool
    family: int
    where: Filter | None = None
    addresses: tuple[Address, Address] | None = None
    ports: tuple[int, int] | None = None
    interface: int | None = None
    persistent: bool = False


def snat(text: str) -> NatRule:
    """Source NAT: "[FILTER] to ADDRESS[-ADDRESS][:PORT[-PORT]] [persistent]".

    Raises:
        UsageError: it does not parse.
    """
    return _rule(text, source=True)


def dnat(text: str) -> NatRule:
    """Destination NAT: "[FILTER] to ADDRESS[-ADDRESS][:PORT[-PORT]]".

    Raises:
        UsageError: it does not parse.
    """
    return _rule(text, source=False)


def redirect(text: str) -> NatRule:
    """Destination NAT to the gateway itself: "[FILTER] to ADDRESS:PORT", ADDRESS being that of the interface.

    Raises:
        UsageError: it does not parse.
    """
    return _rule(text, source=False)


def masquerade(text: str) -> NatRule:
    """Source NAT of what comes from private addresses: "ADDRESS[:PORT[-PORT]]"; "[FILTER] to …" says it as `snat` does.

    Raises:
        UsageError: it does not parse.
    """
    if " to " in f" {text}":
        return _rule(text, source=True)
    try:
        bare = _rule(f"to {text}", source=True)
    except UsageError as error:
        hint = "say 203.0.113.1, or [FILTER] to ADDRESS"
        raise UsageError(f"'{text}' is no address to masquerade as", hint=hint) from error
    return replace(bare, where=Filter(PRIVATE[bare.family]))


def _rule(text: str, *, source: bool) -> NatRule:
    where, to, target = f" {text.strip()}".rpartition(" to ")
    word, _, flag = target.strip().partition(" ")
    found = _TARGET.fullmatch(word)
    if not to or not found or not word or flag.strip() not in ("", "persistent"):
        raise UsageError(f"'{text}' is no NAT rule", hint=HINT)
    addresses = _addresses(found, text)
    return NatRule(
        source=source,
        family=addresses[0].version,
        where=Filter(where.strip()) if where.strip() else None,
        addresses=addresses,
        ports=_ports(found, text),
        persistent=bool(flag),
    )


def _addresses(found: re.Match[str], text: str) -> tuple[Address, Address]:
    low = found["six"] or found["bare"] or found["four"]
    if not low:
        raise UsageError(f"'{text}' names no address", hint=HINT)
    try:
        first = ip_address(low)
        last = ip_address(found["six_last"] or found["four_last"] or low)
    except ValueError as error:
        raise UsageError(f"'{text}': {error}", hint=HINT) from error
    if first.version != last.version or first.packed > last.packed:
        raise UsageError(f"'{text}': the first address lies behind the last", hint=HINT)
    return first, last


def _ports(found: re.Match[str], text: str) -> tuple[int, int] | None:
    if not found["port"]:
        return None
    first, last = int(found["port"]), int(found["port_last"] or found["port"])
    if not 0 < first <= last < 65536:
        raise UsageError(f"'{text}': no such ports", hint="ports go from 1 to 65535, the lower first")
    return first, last
