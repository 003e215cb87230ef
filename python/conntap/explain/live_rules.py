"""What rules have to do with a connection: which one gave it its helper, which would let an expected one in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from conntap.rules.facts import Facts, World
from conntap.rules.fits import fits_ports
from conntap.rules.follow import follow
from conntap.rules.model import Assign, Span, Verdict, VerdictMap
from conntap.rules.packet import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.gateway.state import Gateway
    from conntap.rules.model import Chain, Condition, Hook, Place, Rule, RuleSet
    from conntap.rules.packet import Answer

__all__ = ["Assigned", "Ends", "Entrance", "assigned_by", "entrance", "interface_to", "is_local"]

#: Jumps into jumps are followed so far; the kernel's own limit is 16.
DEEPEST: Final = 16
#: Connections are looked up at this priority; destinations are translated at the other.
TRACKING, DNAT = -200, -100
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
    for chain in rules.base(hook, original.nfproto):
        nft = chain.place.source == "nft"
        facts = Facts(asked, World(), early=nft and chain.priority < TRACKING, nft=nft)
        for assigned in _in_chain(rules, chain, facts, helper, original, certain=True, depth=0):
            found.append(assigned)
            if assigned.certain:
                return found
    return found


def _in_chain(
    rules: RuleSet, chain: Chain, facts: Facts, helper: str, original: Ends, *, certain: bool, depth: int
) -> Iterator[Assigned]:
    for rule in chain.rules:
        fits = _fits(rule.conditions, facts, original.dport)
        if fits is False:
            continue
        sure = certain and fits is True
        ends = False
        for statement in rule.statements:
            if isinstance(statement, Assign):
                if (match := _assigns(statement, helper, facts, original)) is not None:
                    yield Assigned(rule.place, sure and match)
            elif isinstance(statement, Verdict):
                for target in _targets(rules, chain, statement) if depth < DEEPEST else ():
                    yield from _in_chain(rules, target, facts, helper, original, certain=sure, depth=depth + 1)
                ends = fits is True and statement.kind in ("accept", "drop", "reject", "queue", "return", "goto")
            elif isinstance(statement, VerdictMap) and depth < DEEPEST:
                for _, verdict in statement.entries:
                    for target in _targets(rules, chain, verdict):
                        yield from _in_chain(rules, target, facts, helper, original, certain=False, depth=depth + 1)
        if ends:
            return


def _targets(rules: RuleSet, chain: Chain, verdict: Verdict) -> tuple[Chain, ...]:
    if verdict.kind not in ("jump", "goto"):
        return ()
    place = chain.place
    target = rules.chains.get((place.source, place.family, place.table, verdict.chain))
    return () if target is None else (target,)


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


def _assigns(statement: Assign, helper: str, facts: Facts, original: Ends) -> bool | None:
    """Is it this helper, for such connections? True, None (no), False (may be)."""

    def suits(l4proto: int, nfproto: int) -> bool:
        return l4proto in (0, original.l4proto) and nfproto in (0, original.nfproto)

    if statement.helper == helper and suits(statement.l4proto, statement.nfproto):
        return True
    for values, name, l4proto, nfproto in statement.by:
        if name != helper or not suits(l4proto, nfproto):
            continue
        known = original.dport if statement.key in ("dport", "ct_original_dport") else facts(statement.key)
        if isinstance(known, int):
            if any(isinstance(value, Span) and value.first <= known <= value.last for value in values):
                return True
        elif isinstance(known, str):
            if known in values:
                return True
        else:
            return False
    return None


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
