"""A gateway's state: the texts that programs and /proc give, by name, and what is read out of them when asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Gateway", "Interface"]


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface: its name and its networks as texts ("10.0.0.1/24", "2001:db8::1/64"); whether it is up."""

    name: str
    networks: tuple[str, ...] = ()
    up: bool = True


@dataclass(frozen=True)
class Gateway:
    """What is known of a gateway.

    Attributes:
        texts: by name: "nft.json" (nft -j list ruleset), "iptables-save", "ip6tables-save", "sysctl" (lines `name = value`), "uname" (release),
            "modules" (/proc/modules), "parameters" (lines `module.parameter = value`), "addresses.json" (ip -j addr), "routes.json" and "routes6.json"
            (ip -j route show table all), "proc/net/netlink", "proc/net/stat/nf_conntrack", "proc/net/netfilter/nf_log".
        missing: name of a text → why it could not be had.
    """

    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
