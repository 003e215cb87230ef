"""What rules have to do with a connection: which one gave it its helper, which would let an expected one in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from conntap.rules.assigned import assignments
from conntap.rules.facts import Facts, World
from conntap.rules.fits import fits_ports
from conntap.rules.follow import follow
from conntap.rules.model import Span
from conntap.rules.packet import Asked

if TYPE_CHECKING:
    from conntap.gateway.state import Gateway
    from conntap.rules.model import Condition, Hook, Place, Rule, RuleSet
    from conntap.rules.packet import Answer

__all__ = ["Assigned", "Ends", "Entrance", "assigned_by", "entrance", "interface_to", "is_local"]

TABLES: Final = frozenset({"main", "local", "default", "", "254", "255"})


@dataclass(frozen=True, slots=True)
class Ends:
    """One direction of a connection: addresses as texts, ports; None: any, or none."""

    src: str | None
    dst: str
    l4proto: int
    sport: int | None = None
    dport: int | None = None

    @property
    def nfproto(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.dst else 4


@dataclass(frozen=True, slots=True)
class Assigned:
    """A rule that gives such connections their helper.

    Attributes:
        place: where the rule stands.
        certain: the connection's first packet fits all that the rules on the way ask; False: it may.
    """

    place: Place
    certain: bool


@dataclass(frozen=True, slots=True)
class Entrance:
    """What becomes of an expected connection's first packet.

    Attributes:
        hook: "input" (to the gateway itself), "forward" (through it).
        iifname, oifname: as its routes say; None where they do not.
        answer: of `follow`.
        by: the rules that accept it; empty where chains let it through by their policy, or there is none.
        chains: base chains of this hook; none: nothing filters there.
    """

    hook: Hook
    iifname: str | None
    oifname: str | None
    answer: Answer
    by: tuple[Place, ...]
    chains: int

    @property
    def verdict(self) -> str:
        """`accepted`, `dropped`, `unsure`."""
        if self.answer.unsure or (self.answer.accepted and self.answer.dropped):
            return "unsure"
        return "accepted" if self.answer.accepted else "dropped"


# -- who assigned the helper ---------------------------------------------------------------------------------


def assigned_by(rules: RuleSet, helper: str, original: Ends, iifname: str | None, *, local: bool) -> list[Assigned]:
    """Rules that assign *helper* to the connection, in the kernel's order, up to the first that certainly does.

    Args:
        rules: of the gateway.
        helper: its name.
        original: the connection's original direction.
        iifname: by which interface it begins; None: not known.
        local: the gateway itself begins it.
    """
    hook: Hook = "output" if local else "prerouting"
    asked = Asked(
        hook, original.nfproto, iifname=None if local else iifname, saddr=number(original.src),
        daddr=number(original.dst), l4proto=original.l4proto, sport=original.sport, ct_state="new",
        more={} if original.dport is None else {"ct_original_dport": original.dport},
    )  # fmt: skip
    found: list[Assigned] = []
    for one in assignments(rules):
        if (
            not one.reachable
            or (one.hook, one.helper, one.l4proto) != (hook, helper, original.l4proto)
            or one.nfproto not in (0, original.nfproto)
            or not any(span.first <= (original.dport or 0) <= span.last for span in one.ports)
        ):
            continue
        nft = one.rule.place.source == "nft"
        # iptables assigns by a template, before connections are looked up.
        fits = _fits(one.conditions, Facts(asked, World(), early=not nft, nft=nft), original.dport)
        if fits is False:
            continue
        found.append(Assigned(one.rule.place, fits is True))
        if fits:
            break
    return found


def _fits(conditions: tuple[Condition, ...], facts: Facts, dport: int | None) -> bool | None:
    """Does the packet fit all of them?"""
    answer: bool | None = True
    for condition in conditions:
        sure, may = fits_ports(condition, facts)
        bit = 1 << (dport or 0)
        if sure & bit:
            continue
        if not may & bit:
            return False
        answer = None
    return answer


# -- who lets the expected one in ----------------------------------------------------------------------------


def entrance(gateway: Gateway, expected: Ends, inside: Ends, helper: str, *, natted: bool) -> Entrance:
    """What the rules do with the first packet of an expected connection.

    Args:
        gateway: rules, routes, addresses.
        expected: the connection as it comes.
        inside: as rules of the filter see it: behind the translation of its destination.
        helper: the master's.
        natted: its destination is translated.
    """
    local = is_local(gateway, inside.dst)
    hook: Hook = "input" if local else "forward"
    coming = interface_to(gateway, expected.src, expected.nfproto)
    leaving = None if local else interface_to(gateway, inside.dst, inside.nfproto)
    span = Span(0, 65535) if inside.dport is None else Span(inside.dport, inside.dport)
    status = frozenset({"expected", "dnat"} if natted else {"expected"})
    answer = follow(
        gateway.rules,
        Asked(
            hook, expected.nfproto, iifname=coming, oifname=leaving, saddr=number(inside.src), daddr=number(inside.dst),
            l4proto=expected.l4proto, sport=expected.sport, dports=(span,), ct_state="related", ct_helper=helper,
            ct_status=status,
        ),
    )  # fmt: skip
    by = tuple(dict.fromkeys(step.rule.place for step in answer.steps if step.verdict != "drop" and step.rule))
    if answer.dropped and not answer.accepted:
        by = tuple(dict.fromkeys(_of(step.rule) for step in answer.steps if step.verdict == "drop" and step.rule))
    return Entrance(hook, coming, leaving, answer, by, len(gateway.rules.base(hook, expected.nfproto)))


def _of(rule: Rule) -> Place:
    return rule.place


def is_local(gateway: Gateway, address: str) -> bool:
    """Is it one of the gateway's own?"""
    own = ip_address(address)
    return own.is_loopback or any(
        own == ip_address(network.partition("/")[0])
        for interface in gateway.interfaces
        for network in interface.networks
    )


def interface_to(gateway: Gateway, address: str | None, nfproto: int) -> str | None:
    """By which interface an address is reached (and so comes in); the default route's for any; None: not known."""
    best: tuple[int, str] | None = None
    for route in gateway.routes:
        if route.nfproto != nfproto or not route.interface or route.table not in TABLES:
            continue
        if route.to == "default":
            length = -1
        elif address is None:
            continue
        else:
            try:
                network = ip_network(route.to, strict=False)
            except ValueError:
                continue  # "local 10.0.0.1" and the like
            if ip_address(address) not in network:
                continue
            length = network.prefixlen
        if best is None or length > best[0]:
            best = (length, route.interface)
    return best[1] if best else None


def number(address: str | None) -> int | None:
    """An address as rules compare it; None for any."""
    return None if address is None else int(ip_address(address))
