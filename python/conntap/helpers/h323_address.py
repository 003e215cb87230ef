"""Transport addresses in H.323 messages: what they say, and where, so that they can be rewritten.

Source: kernel net/netfilter/nf_conntrack_h323_main.c, `get_h225_addr`, `get_h245_addr`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.helpers.base import Address, Packet
    from conntap.helpers.h323_per import Value

__all__ = ["Endpoint", "h225", "h245"]

_H225: Final[Mapping[int, tuple[str, ...]]] = {4: ("ipAddress", "ip"), 6: ("ip6Address", "ip")}
_H245: Final[Mapping[int, tuple[str, ...]]] = {
    4: ("unicastAddress", "iPAddress", "network"),
    6: ("unicastAddress", "iP6Address", "network"),
}


class Endpoint(NamedTuple):
    """An address and port, and at which octet of the payload they are written, the port behind the address."""

    address: Address
    port: int
    place: int


def h225(packet: Packet, value: Value | None) -> Endpoint | None:
    """What an H.225.0 TransportAddress says; None if it is missing or not of the connection's family."""
    return _endpoint(packet, value, _H225)


def h245(packet: Packet, value: Value | None) -> Endpoint | None:
    """The same of an H.245 TransportAddress."""
    return _endpoint(packet, value, _H245)


def _endpoint(packet: Packet, value: Value | None, paths: Mapping[int, tuple[str, ...]]) -> Endpoint | None:
    version = packet.original.src.version
    octets = value.at(*paths[version]) if value else None
    if octets is None:
        return None
    begins, size = octets.number, 4 if version == 4 else 16
    raw = packet.payload[begins : begins + size]
    port = int.from_bytes(packet.payload[begins + size : begins + size + 2])
    return Endpoint(IPv4Address(raw) if version == 4 else IPv6Address(raw), port, begins)
