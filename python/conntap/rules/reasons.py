"""Why it cannot be told whether a rule fits, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.rules.facts import WORDS
from conntap.rules.fits import PORTS, fits, fits_ports
from conntap.rules.model import Condition, VerdictMap

if TYPE_CHECKING:
    from conntap.rules.facts import Facts
    from conntap.rules.walk import Event

__all__ = ["why"]


def why(event: Event) -> str:
    """The reason of a step that is unsure; "" of the others."""
    if event.kind != "unsure":
        return ""
    if event.why:
        return event.why
    rule = None if event.at is None else event.chain.rules[event.at]
    statements = () if rule is None else rule.statements
    within = tuple(one for one in statements if isinstance(one, Condition))
    for condition in () if rule is None else (*rule.conditions, *within):
        reason = _unclear(condition, event.facts)
        if reason:
            return reason
    for statement in statements:
        if isinstance(statement, VerdictMap):
            return _unclear_map(statement, event.facts)
    return "a rule before it cannot be told"


def _unclear(condition: Condition, facts: Facts) -> str:
    """Why a condition cannot be told; "" if it can."""
    text = f"`{condition.text}`" if condition.text else "a condition"
    if condition.chance:
        return f"{text} fits some packets and others that look the same do not"
    if not condition.fields:
        return f"{text} is not understood"
    if len(condition.fields) == 1 and condition.fields[0] not in PORTS:
        if fits(condition, facts(condition.fields[0])) is not None:
            return ""
    elif not fits_ports(condition, facts)[1]:
        return ""
    return _missing(condition.fields, facts) or f"{text} asks for a set that changes while packets pass"


def _missing(fields: tuple[str, ...], facts: Facts) -> str:
    for field in fields:
        if facts(field) is None:
            changed = facts.world.changed and "a statement that is not understood may have changed "
            name = WORDS.get(field, field)
            return f"{changed}{name}" if changed else f"it depends on {name}"
    return ""


def _unclear_map(statement: VerdictMap, facts: Facts) -> str:
    missing = _missing(statement.fields, facts)
    return missing or f"`{statement.text}` asks for a map that changes while packets pass"
