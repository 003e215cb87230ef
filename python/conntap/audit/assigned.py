"""Which connections get which helper: by the rules that assign it, with all that was asked on the way to them, or by the kernel itself.

Before Linux 6.0 the kernel gave a helper to every connection to its port, unless `nf_conntrack_helper` was 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.audit.known import HELPERS, module_of
from conntap.rules.model import Assign, Condition, Rule, Span, Verdict, VerdictMap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.gateway.state import Gateway
    from conntap.rules.model import Chain, RuleSet, Value

__all__ = ["AUTOMATIC", "Assignment", "assignments_of", "automatic"]

#: The setting of kernels before 6.0.
AUTOMATIC: Final = "net.netfilter.nf_conntrack_helper"
DEPTH: Final = 16
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
        iifs: interfaces they come from, as rules write them; empty: any.
        rule: which assigns; None: the kernel does.
        conditions: all that were asked.
        hook: of the chain.
        doubt: what was asked and is not understood, "" nothing.
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

    def fits(self, iif: str, nfproto: int) -> bool:
        """Connections of this family from this interface may get it."""
        if self.nfproto not in (0, nfproto):
            return False
        return not self.iifs or any(fits(pattern, iif) for pattern in self.iifs)

    def forwarded(self) -> bool:
        """It is for connections that pass the gateway, not for its own alone."""
        return self.hook != "output"

    @property
    def open_ports(self) -> str:
        """Its ports as text."""
        return ", ".join(str(one.first) if one.first == one.last else f"{one.first}-{one.last}" for one in self.ports)


def fits(pattern: str, name: str) -> bool:
    """An interface fits a name of a rule, where a last * stands for any end."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def automatic(gateway: Gateway) -> bool:
    """The kernel gives helpers to connections by their port."""
    return gateway.sysctl(AUTOMATIC) == "1" and (gateway.kernel is None or gateway.kernel < (6, 0))


def assignments_of(gateway: Gateway) -> tuple[Assignment, ...]:
    """All of a gateway."""
    found = list(dict.fromkeys(by_rules(gateway.rules)))
    if automatic(gateway):
        loaded = gateway.modules | {name.partition(".")[0] for name in gateway.parameters}
        found += [
            Assignment(one.name, l4proto, 0, (Span(one.port, one.port),), False, (), None)
            for one in HELPERS.values()
            if one.port and module_of(one.name) in loaded
            for l4proto in one.l4protos
        ]
    return tuple(found)


def by_rules(rules: RuleSet) -> Iterator[Assignment]:
    """Assignments of all chains that packets reach from a hook."""
    helped = with_assign(rules)
    for chain in rules.chains.values():
        if chain.hook in ("prerouting", "input", "forward", "output", "postrouting"):
            yield from walk(rules, helped, chain, chain.hook, (), 0)


def with_assign(rules: RuleSet) -> frozenset[tuple[str, str, str, str]]:
    """Chains from which a rule that assigns is reached: no other needs to be walked."""
    calls: dict[tuple[str, str, str, str], set[tuple[str, str, str, str]]] = {}
    found: set[tuple[str, str, str, str]] = set()
    for key, chain in rules.chains.items():
        for rule in chain.rules:
            for done in rule.statements:
                if isinstance(done, Assign):
                    found.add(key)
                elif isinstance(done, Verdict) and done.chain:
                    calls.setdefault((*key[:3], done.chain), set()).add(key)
                elif isinstance(done, VerdictMap):
                    for _, verdict in done.entries:
                        if verdict.chain:
                            calls.setdefault((*key[:3], verdict.chain), set()).add(key)
    waiting = list(found)
    while waiting:
        for caller in calls.get(waiting.pop(), ()):
            if caller not in found:
                found.add(caller)
                waiting.append(caller)
    return frozenset(found)


