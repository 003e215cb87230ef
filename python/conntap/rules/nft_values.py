"""Words and numbers of nft's JSON as values of conditions.

Source: libnftables-json(5); the names are those that nft 1.0 and 1.1 print.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.rules.model import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.rules.model import Value

__all__ = ["Kind", "as_dict", "as_list", "catch_all", "element", "known", "largest", "values"]

Json = dict[str, Any]

#: How values of a field are written: `Kind` → what it stands for.
Kind = str

PROTOCOLS: Final = {
    "ip": 0,
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "ipv4": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "ospf": 89,
    "ipip": 94,
    "pim": 103,
    "comp": 108,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
FAMILIES: Final[dict[object, int]] = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6, 2: 4, 10: 6}
#: `meta protocol` as an Ethernet type.
ETHER_TYPES: Final[dict[object, int]] = {"ip": 4, "ip6": 6, 0x0800: 4, 0x86DD: 6}
ICMP: Final = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
}
ICMPV6: Final = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "mld-listener-reduction": 132,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}
#: `meta iiftype`, ARPHRD_*.
LINKS: Final = {"ether": 1, "ppp": 512, "ipip": 768, "ipip6": 769, "loopback": 772, "sit": 776, "ipgre": 778}

_WORDS: Final[dict[Kind, Mapping[Any, int]]] = {
    "l4proto": PROTOCOLS,
    "nfproto": FAMILIES,
    "ethertype": ETHER_TYPES,
    "icmp": ICMP,
    "icmpv6": ICMPV6,
    "link": LINKS,
}
_LARGEST: Final[dict[Kind, int]] = {
    "ip": (1 << 32) - 1,
    "ip6": (1 << 128) - 1,
    "port": 0xFFFF,
    "number": (1 << 32) - 1,
    "l4proto": 0xFF,
    "icmp": 0xFF,
    "icmpv6": 0xFF,
    "link": 0xFFFF,
}
_BITS: Final = {"ip": 32, "ip6": 128}
#: Of these the number itself is no value.
_WORDS_ALONE: Final = {"nfproto", "ethertype"}


def largest(kind: Kind) -> int | None:
    """The largest number of a kind; None of words."""
    return _LARGEST.get(kind)


def catch_all(kind: Kind) -> tuple[Value, ...] | None:
    """`*`, whatever the packet has; None where it cannot be said."""
    if kind == "name":
        return ("*",)
    last = _LARGEST.get(kind, 0xFF if kind in _WORDS else None)
    return None if last is None else (Span(0, last),)


def known(kind: Kind, value: object) -> int | None:
    """One value as a number; None if it is none of this kind."""
    try:
        if isinstance(value, str):
            match kind:
                case "ip":
                    return int.from_bytes(socket.inet_pton(socket.AF_INET, value))
                case "ip6":
                    return int.from_bytes(socket.inet_pton(socket.AF_INET6, value))
                case _ if value in _WORDS.get(kind, {}):
                    return _WORDS[kind][value]
                case _:
                    value = int(value, 0)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        if kind in _WORDS_ALONE:
            return _WORDS[kind].get(value)
    except (OSError, ValueError):
        return None
    return value if 0 <= value <= _LARGEST.get(kind, -1) else None


def values(kind: Kind, value: object) -> tuple[Value, ...] | None:
    """One value, a prefix, a range or `*`; None if it is not understood."""
    if kind == "name":
        return (value,) if isinstance(value, str) else None
    if kind == "index":  # an interface that is gone is printed as a number
        return (value,) if isinstance(value, str) and not value.isdigit() else None
    if value == "*":
        return catch_all(kind)
    if not isinstance(value, dict):
        number = known(kind, value)
        return None if number is None else (Span(number, number),)
    found = as_dict(cast("object", value))
    if len(found) != 1:
        return None
    if "range" in found:
        ends = as_list(found["range"])
        first, last = (known(kind, end) for end in ends) if len(ends) == 2 else (None, None)
        return (Span(first, last),) if first is not None and last is not None and first <= last else None
    if "prefix" in found and kind in _BITS:
        prefix = as_dict(found["prefix"])
        number, length = known(kind, prefix.get("addr")), prefix.get("len")
        bits = _BITS[kind]
        if number is None or isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= bits:
            return None
        rest = (1 << (bits - length)) - 1
        return (Span(number & ~rest, number | rest),)
    return None


def element(value: object) -> tuple[object, bool]:
    """An element of a set without what is said beside it, and whether it times out."""
    inner = as_dict(as_dict(value).get("elem"))
    if not inner:
        return value, False
    return inner.get("val"), "expires" in inner or "timeout" in inner


def as_dict(value: object) -> Json:
    """The object, or an empty one in place of anything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """The list, or an empty one in place of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []
