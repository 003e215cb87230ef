"""Which rules assign which helper to which connections, and which of those rules a packet can meet at all.

Source: net/netfilter/nft_ct.c (nft_ct_helper_obj_eval): only of a connection that is looked up, tracked and new;
net/netfilter/xt_CT.c: by a template, before connections are looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.rules.facts import World
from conntap.rules.follow import indexed
from conntap.rules.model import Assign, Condition, Notrack, Span, Verdict, VerdictMap
from conntap.rules.packet import Asked
from conntap.rules.spans import ALL_PORTS, bits_of, intersect, minus, spans_of, union
from conntap.rules.walk import TooManyWaysError, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.rules.index import Indexed
    from conntap.rules.model import Chain, Hook, Rule, RuleSet
    from conntap.rules.spans import Spans

__all__ = ["Assigned", "Untracked", "assignments", "untracked"]

Key = tuple[str, str, str, str]

HOOKS: Final[tuple[Hook, ...]] = ("prerouting", "input", "forward", "output", "postrouting")
#: Helpers read TCP and UDP; a rule may hold for either.
TRANSPORTS: Final = (6, 17)
VERSIONS: Final = (4, 6)
#: Nothing is known of marks.
UNKNOWN: Final = World(None, None, None)
ANY: Final = (Span(0, (1 << 128) - 1),)
#: So many jumps within each other are followed (nft allows 16), and so many ways to one rule are told apart.
MAX_DEPTH: Final = 32
MAX_WAYS: Final = 1000


@dataclass(frozen=True, slots=True)
class Assigned:
    """Connections of one transport that a rule gives a helper, on one way to the rule.

    Attributes:
        rule: it says `ct helper set` or `CT --helper`.
        hook: of the base chain on the way.
        helper: its type.
        l4proto: 6 or 17; 0 of a rule that is never met and whose helper is for any.
        nfproto: 4, 6; 0 both.
        ports: destination ports; of a rule that is never met those that it asks for.
        conditions: all that is asked on the way, the rule's own last.
        iifnames, oifnames: what of it limits the interfaces, a last * stands for any end; None: any.
        saddrs, daddrs: addresses that are left, of a set that grows those of today; None: any.
        sports: source ports that are left; None: any.
        reachable: a packet may meet the rule so that it assigns.
        why: of one that is not, the reason in words.
    """

    rule: Rule
    hook: Hook
    helper: str
    l4proto: int
    nfproto: int
    ports: Spans
    conditions: tuple[Condition, ...]
    iifnames: tuple[str, ...] | None
    oifnames: tuple[str, ...] | None
    saddrs: Spans | None
    daddrs: Spans | None
    sports: Spans | None
    reachable: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Untracked:
    """Packets that a rule takes out of connection tracking.

    Attributes:
        rule: it says `notrack`.
        hook: of the base chain on the way.
        nfproto: 4, 6; 0 both.
        ports: destination ports by transport; of others than TCP and UDP nothing is said.
        conditions: all that is asked on the way, the rule's own last.
    """

    rule: Rule
    hook: Hook
    nfproto: int
    ports: dict[int, Spans]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to a rule: the hook it begins at, and what is asked until there, the rule's own included."""

    rule: Rule
    key: tuple[Key, int]
    hook: Hook
    conditions: tuple[Condition, ...]


class _Met:
    """For which ports each rule may be met, by (chain, rule, IP version, transport, hook)."""

    def __init__(self) -> None:
        self.tracked: dict[tuple[tuple[Key, int], int, int, Hook], int] = {}
        self.early: dict[tuple[tuple[Key, int], int, int, Hook], int] = {}
        self.untracked: set[tuple[tuple[Key, int], Hook]] = set()
        self.unknown = False

    def ports(self, way: _Way, nfproto: int, l4proto: int, *, early: bool) -> int:
        if self.unknown:
            return ALL_PORTS
        return (self.early if early else self.tracked).get((way.key, nfproto, l4proto, way.hook), 0)


def assignments(rules: RuleSet) -> list[Assigned]:
    """All rules that assign a helper, in the order of hooks and chains; those that are never met, too."""
    ways = list(_ways(rules, Assign))
    met = _meet(rules, {way.hook for way in ways})
    return [found for way in ways for found in _assigned(way, met)]


