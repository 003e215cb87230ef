"""A packet goes through a rule set: base chains by priority, rules, jumps, maps; for all destination ports at once.

Where a rule cannot be told, the packet goes both ways: a port is `unsure` only if it ends as accepted on one way and
as dropped on another.

Source: net/netfilter/nf_tables_core.c (nft_do_chain), net/netfilter/core.c (nf_hook_slow): an accept ends the base
chain alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from conntap.rules.facts import World
from conntap.rules.index import Indexed
from conntap.rules.model import Change, Condition, Unread, VerdictMap
from conntap.rules.packet import Answer, Step
from conntap.rules.reasons import why
from conntap.rules.spans import bits_of, spans_of, union
from conntap.rules.walk import TooManyWaysError, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.rules.model import Hook, RuleSet
    from conntap.rules.packet import Asked
    from conntap.rules.walk import Event

__all__ = ["follow", "indexed"]

#: Hooks that a packet has met before, where marks may have been set.
BEFORE: Final[dict[Hook, Hook]] = {"input": "prerouting", "forward": "prerouting"}
MARKS: Final = ("mark", "ct_mark", "ct_zone")
#: A chain's rules hold for packets of these families.
FAMILIES: Final = {4: ("inet", "ip"), 6: ("inet", "ip6")}


def follow(rules: RuleSet, asked: Asked) -> Answer:
    """What becomes of a packet at a hook."""
    ports = bits_of(union(asked.dports))
    walk = Walk(lambda key: indexed(rules, key), asked)
    try:
        passed, dropped = walk.through(rules.base(asked.hook, asked.nfproto), _worlds(rules, asked, ports))
    except TooManyWaysError as error:
        return Answer((), (), spans_of(ports), (), (str(error), *rules.faults))
    accepted = 0
    for bits in passed.values():
        accepted |= bits
    unsure = accepted & dropped
    if rules.faults:
        unsure = ports
    accepted &= ~unsure
    dropped &= ~unsure
    steps, reasons = _told(walk.events, accepted, dropped, unsure)
    return Answer(
        spans_of(accepted), spans_of(dropped), spans_of(unsure), steps, tuple(dict.fromkeys((*rules.faults, *reasons)))
    )


def _told(events: list[Event], accepted: int, dropped: int, unsure: int) -> tuple[tuple[Step, ...], list[str]]:
    """The steps that count in the end: an accept of one chain is nothing to a port that another one drops."""
    counts = {"accept": accepted | unsure, "drop": dropped | unsure, "unsure": unsure}
    ports: dict[tuple[str, int, int | None], int] = {}
    first: dict[tuple[str, int, int | None], Event] = {}
    for event in events:
        bits = event.ports & counts[event.kind]
        if bits:
            key = (event.kind, id(event.chain), event.at)
            ports[key] = ports.get(key, 0) | bits
            first.setdefault(key, event)
    steps: list[Step] = []
    reasons: list[str] = []
    for key, event in first.items():
        rule = None if event.at is None else event.chain.rules[event.at]
        reason = why(event)
        steps.append(Step(event.kind, spans_of(ports[key]), event.chain.place.chain, rule, reason))
        if event.kind == "unsure":
            reasons.append(f"{reason} ({event.chain.place if rule is None else rule.place})")
    return tuple(steps), reasons


def indexed(rules: RuleSet, key: tuple[str, str, str, str]) -> Indexed | None:
    """A chain laid out for following; None: there is no such chain."""
    found = rules.memory.get(key)
    if found is None:
        chain = rules.chains.get(key)
        if chain is None:
            return None
        found = rules.memory[key] = Indexed(chain)
    return cast("Indexed", found)


def _worlds(rules: RuleSet, asked: Asked, ports: int) -> dict[World, int]:
    """What earlier hooks may have set, and for which ports."""
    asks, sets = _marks(rules, asked.nfproto)
    start = World(_start("mark", asked, sets), _start("ct_mark", asked, sets), _start("ct_zone", asked, sets))
    said = {field: value for field in MARKS if isinstance(value := asked.more.get(field), int)}
    before = BEFORE.get(asked.hook)
    matters = (asks & sets) - set(said)
    if not matters:
        return {start: ports}
    if before is None:
        if asked.hook == "postrouting":  # behind forward or output: nobody said which
            for field in matters:
                start = start.with_value(field, None)
        return {start: ports}
    earlier = Walk(lambda key: indexed(rules, key), _as_it_came(asked, before))
    first = start._replace(changed="dnat" in asked.ct_status)  # addresses and port were others then
    passed, _ = earlier.through(rules.base(before, asked.nfproto), {first: ports})
    found: dict[World, int] = {}
    seen = 0
    for world, bits in passed.items():
        unread = world.changed and not first.changed
        made = start
        for field in MARKS:
            value = None if unread else world.value(field)
            made = made.with_value(field, said.get(field, value))
        found[made] = found.get(made, 0) | bits
        seen |= bits
    if ports & ~seen:  # dropped there: nothing is known of what cannot arrive
        unknown = World(said.get("mark"), said.get("ct_mark"), said.get("ct_zone"))
        found[unknown] = found.get(unknown, 0) | ports & ~seen
    return found


def _start(field: str, asked: Asked, sets: frozenset[str]) -> int | None:
    """A mark as the packet brings it: none, unless its connection is older than the packet."""
    said = asked.more.get(field)
    if isinstance(said, int):
        return said
    return None if field == "ct_mark" and field in sets and asked.ct_state != "new" else 0


def _as_it_came(asked: Asked, before: Hook) -> Asked:
    more = {name: value for name, value in asked.more.items() if name not in MARKS}
    return replace(asked, hook=before, oifname=None, more=more)


def _marks(rules: RuleSet, nfproto: int) -> tuple[frozenset[str], frozenset[str]]:
    """The marks that some rule asks for, and those that some rule sets."""
    key = ("marks", nfproto)
    found = rules.memory.get(key)
    if found is None:
        asks: set[str] = set()
        sets: set[str] = set()
        for chain in rules.chains.values():
            if chain.place.family not in FAMILIES[nfproto]:
                continue
            for rule in chain.rules:
                asks.update(_fields(rule.conditions))
                for done in rule.statements:
                    if isinstance(done, Change):
                        sets.add(done.field)
                    elif isinstance(done, VerdictMap | Condition):
                        asks.update(done.fields)
                    elif isinstance(done, Unread):
                        sets.update(MARKS)
        found = rules.memory[key] = (frozenset(asks & set(MARKS)), frozenset(sets))
    return cast("tuple[frozenset[str], frozenset[str]]", found)


def _fields(conditions: Iterable[Condition]) -> Iterable[str]:
    for condition in conditions:
        yield from condition.fields
