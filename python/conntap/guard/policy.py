"""What a guard allows: per helper who may announce what, each answer with the line that gives it.

Without a file the built-in defaults hold: known helpers only, the source is the other end of the master's own
connection, the destination is one end of it, no port below 1024.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from conntap.helpers.registry import HELPERS

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["BUILT_IN", "Actions", "Denied", "Network", "Policy", "Said", "Section", "Spans"]

T = TypeVar("T")
Network: TypeAlias = "IPv4Network | IPv6Network"
Spans: TypeAlias = "tuple[tuple[int, int], ...]"

BUILT_IN: Final = "built-in default"


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """A value, and where it is said: `guard.toml:12`, or `built-in default`."""

    value: T
    place: str = BUILT_IN


@dataclass(frozen=True, slots=True)
class Section:
    """What is allowed to one helper, or by default.

    Attributes:
        name: the helper; "" for the default.
        place: where the section begins.
        allow: may it announce anything.
        masters: networks of the host that opened the announcing connection; empty for all.
        servers: networks of the host that it was opened to; empty for all.
        nat: networks of the address that the master is seen as outside, "none": not translated; empty for all.
        sources: who may use it: "peer" (the other end), "any" (a wildcard), networks.
        destinations: whom it leads to: "client", "server" (of the announcing connection), networks.
        ports: destination ports. Not for protocols without ports.
        per_master: how many one master host may have open at once.
    """

    name: str = ""
    place: str = BUILT_IN
    allow: Said[bool] = Said(True)
    masters: Said[tuple[Network, ...]] = Said(())
    servers: Said[tuple[Network, ...]] = Said(())
    nat: Said[tuple[Network | str, ...]] = Said(())
    sources: Said[tuple[Network | str, ...]] = Said(("peer",))
    destinations: Said[tuple[Network | str, ...]] = Said(("client", "server"))
    ports: Said[Spans] = Said(((1024, 65535),))
    per_master: Said[int] = Said(64)


@dataclass(frozen=True, slots=True)
class Denied:
    """What no section may allow."""

    helpers: Said[tuple[str, ...]] = Said(())
    masters: Said[tuple[Network, ...]] = Said(())
    destinations: Said[tuple[Network, ...]] = Said(())
    ports: Said[Spans] = Said(())


@dataclass(frozen=True, slots=True)
class Actions:
    """What happens to what is not allowed.

    Attributes:
        on_deny: "log", "alert", "delete", "delete-flow", "block"; in this order.
        alert: targets: `jsonl:FILE`, `jsonl:-`, `syslog://`, `http://…`, `https://…`.
        command: a program and its arguments, started for each; what it is about is in its environment.
        block_seconds: how long a master that was denied is blocked.
        at_once: programs and webhooks that may run at the same time.
        timeout_seconds: how long one may take.
    """

    on_deny: tuple[str, ...] = ("log", "delete", "delete-flow")
    alert: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    block_seconds: float = 600.0
    at_once: int = 4
    timeout_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of it. `Policy()` is what holds without a file."""

    name: str = "built-in"
    default: Section = field(default_factory=Section)
    denied: Denied = field(default_factory=Denied)
    sections: dict[str, Section] = field(default_factory=dict[str, Section])
    actions: Actions = field(default_factory=Actions)
    helpers: Said[tuple[str, ...]] = field(default_factory=lambda: Said(tuple(HELPERS)))

    def section(self, helper: str) -> Section:
        """What holds for a helper."""
        return self.sections.get(helper, self.default)

    def knows(self, helper: str) -> bool:
        """Is it one of the helpers that may be spoken of? A section for it makes it so."""
        return helper in self.sections or base_name(helper) in self.helpers.value

    def boundaries(self) -> list[int]:
        """Ports at which the answer may change: between two of them all ports are alike."""
        edges: set[int] = set()
        for section in (self.default, *self.sections.values()):
            for low, high in section.ports.value:
                edges |= {low, high + 1}
        for low, high in self.denied.ports.value:
            edges |= {low, high + 1}
        return sorted(edges)


def base_name(helper: str) -> str:
    """`ftp` of `ftp-2121`: the kernel adds the port where it is not the usual one, or the number in a list."""
    stem, dash, number = helper.rpartition("-")
    return stem if dash and number.isdecimal() else helper
