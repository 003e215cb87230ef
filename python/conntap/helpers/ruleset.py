"""Helper assignments out of a gateway's own rules: the text of `nft -j list ruleset`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.errors import UsageError
from conntap.helpers.assign import PROTOCOLS, Assignment, family_of
from conntap.helpers.registry import resolve
from conntap.rules.assigned import assignments
from conntap.rules.model import ANY_PORT, Unread
from conntap.rules.nft import read_nft

if TYPE_CHECKING:
    from conntap.rules.assigned import Assigned
    from conntap.rules.model import Rule, RuleSet

__all__ = ["Found", "from_ruleset"]

#: What a rule may ask beside ports without another connection getting the helper.
NEUTRAL: Final = frozenset({"ct_state", "l4proto", "nfproto", "dport"})


class Found(NamedTuple):
    """What a rule set says of helpers.

    Attributes:
        assignments: each once, in the order of the rules.
        faults: what of it cannot be followed here, in words.
    """

    assignments: tuple[Assignment, ...]
    faults: tuple[str, ...]


class Unreadable(Exception):
    """A rule that assigns a helper in a way that cannot be followed."""


def from_ruleset(text: str) -> Found:
    """Read the rules that say `ct helper set`, by destination port or with a map of destination ports.

    Raises:
        UsageError: this is no such text, or no rule in it assigns a helper.
    """
    rules = read_nft(text)
    found: list[Assignment] = []
    faults: list[str] = [*rules.faults, *_unread(rules)]
    for one in assignments(rules):
        try:
            found += _assigned(one)
        except Unreadable as error:
            faults.append(f"{_name(one.rule)}: {error}")
            continue
        if ignored := _ignored(one):
            faults.append(f"{_name(one.rule)}: not looked at: {', '.join(ignored)}")
    if not found:
        reason = faults[0] if faults else "no rule says `ct helper set`"
        raise UsageError(f"no helper is assigned: {reason}", hint="say --helper NAME=PROTOCOL/PORT instead")
    return Found(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(faults)))


def _assigned(one: Assigned) -> list[Assignment]:
    """The ports of one rule, for one helper.

    Raises:
        Unreadable: it cannot be followed.
    """
    if not one.reachable:
        raise Unreadable(one.why)
    if one.ports == (ANY_PORT,):
        for condition in one.conditions:
            if not condition.fields:
                raise Unreadable(f"`{condition.text}` is not understood")
        raise Unreadable(f"it assigns '{one.helper}' and names no destination port")
    try:
        [helper] = resolve(one.helper)
    except (UsageError, ValueError):
        raise Unreadable(f"no helper is called '{one.helper}'") from None
    families = {version for version in (one.nfproto, family_of(helper)) if version}
    if one.l4proto not in PROTOCOLS.values() or len(families) > 1:  # then the kernel assigns nothing either
        return []
    family = families.pop() if families else 0
    return [
        Assignment(helper, one.l4proto, port, family)
        for span in one.ports
        for port in range(max(span.first, 1), span.last + 1)
    ]


def _ignored(one: Assigned) -> list[str]:
    """What is asked on the way to a rule and is not looked at here."""
    return [
        f"`{condition.text}`"
        for condition in one.conditions
        if not condition.fields or not set(condition.fields) <= NEUTRAL
    ]


def _unread(rules: RuleSet) -> list[str]:
    """Rules whose `ct helper set` cannot be read."""
    return [
        f"{_name(rule)}: `{done.text}` cannot be read"
        for chain in rules.chains.values()
        for rule in chain.rules
        for done in rule.statements
        if isinstance(done, Unread) and done.text.startswith("ct helper set")
    ]


def _name(rule: Rule) -> str:
    return f"rule with handle {rule.place.handle}"
