"""NAT rules of the userspace engine, as a program or a command line says them.

snat("src 10.0.0.0/8 to 203.0.113.1:1024-65535")
dnat("tcp and dst 203.0.113.1 and dport 8080 to 10.0.0.2:80")
masquerade("203.0.113.1")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

_TARGET: Final = re.compile(
    r"(?:\[(?P<six>[0-9a-fA-F:.]+)(?:-(?P<six_last>[0-9a-fA-F:.]+))?\]"
    r"|(?P<bare>[0-9a-fA-F:]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)"
    r"|(?P<four>\d+\.\d+\.\d+\.\d+)(?:-(?P<four_last>\d+\.\d+\.\d+\.\d+))?)?"
    r"(?::(?P<port>\d+)(?:-(?P<port_last>\d+))?)?"
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
    """Source NAT of what comes from private addresses: "ADDRESS" or "[FILTER] to ADDRESS[:PORT-PORT]".

    Raises:
        UsageError: it does not parse.
    """
    if " " in text.strip():
        return _rule(text, source=True)
    try:
        version = ip_address(text.strip()).version
    except ValueError as error:
        raise UsageError(f"'{text}' is no address", hint="say --masquerade 203.0.113.1") from error
    return _rule(f"{PRIVATE[version]} to {text}", source=True)


def _rule(text: str, *, source: bool) -> NatRule:
    where, to, target = f" {text.strip()}".rpartition(" to ")
    word, _, flag = target.strip().partition(" ")
    found = _TARGET.fullmatch(word)
    if not to or not found or not word or flag not in ("", "persistent"):
        raise UsageError(f"'{text}' is no NAT rule", hint="say: [FILTER] to ADDRESS[-ADDRESS][:PORT[-PORT]]")
    addresses = _addresses(found, text)
    ports = None
    if found["port"]:
        ports = (int(found["port"]), int(found["port_last"] or found["port"]))
        if not 0 < ports[0] <= ports[1] < 65536:
            raise UsageError(f"'{text}': no such ports", hint="ports go from 1 to 65535, the lower first")
    if addresses is None:
        raise UsageError(f"'{text}' names no address", hint="say: [FILTER] to ADDRESS[:PORT]")
    return NatRule(
        source=source,
        family=addresses[0].version,
        where=Filter(where.strip()) if where.strip() else None,
        addresses=addresses,
        ports=ports,
        persistent=flag == "persistent",
    )


def _addresses(found: re.Match[str], text: str) -> tuple[Address, Address] | None:
    low = found["six"] or found["bare"] or found["four"]
    if not low:
        return None
    try:
        first = ip_address(low)
        last = ip_address(found["six_last"] or found["four_last"] or low)
    except ValueError as error:
        raise UsageError(f"'{text}': {error}") from error
    if first.version != last.version or first.packed > last.packed:
        raise UsageError(f"'{text}': the first address must not be behind the last")
    return first, last
