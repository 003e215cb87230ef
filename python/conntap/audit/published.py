"""Translation: ports of hosts inside that rules publish by DNAT, and hosts that they hide behind an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.rules.model import ANY_PORT, Span, Translate
from conntap.rules.spans import intersect, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conntap.rules.model import Rule, RuleSet
    from conntap.rules.spans import Spans

__all__ = ["dnats", "hiding", "published", "translated"]

#: The last address of IPv4.
LAST_4: Final = (1 << 32) - 1


def published(dnats: Iterable[tuple[Rule, Translate]], host: int) -> Spans:
    """Ports of a host that rules of DNAT publish.

    Only what a rule itself says is believed: one that names no port publishes none here, for it may be reached by a
    jump that names them.
    """
    found: list[Span] = []
    for rule, one in dnats:
        if holds(one, host):
            found += (one.ports,) if one.ports is not None else asked_ports(rule)
    return union(found)


def translated(dnats: Iterable[tuple[Rule, Translate]], ports: Spans) -> Spans:
    """The ports to which DNAT leads connections that have one of these, before it or behind it."""
    found: list[Span] = []
    for rule, one in dnats:
        asked = union(asked_ports(rule)) or (ANY_PORT,)
        if one.ports is None:
            found += intersect(asked, ports)
        elif intersect(asked, ports) or intersect((one.ports,), ports):
            found.append(one.ports)
    return union(found)


def hiding(rules: RuleSet) -> frozenset[int]:
    """IP versions of which sources are translated.

    A chain of both families that is jumped to may be for IPv4 alone: then IPv6 counts only where the rule says so.
    """
    found: set[int] = set()
    for chain in rules.chains.values():
        for rule in chain.rules:
            if any(isinstance(one, Translate) and one.kind in ("snat", "masquerade") for one in rule.statements):
                said = versions(rule)
                match chain.place.family:
                    case "ip":
                        found.add(4)
                    case "ip6":
                        found.add(6)
                    case _:
                        found |= said or ({4, 6} if chain.hook else {4})
    return frozenset(found)


def versions(rule: Rule) -> set[int]:
    """The IP versions that a rule speaks of; none: it does not."""
    addresses = [one.addr for one in rule.statements if isinstance(one, Translate)]
    for one in rule.conditions:
        for at, field in enumerate(one.fields):
            values = [value for row in one.rows for value in row[at]]
            if field == "nfproto" and not one.negated:
                return {value.first for value in values if isinstance(value, Span)}
            if field in ("saddr", "daddr"):
                addresses.append(tuple(values))
    return {6 if value.last > LAST_4 else 4 for some in addresses for value in some if isinstance(value, Span)}


def dnats(rules: RuleSet) -> Iterator[tuple[Rule, Translate]]:
    """The rules that translate destinations, and how."""
    for chain in rules.chains.values():
        for rule in chain.rules:
            for one in rule.statements:
                if isinstance(one, Translate) and one.kind == "dnat":
                    yield rule, one


def holds(one: Translate, host: int) -> bool:
    """The host is among the new destinations."""
    return any(isinstance(value, Span) and value.first <= host <= value.last for value in one.addr)


def asked_ports(rule: Rule) -> list[Span]:
    """The destination ports that a rule asks for; none where it does not, or asks what it must not be."""
    return [
        value
        for condition in rule.conditions
        if "dport" in condition.fields and not condition.negated
        for row in condition.rows
        for value in row[condition.fields.index("dport")]
        if isinstance(value, Span)
    ]