def untracked(rules: RuleSet) -> list[Untracked]:
    """All rules that keep packets from being tracked and that a packet may meet."""
    ways = list(_ways(rules, Notrack))
    met = _meet(rules, {way.hook for way in ways})
    found: list[Untracked] = []
    for way in ways:
        both = [
            {l4proto: spans_of(met.ports(way, nfproto, l4proto, early=True)) for l4proto in TRANSPORTS}
            for nfproto in VERSIONS
        ]
        four, six = ({l4proto: spans for l4proto, spans in one.items() if spans} for one in both)
        if four and four == six:
            found.append(Untracked(way.rule, way.hook, 0, four, way.conditions))
            continue
        found += [
            Untracked(way.rule, way.hook, nfproto, ports, way.conditions)
            for nfproto, ports in ((4, four), (6, six))
            if ports
        ]
    return found


def _meet(rules: RuleSet, hooks: set[Hook]) -> _Met:
    """Follow packets of which nothing is said through the hooks."""
    met = _Met()
    for hook in sorted(hooks):
        for nfproto in VERSIONS:
            for l4proto in TRANSPORTS:

                def note(
                    chain: Indexed,
                    at: int,
                    ports: int,
                    early: bool,
                    tracked: bool,
                    of: tuple[int, int, Hook] = (nfproto, l4proto, hook),
                ) -> None:
                    place = chain.chain.place
                    rule = ((place.source, place.family, place.table, place.chain), at)
                    if not tracked:
                        met.untracked.add((rule, of[2]))
                        return
                    where = met.early if early else met.tracked
                    where[rule, *of] = where.get((rule, *of), 0) | ports

                asked = Asked(hook, nfproto, l4proto=l4proto, ct_state="new", more={"fib_saddr_oif": "exists"})
                try:
                    Walk(lambda key: indexed(rules, key), asked, note).through(
                        rules.base(hook, nfproto), {UNKNOWN: ALL_PORTS}
                    )
                except TooManyWaysError:
                    met.unknown = True
    return met


def _assigned(way: _Way, met: _Met) -> Iterator[Assigned]:
    """What the rule assigns on one way, by helper, transport and IP version."""
    for done in way.rule.statements:
        if not isinstance(done, Assign):
            continue
        if done.helper:
            yield from _of_helper(way, met, way.conditions, (done.helper, done.l4proto, done.nfproto))
        for row, helper, l4proto, nfproto in done.by:
            conditions = (*way.conditions, Condition(done.keys, (row,)))
            yield from _of_helper(way, met, conditions, (helper, l4proto, nfproto))


def _of_helper(way: _Way, met: _Met, conditions: tuple[Condition, ...], of: tuple[str, int, int]) -> Iterator[Assigned]:
    helper, l4proto, nfproto = of
    own = _narrowed(conditions, "dport")
    limit = ALL_PORTS if own is None else bits_of(own)
    about = (
        conditions,
        _names(conditions, "iifname"),
        _names(conditions, "oifname"),
        _narrowed(conditions, "saddr", "ct_original_saddr"),
        _narrowed(conditions, "daddr", "ct_original_daddr"),
        _narrowed(conditions, "sport"),
    )
    met_at_all = False
    for transport in (l4proto,) if l4proto else TRANSPORTS:
        if not _allows(conditions, "l4proto", transport):
            continue
        found: dict[int, int] = {}
        for version in (nfproto,) if nfproto else VERSIONS:
            ports = met.ports(way, version, transport, early=False)
            if way.rule.place.source != "nft":  # a template counts before connections are looked up
                ports |= met.ports(way, version, transport, early=True)
            if ports & limit and _allows(conditions, "nfproto", version):
                found[version] = ports & limit
        met_at_all = met_at_all or bool(found)
        if len(found) == 2 and found[4] == found[6]:
            found = {0: found[4]}
        for version, ports in found.items():
            yield Assigned(way.rule, way.hook, helper, transport, version, spans_of(ports), *about, True)
    if not met_at_all:
        why = _why(way, met, conditions, l4proto, nfproto)
        yield Assigned(way.rule, way.hook, helper, l4proto, nfproto, spans_of(limit), *about, False, why)


def _allows(conditions: tuple[Condition, ...], field: str, number: int) -> bool:
    spans = _narrowed(conditions, field)
    return spans is None or bool(intersect(spans, (Span(number, number),)))