def walk(
    rules: RuleSet,
    helped: frozenset[tuple[str, str, str, str]],
    chain: Chain,
    hook: str,
    asked: tuple[Condition, ...],
    depth: int,
) -> Iterator[Assignment]:
    """A chain's assignments, and those of the chains it jumps to."""
    place = chain.place
    here = (place.source, place.family, place.table)
    if depth > DEPTH or (*here, place.chain) not in helped:
        return
    for rule in chain.rules:
        conditions = (*asked, *rule.conditions)
        for done in rule.statements:
            if isinstance(done, Assign):
                yield from made(rule, done, conditions, hook, place.family)
            elif isinstance(done, Verdict):
                if done.chain and (there := rules.chains.get((*here, done.chain))):
                    yield from walk(rules, helped, there, hook, conditions, depth + 1)
                elif done.kind in ("accept", "drop", "reject", "return", "goto") and not rule.conditions:
                    return
            elif isinstance(done, VerdictMap):
                for row, verdict in done.entries:
                    if verdict.chain and (there := rules.chains.get((*here, verdict.chain))):
                        more = Condition(done.fields, (row,), text=done.text)
                        yield from walk(rules, helped, there, hook, (*conditions, more), depth + 1)


def made(rule: Rule, done: Assign, conditions: tuple[Condition, ...], hook: str, family: str) -> Iterator[Assignment]:
    """What an assigning statement gives."""
    rows: list[tuple[str, int, int, tuple[Condition, ...]]] = []
    if done.helper:
        rows.append((done.helper, done.l4proto, done.nfproto, conditions))
    for values, helper, l4proto, nfproto in done.by:
        rows.append((helper, l4proto, nfproto, (*conditions, Condition((done.key,), (values,)))))
    for helper, l4proto, nfproto, asked in rows:
        if nothing_fits(asked):
            continue
        nfprotos = numbers(asked, "nfproto")
        own = nfproto or {"ip": 4, "ip6": 6}.get(family, 0)
        if not own and nfprotos is not None and len(nfprotos) == 1 and nfprotos[0].first == nfprotos[0].last:
            own = nfprotos[0].first
        l4protos = numbers(asked, "l4proto")
        if not l4proto and l4protos is not None and len(l4protos) == 1 and l4protos[0].first == l4protos[0].last:
            l4proto = l4protos[0].first
        doubt = "; ".join(one.text or "a condition" for one in asked if not one.fields)
        ports = numbers(asked, "dport")
        if ports is None:
            ports = numbers(asked, "ct_original_dport")
        yield Assignment(
            helper, l4proto, own, ports or (), servers(asked, own), interfaces(asked), rule, asked, hook, doubt
        )


def nothing_fits(conditions: tuple[Condition, ...]) -> bool:
    """Two conditions on the interface or the port have nothing in common: the rule is never met."""
    for name in ("dport", "iifname", "l4proto", "nfproto"):
        known: list[set[Value]] = []
        for one in conditions:
            if one.fields == (name,) and not one.negated and not one.grows:
                known.append({value for row in one.rows for value in row[0]})
        for first in known:
            for second in known:
                if not any(meet(a, b) for a in first for b in second):
                    return True
    return False


def meet(one: Value, other: Value) -> bool:
    """Two values have something in common."""
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and (fits(one, other) or fits(other, one))
    return one.first <= other.last and other.first <= one.last


def numbers(conditions: tuple[Condition, ...], field: str) -> tuple[Span, ...] | None:
    """The narrowest spans that positive conditions allow; None: nothing is said of it."""
    best: tuple[Span, ...] | None = None
    for one in conditions:
        if one.negated or field not in one.fields:
            continue
        at = one.fields.index(field)
        spans = tuple(sorted({value for row in one.rows for value in row[at] if isinstance(value, Span)}))
        if best is None or size(spans) < size(best):
            best = spans
    return best


def size(spans: tuple[Span, ...]) -> int:
    """How many numbers."""
    return sum(one.last - one.first + 1 for one in spans)


def servers(conditions: tuple[Condition, ...], nfproto: int) -> bool:
    """Some condition limits the destination to known servers."""
    for field in ("daddr", "ct_original_daddr"):
        for one in conditions:
            if one.negated or field not in one.fields:
                continue
            if one.grows:
                return True
            spans = numbers((one,), field) or ()
            six = nfproto == 6 or any(span.last >= FOUR for span in spans)
            if size(spans) <= MANY[6 if six else 4]:
                return True
    return any(
        "dst" in one.text and "match-set" in one.text for one in conditions if not one.fields and not one.negated
    )


def interfaces(conditions: tuple[Condition, ...]) -> tuple[str, ...]:
    """Interfaces that positive conditions allow."""
    for one in conditions:
        if not one.negated and "iifname" in one.fields:
            at = one.fields.index("iifname")
            return tuple(dict.fromkeys(v for row in one.rows for v in row[at] if isinstance(v, str)))
    return ()
