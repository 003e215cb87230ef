"""Which connections get which helper: by rules, with all that was asked on the way to them, or by the kernel itself.

Before Linux 6.0 the kernel gave a helper to every connection to its port, unless `nf_conntrack_helper` was 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.audit.known import HELPERS, module_of
from conntap.rules.assigned import assignments
from conntap.rules.model import ANY_PORT, Span

if TYPE_CHECKING:
    from conntap.gateway.state import Gateway
    from conntap.rules.assigned import Assigned
    from conntap.rules.model import Condition, Rule

__all__ = ["AUTOMATIC", "Assignment", "assignments_of", "automatic", "called"]

#: The setting of kernels before 6.0.
AUTOMATIC: Final = "net.netfilter.nf_conntrack_helper"
#: Addresses are "known servers" when there are not more than these: a /8 of IPv4, a /32 of IPv6.
MANY: Final = {4: 1 << 24, 6: 1 << 96}
FOUR: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Assignment:
    """Connections that get a helper.

    Attributes:
        helper: its name.
        l4proto, nfproto: of the connections, 0: all.
        ports: destination ports; empty: all.
        servers: destinations are limited to known ones.
        iifs, oifs: interfaces they come from and leave by, as rules write them; empty: any.
        rule: which assigns; None: the kernel does.
        conditions: all that were asked.
        hook: of the chain.
        doubt: what was asked and is not understood, "" nothing.
        called: a program that is made to contact a server may get it: not from source ports of servers alone, which it
            does not come from.
    """

    helper: str
    l4proto: int
    nfproto: int
    ports: tuple[Span, ...]
    servers: bool
    iifs: tuple[str, ...]
    rule: Rule | None
    conditions: tuple[Condition, ...] = ()
    hook: str = "prerouting"
    doubt: str = ""
    oifs: tuple[str, ...] = ()
    called: bool = True

    def fits(self, iif: str, nfproto: int) -> bool:
        """Connections of this family from this interface may get it."""
        if self.nfproto not in (0, nfproto):
            return False
        return not self.iifs or any(fits(pattern, iif) for pattern in self.iifs)

    def forwarded(self) -> bool:
        """It is for connections that pass the gateway, not for its own alone."""
        return self.hook != "output"

    def leaves(self, oif: str) -> bool:
        """Connections that leave by this interface may get it."""
        return not self.oifs or any(fits(pattern, oif) for pattern in self.oifs)


def fits(pattern: str, name: str) -> bool:
    """An interface fits a name of a rule, where a last * stands for any end."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def automatic(gateway: Gateway) -> bool:
    """The kernel gives helpers to connections by their port."""
    return gateway.sysctl(AUTOMATIC) == "1" and (gateway.kernel is None or gateway.kernel < (6, 0))


def assignments_of(gateway: Gateway) -> tuple[Assignment, ...]:
    """All of a gateway that a packet can meet, and by which anything may come to be expected."""
    found = [made(one) for one in assignments(gateway.rules) if one.reachable and not in_vain(one)]
    if automatic(gateway):
        loaded = gateway.modules | {name.partition(".")[0] for name in gateway.parameters}
        found += [
            Assignment(one.name, l4proto, 0, (Span(one.port, one.port),), False, (), None)
            for one in HELPERS.values()
            if one.port and module_of(one.name) in loaded
            for l4proto in one.l4protos
        ]
    return tuple(dict.fromkeys(found))


def in_vain(one: Assigned) -> bool:
    """The helper reads what the gateway itself sends (nf_conntrack_broadcast_help), and is given to others' packets."""
    known = HELPERS.get(one.helper)
    return known is not None and known.asks and one.hook not in ("output", "postrouting")


def made(one: Assigned) -> Assignment:
    """An assignment of a rule, as the checks look at it."""
    return Assignment(
        one.helper,
        one.l4proto,
        one.nfproto,
        () if one.ports in ((ANY_PORT,), (Span(1, 65535),)) else tuple(one.ports),
        known_servers(one),
        one.iifnames or (),
        one.rule,
        one.conditions,
        one.hook,
        "; ".join(asked.text or "a condition" for asked in one.conditions if not asked.fields),
        one.oifnames or (),
        called(one),
    )


def called(one: Assigned) -> bool:
    """Its source ports are such as the system chooses for a program, or as the helper's own programs choose."""
    known = HELPERS.get(one.helper)
    return one.sports is None or (known is not None and known.reserved) or any(span.last >= 1024 for span in one.sports)


def known_servers(one: Assigned) -> bool:
    """Its destinations are limited to not too many."""
    if one.daddrs is not None:
        six = one.nfproto == 6 or any(span.last >= FOUR for span in one.daddrs)
        return sum(span.last - span.first + 1 for span in one.daddrs) <= MANY[6 if six else 4]
    unread = (asked.text for asked in one.conditions if not asked.fields and not asked.negated)
    return any("match-set" in text and "dst" in text for text in unread)