def _why(way: _Way, met: _Met, conditions: tuple[Condition, ...], l4proto: int, nfproto: int) -> str:
    transports = (l4proto,) if l4proto else TRANSPORTS
    if any(met.ports(way, version, transport, early=True) for version in VERSIONS for transport in transports):
        return "it is met before connections are looked up (priority -200): `ct helper set` does nothing there"
    if (way.key, way.hook) in met.untracked:
        return "its packets are not tracked: a rule before it says notrack"
    if l4proto and not _allows(conditions, "l4proto", l4proto):
        return "its helper is of another transport than its conditions"
    if nfproto and not _allows(conditions, "nfproto", nfproto):
        return "its helper is of another IP version than its conditions"
    return "no packet gets to it: rules before it decide, or its conditions have nothing in common"


def _ways(rules: RuleSet, wanted: type[Assign | Notrack]) -> Iterator[_Way]:
    """Ways to the rules that have such a statement."""
    leading = _leading(rules, wanted)
    for hook in HOOKS:
        for chain in sorted((one for one in rules.chains.values() if one.hook == hook), key=lambda one: one.priority):
            if chain.place.family in ("ip", "ip6", "inet"):
                found = _walk(rules, leading, wanted, chain, hook, (), ())
                for number, way in enumerate(found):
                    if number >= MAX_WAYS:
                        break
                    yield way


def _walk(
    rules: RuleSet,
    leading: frozenset[Key],
    wanted: type[Assign | Notrack],
    chain: Chain,
    hook: Hook,
    asked: tuple[Condition, ...],
    active: tuple[Key, ...],
) -> Iterator[_Way]:
    key = _key(chain)
    if key not in leading or key in active or len(active) > MAX_DEPTH:
        return
    for at, rule in enumerate(chain.rules):
        conditions = (*asked, *rule.conditions)
        if any(isinstance(done, wanted) for done in rule.statements):
            yield _Way(rule, (key, at), hook, conditions)
        for done in rule.statements:
            for more, name in _targets(done):
                target = rules.chains.get((*key[:3], name))
                if target is not None:
                    yield from _walk(rules, leading, wanted, target, hook, (*conditions, *more), (*active, key))


def _targets(done: object) -> Iterator[tuple[tuple[Condition, ...], str]]:
    """Chains that a statement jumps to, and what it asks for that."""
    if isinstance(done, Verdict) and done.chain:
        yield (), done.chain
    elif isinstance(done, VerdictMap):
        for row, verdict in done.entries:
            if verdict.chain:
                yield (Condition(done.fields, (row,), text=done.text),), verdict.chain


def _leading(rules: RuleSet, wanted: type[Assign | Notrack]) -> frozenset[Key]:
    """Chains from which such a rule is reached."""
    callers: dict[Key, set[Key]] = {}
    found: set[Key] = set()
    for key, chain in rules.chains.items():
        for rule in chain.rules:
            for done in rule.statements:
                if isinstance(done, wanted):
                    found.add(key)
                for _, name in _targets(done):
                    callers.setdefault((*key[:3], name), set()).add(key)
    waiting = list(found)
    while waiting:
        for caller in callers.get(waiting.pop(), ()):
            if caller not in found:
                found.add(caller)
                waiting.append(caller)
    return frozenset(found)


def _narrowed(conditions: tuple[Condition, ...], *fields: str) -> Spans | None:
    """What conditions leave of a number; None: all. A set that grows counts as it is, a mask as no limit."""
    left: Spans | None = None
    for one in conditions:
        at = next((one.fields.index(field) for field in fields if field in one.fields), None)
        if at is None or one.mask is not None or (one.negated and len(one.fields) > 1):
            continue
        spans = union([value for row in one.rows for value in row[at] if isinstance(value, Span)])
        if one.negated:
            left = minus(left or ANY, spans)
        else:
            left = spans if left is None else intersect(left, spans)
    return left


def _names(conditions: tuple[Condition, ...], field: str) -> tuple[str, ...] | None:
    """Interfaces that conditions allow; None: any."""
    for one in conditions:
        if field in one.fields and not one.negated:
            at = one.fields.index(field)
            return tuple(dict.fromkeys(str(value) for row in one.rows for value in row[at]))
    return None


def _key(chain: Chain) -> Key:
    place = chain.place
    return place.source, place.family, place.table, place.chain
