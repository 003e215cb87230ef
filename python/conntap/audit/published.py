"""Ports of hosts inside to which rules translate destinations: whoever begins a connection reaches those anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.rules.model import Span, Translate
from conntap.rules.spans import union

if TYPE_CHECKING:
    from conntap.rules.model import Rule, RuleSet
    from conntap.rules.spans import Spans

__all__ = ["published"]


def published(rules: RuleSet, host: int) -> Spans:
    """Ports of a host that rules publish by DNAT.

    Only what a rule itself says is believed: one that names no port publishes none here, for it may be reached by a
    jump that names them.
    """
    found: list[Span] = []
    for chain in rules.chains.values():
        for rule in chain.rules:
            for one in rule.statements:
                if isinstance(one, Translate) and one.kind == "dnat" and holds(one, host):
                    found += (one.ports,) if one.ports is not None else asked_ports(rule)
    return union(found)


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
