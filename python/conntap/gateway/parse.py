"""The small texts of a gateway: settings, modules, addresses, routes, listeners.

What does not parse gives nothing: nothing is made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, cast

__all__ = ["Listener", "Route", "addresses", "assignments", "kernel", "listeners", "modules", "number", "routes"]

#: NETLINK_NETFILTER, linux/netlink.h.
NETFILTER: Final = "12"
#: Groups 1 to 6 of nfnetlink: NEW, UPDATE, DESTROY of connections and of expectations.
CONNTRACK_GROUPS: Final = 0x3F


@dataclass(frozen=True, slots=True)
class Route:
    """A route: where to ("default", "10.0.0.0/8"), by which interface, of which table."""

    to: str
    interface: str
    table: str = "main"
    nfproto: int = 4


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that is subscribed to events of connections or expectations.

    Attributes:
        port: its netlink address, mostly the process's id.
        groups: mask of multicast groups.
        waiting: bytes in its buffer.
        drops: messages that did not fit, since the socket was made.
        inode: of the socket.
    """

    port: int
    groups: int
    waiting: int
    drops: int
    inode: int


def assignments(text: str) -> dict[str, str]:
    """Lines `name = value`; names with slashes (sysctl.d) are told with dots. The last line of a name holds."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        name = name.strip().lstrip("-")
        if not equals or not name or name.startswith(("#", ";")):
            continue
        slash, dot = name.find("/"), name.find(".")
        if slash >= 0 and (dot < 0 or slash < dot):
            name = name.translate({ord("/"): ".", ord("."): "/"})
        found[name] = value.strip()
    return found


def number(text: str | None) -> int | None:
    """A whole number, or None."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def modules(text: str) -> frozenset[str]:
    """The first words of /proc/modules (or of lsmod)."""
    names = (line.split()[0] for line in text.splitlines() if line.strip())
    return frozenset(name.replace("-", "_") for name in names if name != "Module")


def listed(text: str) -> list[dict[str, Any]]:
    """A JSON list of objects; empty where it is none."""
    try:
        parsed: Any = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        return []
    if not isinstance(parsed, list):
        return []
    return [cast("dict[str, Any]", one) for one in cast("list[Any]", parsed) if isinstance(one, dict)]


def addresses(text: str) -> tuple[tuple[str, tuple[str, ...], bool], ...]:
    """Name, networks, and whether it is up, of each interface of `ip -j addr` but `lo`."""
    found: list[tuple[str, tuple[str, ...], bool]] = []
    for one in listed(text):
        name = one.get("ifname")
        if not isinstance(name, str) or name == "lo":
            continue
        networks = tuple(
            f"{info['local']}/{info['prefixlen']}"
            for info in cast("list[Any]", one.get("addr_info") or [])
            if isinstance(info, dict) and "local" in info and "prefixlen" in info
        )
        found.append((name, networks, "UP" in (one.get("flags") or ())))
    return tuple(found)


def routes(text: str, nfproto: int) -> tuple[Route, ...]:
    """The unicast routes of `ip -j route show table all`; an IPv6 one is told by its colon, wherever it stands."""
    found: list[Route] = []
    for one in listed(text):
        to, device = one.get("dst"), one.get("dev")
        if not isinstance(to, str) or one.get("type", "unicast") != "unicast":
            continue
        hops = cast("list[Any]", one.get("nexthops") or [])
        devices: list[Any] = [device] if isinstance(device, str) else []
        if not devices:
            devices = [cast("dict[str, Any]", hop).get("dev") for hop in hops if isinstance(hop, dict)]
        family = 6 if ":" in to or ":" in str(one.get("gateway", "")) else nfproto
        found += [Route(to, str(name), str(one.get("table", "main")), family) for name in devices if name]
    return tuple(found)


def listeners(table: str) -> tuple[Listener, ...]:
    """Those in /proc/net/netlink. Columns: sk, protocol, port, groups, rmem, wmem, dump, locks, drops, inode."""
    found: list[Listener] = []
    for line in table.splitlines()[1:]:
        cells = line.split()
        try:
            if cells[1] == NETFILTER and int(cells[3], 16) & CONNTRACK_GROUPS:
                groups = int(cells[3], 16)
                found.append(Listener(int(cells[2]), groups, int(cells[4]), int(cells[8]), int(cells[9])))
        except (IndexError, ValueError):
            continue  # a line of another form: this kernel's table is not ours
    return tuple(found)


def kernel(release: str) -> tuple[int, int] | None:
    """Major and minor of "6.18.44-amd64"; `uname -a` is understood, too."""
    for word in release.split():
        major, dot, rest = word.partition(".")
        minor = rest.partition(".")[0].partition("-")[0]
        if dot and major.isdecimal() and minor.isdecimal():
            return int(major), int(minor)
    return None
