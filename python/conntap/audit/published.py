"""DNAT: ports of hosts inside that rules publish, for whoever begins a connection reaches those anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.rules.model import Span, Translate
from conntap.rules.spans import union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.rules.model import Rule, RuleSet
    from conntap.rules.spans import Spans

__all__ = ["dnats", "published"]

ALL: Final = (Span(0, 65535),)


def published(rules: RuleSet, host: int) -> Spans:
    """Ports of a host that rules publish by DNAT.

    Only what a rule itself says is believed: one that names no port publishes none here, for it may be reached by a
    jump that names them.
    """
    found: list[Span] = []
    for rule, one in translations(rules):
        if holds(one, host):
            found += (one.ports,) if one.ports is not None else asked_ports(rule)
    return union(found)


def dnats(rules: RuleSet) -> Iterator[tuple[Spans, Span | None]]:
    """Of each rule of DNAT the ports for which it asks, all where it does not, and the new ones; None: the same."""
    for rule, one in translations(rules):
        yield union(asked_ports(rule)) or ALL, one.ports


def translations(rules: RuleSet) -> Iterator[tuple[Rule, Translate]]:
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
