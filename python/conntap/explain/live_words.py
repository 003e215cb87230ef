"""Ends of connections and expectations in words, from the kernel's own fields."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Any, Final

from conntap.explain.live_rules import Ends

if TYPE_CHECKING:
    from conntap import _core

__all__ = ["NAMES", "arrow", "end", "ends_of", "key_of", "lookup_fields", "translation", "who"]

NAMES: Final = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}
WITHOUT_PORTS: Final = frozenset({1, 58})


def end(address: object, port: int | None) -> str:
    """`10.0.0.5:41364`, `[2001:db8::1]:443`, an address alone."""
    text = str(address)
    if port is None:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def ends_of(side: _core.Tuple) -> Ends:
    """A tuple as rules see it."""
    src = None if side.src is None else str(side.src)
    return Ends(src, str(side.dst), side.l4proto or 0, side.sport, side.dport)


def arrow(side: _core.Tuple) -> str:
    """`tcp 10.0.0.5:41364 → 198.51.100.9:21`."""
    name = NAMES.get(side.l4proto or 0, f"protocol {side.l4proto}")
    if side.l4proto in WITHOUT_PORTS:
        return f"{name} {side.src} → {side.dst} (type {side.icmp_type}, id {side.icmp_id})"
    return f"{name} {end(side.src, side.sport)} → {end(side.dst, side.dport)}"


def key_of(side: _core.Tuple) -> tuple[object, ...]:
    """What tells a connection from others, by one of its tuples."""
    return (
        str(side.src), str(side.dst), side.l4proto, side.sport, side.dport,
        side.icmp_type, side.icmp_code, side.icmp_id,
    )  # fmt: skip


def lookup_fields(side: _core.Tuple, zone: int | None) -> dict[str, Any]:
    """The arguments of `Conntrack.get` that name the connection whose original tuple this is."""
    names = ("src", "dst", "sport", "dport", "icmp_type", "icmp_code", "icmp_id")
    found: dict[str, Any] = {
        f"orig_{name}": value if isinstance(value, int) else str(value)
        for name in names
        if (value := getattr(side, name)) is not None
    }
    found["l4proto"] = side.l4proto
    if zone:
        found["zone"] = zone
    return found


def who(expectation: _core.Expectation) -> tuple[str, str | None]:
    """Who may use it, in words; and the address that rules would see as its source, None for more than one."""
    source, mask = expectation.tuple.src, expectation.mask.src
    port = expectation.tuple.sport
    from_port = "from any port" if not expectation.mask.sport or port is None else f"from port {port}"
    if expectation.any_source or source is None or mask is None:
        return f"anyone, {from_port}", None
    bits = mask_bits(mask)
    if bits is None:
        return f"addresses that equal {source} under the mask {mask}, {from_port}", None
    if bits == mask.max_prefixlen:
        return f"{source} alone, {from_port}", str(source)
    return (
        f"{ip_network((source, bits), strict=False)} ({2 ** (mask.max_prefixlen - bits):,} addresses), {from_port}",
        None,
    )


def mask_bits(mask: IPv4Address | IPv6Address) -> int | None:
    """The length of a mask that is a prefix."""
    text = f"{int(mask):0{mask.max_prefixlen}b}"
    ones = text.rstrip("0")
    return len(ones) if "0" not in ones else None


def translation(flow: _core.Flow) -> list[str]:
    """What NAT does to a connection, in words; empty where it does nothing."""
    original, reply = flow.original, flow.reply
    found: list[str] = []
    if (original.src, original.sport) != (reply.dst, reply.dport) and original.l4proto not in WITHOUT_PORTS:
        found.append(f"the source {end(original.src, original.sport)} is shown as {end(reply.dst, reply.dport)}")
    elif original.src != reply.dst:
        found.append(f"the source {original.src} is shown as {reply.dst}")
    if (original.dst, original.dport) != (reply.src, reply.sport) and original.l4proto not in WITHOUT_PORTS:
        found.append(f"the destination {end(original.dst, original.dport)} is led to {end(reply.src, reply.sport)}")
    elif original.dst != reply.src:
        found.append(f"the destination {original.dst} is led to {reply.src}")
    return found
