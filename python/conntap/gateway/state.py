"""A gateway's state: the texts that programs and /proc give, by name, and what is read out of them when asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from conntap.gateway import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.gateway.parse import Listener, Route
    from conntap.rules.model import RuleSet

__all__ = ["TEXTS", "Gateway", "Interface"]

#: Every text there can be, and what it is. A bundle holds no other.
TEXTS: Final = {
    "nft.json": "nft -j list ruleset",
    "iptables-save": "iptables-save",
    "ip6tables-save": "ip6tables-save",
    "sysctl": "sysctl -a, lines `name = value`",
    "parameters": "module parameters, lines `module.parameter = value`",
    "modules": "/proc/modules",
    "uname": "the kernel's release",
    "addresses.json": "ip -j addr",
    "routes.json": "ip -j route show table all",
    "routes6.json": "ip -j -6 route show table all",
    "proc/net/netlink": "who listens",
    "proc/net/stat/nf_conntrack": "counters of connection tracking",
    "proc/net/netfilter/nf_log": "who logs",
}


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
        texts: by name, see `TEXTS`.
        missing: name of a text → why it could not be had.
        files: name of a text → file it was read from; none where it was read live or from a bundle.
    """

    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def rulesets(self) -> tuple[str, ...]:
        """Names of the rule sets that were had, though they may be empty."""
        return tuple(name for name in ("nft.json", "iptables-save", "ip6tables-save") if name in self.texts)

    @cached_property
    def rules(self) -> RuleSet:
        """All rules, each once; what could not be read is among the rule set's `faults`."""
        from conntap.gateway.rulesets import read_rules

        return read_rules(self.texts, self.missing)

    @cached_property
    def settings(self) -> dict[str, str]:
        """All settings by their dotted name."""
        return parse.assignments(self.texts.get("sysctl", ""))

    def sysctl(self, name: str) -> str | None:
        """A setting's value, by its dotted name; None where it is not known."""
        return self.settings.get(name)

    def number(self, name: str) -> int | None:
        """A setting that is one number; None where it is not known or no number."""
        return parse.number(self.settings.get(name))

    @cached_property
    def modules(self) -> frozenset[str]:
        """Names of the loaded modules, with underscores; what is built into the kernel is not among them."""
        return parse.modules(self.texts.get("modules", ""))

    @cached_property
    def parameters(self) -> dict[str, str]:
        """`module.parameter` → value."""
        return parse.assignments(self.texts.get("parameters", ""))

    def parameter(self, module: str, name: str) -> str | None:
        """A module's parameter; None where it is not known."""
        return self.parameters.get(f"{module}.{name}")

    @cached_property
    def interfaces(self) -> tuple[Interface, ...]:
        """All interfaces but `lo`."""
        found = parse.addresses(self.texts.get("addresses.json", ""))
        return tuple(Interface(name, networks, up) for name, networks, up in found)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """All routes, IPv4 and IPv6."""
        both = (parse.routes(self.texts.get("routes.json", ""), 4), parse.routes(self.texts.get("routes6.json", ""), 6))
        return tuple(dict.fromkeys(route for routes in both for route in routes))

    @property
    def default_interfaces(self) -> tuple[str, ...]:
        """Where the default routes lead."""
        return tuple(
            dict.fromkeys(route.interface for route in self.routes if route.to == "default" and route.interface)
        )

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """Sockets that are subscribed to netfilter's groups."""
        return parse.listeners(self.texts.get("proc/net/netlink", ""))

    @property
    def kernel(self) -> tuple[int, int] | None:
        """The kernel's version, (6, 18); None where it is not known."""
        return parse.kernel(self.texts.get("uname", "") or self.sysctl("kernel.osrelease") or "")
