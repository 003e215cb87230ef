"""What all checks look at: the gateway, its sides, the helpers it assigns; questions to its rules, each asked once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from conntap.audit.assigned import Assignment, assignments_of
from conntap.audit.known import HELPERS
from conntap.audit.published import dnats, hiding, published, translated
from conntap.audit.sides import STRANGER, words
from conntap.rules.follow import follow
from conntap.rules.model import Span
from conntap.rules.packet import Asked
from conntap.rules.spans import intersect, union

if TYPE_CHECKING:
    from conntap.audit.known import Expected, Helper
    from conntap.audit.sides import Sides
    from conntap.gateway.state import Gateway
    from conntap.rules.model import Rule, Translate
    from conntap.rules.packet import Answer, Step

__all__ = ["ANYBODYS_HELPER", "ANYWHERE", "NOWHERE", "Opening", "View"]


def pair(source: str, destination: str) -> tuple[int, int]:
    """Two addresses as integers."""
    return int(ipaddress.ip_address(source)), int(ipaddress.ip_address(destination))


#: A helper that no rule names: what is accepted for it is accepted for every helper.
ANYBODYS_HELPER: Final = "conntap-any"
#: An interface that no rule names.
NOWHERE: Final = "conntap-nowhere"
#: Ports that a message can name.
PORTS: Final = (Span(1, 65535),)
#: Sources and destinations of no network that a rule would name: what is accepted of both is accepted of all.
ANYWHERE: Final = {
    4: (pair("203.0.113.99", "198.18.7.7"), pair("172.29.7.9", "10.211.3.4")),
    6: (pair("2001:db8:ffff::99", "2001:db8:77::7"), pair("fd12:7::9", "fd13:3::4")),
}
#: So many pairs of interfaces are asked about; the audit says when there are more.
PAIRS: Final = 16
#: So many hosts of which rules on RELATED speak are asked about.
HOSTS: Final = 8


@dataclass(frozen=True, slots=True)
class Opening:
    """What one kind of expectation lets in from outside.

    Attributes:
        helper, expected: which.
        assignment: by which the helper reads such connections.
        nfproto, outside, inside: from where to where.
        wild: anybody may use it, not the contacted server alone.
        ports: accepted for certain.
        unsure: perhaps.
        answer: with the rules.
    """

    helper: Helper
    expected: Expected
    assignment: Assignment
    nfproto: int
    outside: str
    inside: str
    wild: bool
    ports: tuple[Span, ...]
    unsure: tuple[Span, ...]
    answer: Answer


@dataclass(frozen=True)
class View:
    """A gateway as checks see it."""

    gateway: Gateway
    sides: Sides

    def ask(self, asked: Asked) -> Answer:
        """Follow a packet through the rules."""
        key = replace_key(asked)
        if key not in self.cache:
            self.cache[key] = at_worst(follow(self.gateway.rules, asked))
        return self.cache[key]

    @cached_property
    def cache(self) -> dict[tuple[object, ...], Answer]:
        return {}

    @cached_property
    def assigned(self) -> tuple[Assignment, ...]:
        """All assignments of helpers, by rules and by the kernel itself."""
        return assignments_of(self.gateway)

    @cached_property
    def helpers(self) -> tuple[str, ...]:
        """Names of the helpers that are assigned."""
        return tuple(dict.fromkeys(one.helper for one in self.assigned))

    def expects(self, helper: str) -> tuple[Expected, ...]:
        """What a helper expects of the connections that it is assigned to here."""
        known = HELPERS.get(helper)
        masters = {one.l4proto for one in self.assigned if one.helper == helper}
        return tuple(one for one in known.expected if any(map(one.of, masters))) if known else ()

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(outside, inside) that are asked about."""
        return tuple(self.sides.pairs())[:PAIRS]

    @cached_property
    def hiding(self) -> frozenset[int]:
        """IP versions whose sources are translated somewhere: a stranger cannot address hosts inside."""
        return hiding(self.gateway.rules)

    @property
    def nat(self) -> bool:
        """Sources of IPv4 are translated somewhere."""
        return 4 in self.hiding

    @cached_property
    def dnats(self) -> tuple[tuple[Rule, Translate], ...]:
        """The rules of DNAT."""
        return tuple(dnats(self.gateway.rules))

    def hosts(self, inside: str, nfproto: int) -> tuple[int, ...]:
        """Hosts inside that are asked about: one that no rule knows, and those of which rules on RELATED speak."""
        return tuple(dict.fromkeys((self.sides.host(inside, nfproto), *self.spoken_of[nfproto])))

    @cached_property
    def spoken_of(self) -> dict[int, tuple[int, ...]]:
        """Destinations, by family, that rules name which ask for RELATED."""
        found: dict[int, dict[int, None]] = {4: {}, 6: {}}
        for chain in self.gateway.rules.chains.values():
            for rule in chain.rules:
                if "related" not in words(rule, "ct_state"):
                    continue
                for condition in rule.conditions:
                    if condition.fields == ("daddr",) and not condition.negated:
                        for row in condition.rows:
                            for value in row[0]:
                                if isinstance(value, Span):
                                    found[6 if value.last >= 1 << 32 else 4][value.first] = None
        return {nfproto: tuple(hosts)[:HOSTS] for nfproto, hosts in found.items()}

    def packet(
        self,
        iif: str | None,
        oif: str | None,
        *,
        nfproto: int,
        l4proto: int,
        state: str,
        helper: str = "",
        hook: str = "forward",
        ports: tuple[Span, ...] = PORTS,
        addresses: bool = True,
        host: int | None = None,
        whichever: bool = False,
        ends: tuple[int, int] | None = None,
        forwarded: bool = False,
    ) -> Answer:
        """Ask about a packet that comes in by `iif` and leaves by `oif`, to `host` inside; from outside a stranger's.

        Without `addresses` nothing is said of them; `whichever` says nothing of the destination alone;
        `ends` are source and destination; `forwarded`: its destination was translated.
        """
        saddr = daddr = None
        if addresses:
            saddr = STRANGER[nfproto] if iif in self.sides.outside else self.sides.host(iif or "", nfproto)
            daddr = STRANGER[nfproto] if oif in self.sides.outside else host or self.sides.host(oif or "", nfproto)
            daddr = None if whichever else daddr
        if ends is not None:
            saddr, daddr = ends
        status: set[str] = set()
        if state == "related":
            status.add("expected")
            if nfproto in self.hiding and hook != "input":
                status.add("dnat")  # the kernel translates it to the host that announced it
        if forwarded:
            status.add("dnat")
        more: dict[str, int | str] = {
            "pkttype": "host",
            "ct_direction": "original",
            "fib_daddr_type": "local" if hook == "input" else "unicast",
            "fib_saddr_oif": "exists",
        }
        asked = Asked(
            hook="input" if hook == "input" else "forward",
            nfproto=nfproto,
            iifname=iif,
            oifname=oif,
            saddr=saddr,
            daddr=daddr,
            l4proto=l4proto,
            sport=40000,
            dports=ports,
            ct_state=state,
            ct_helper=helper,
            ct_status=frozenset(status),
            more=more,
        )
        return self.arriving(asked, self.ask(asked))

    def arriving(self, asked: Asked, answer: Answer) -> Answer:
        """The answer without what prerouting drops for certain; where that is not certain it is taken to arrive."""
        if not (answer.accepted or answer.unsure) or not self.early[asked.nfproto]:
            return answer
        translated = "dnat" in asked.ct_status  # later than most chains of prerouting, which see another destination
        before = replace(asked, hook="prerouting", oifname=None, daddr=None if translated else asked.daddr)
        gone = self.ask(before).dropped
        if not gone:
            return answer
        return replace(
            answer,
            accepted=less(answer.accepted, gone),
            dropped=union((*answer.dropped, *intersect(gone, asked.dports))),
            unsure=less(answer.unsure, gone),
        )

    @cached_property
    def early(self) -> dict[int, bool]:
        """By IP version, whether prerouting has chains that may drop."""
        rules = self.gateway.rules
        return {nf: any(chain.kind != "nat" for chain in rules.base("prerouting", nf)) for nf in (4, 6)}

    def expected(
        self,
        outside: str,
        inside: str,
        *,
        nfproto: int,
        l4proto: int,
        helper: str,
        ports: tuple[Span, ...],
        host: int,
    ) -> tuple[Answer, Answer]:
        """The answer for RELATED packets of a helper from outside, and the same without what is open to new ones.

        What is open to anybody is no helper's doing: what the rules accept of new packets, and what they publish.
        Where all new ones are accepted and sources are translated it is the translation that hides the hosts: nobody
        can address them, and what a helper expects is open all the same.
        """
        ask = partial(self.packet, outside, inside, nfproto=nfproto, l4proto=l4proto, ports=ports, host=host)
        related, new = ask(state="related", helper=helper), ask(state="new")
        hidden = nfproto in self.hiding and not new.dropped and not new.unsure
        taken = () if hidden else new.accepted
        if public := published(self.dnats, host):
            taken = union((*taken, *intersect(public, ask(state="new", forwarded=True).accepted)))
        return related, replace(related, accepted=less(related.accepted, taken), unsure=less(related.unsure, taken))

    def begins(self, one: Assignment, iif: str, oif: str, nfproto: int) -> bool:
        """A connection that gets this helper may begin from `iif` to `oif`: the rules let it pass, or may."""
        known = HELPERS.get(one.helper)
        if not one.fits(iif, nfproto) or (known is not None and nfproto not in known.nfprotos):
            return False
        if not one.called and iif not in self.sides.outside:  # a stranger chooses his port
            return False
        protocols = (one.l4proto,) if one.l4proto else (known.l4protos if known else (6, 17))
        asked = one.ports or PORTS
        for l4proto in protocols:
            # Which host inside, and which server outside, does not matter; a stranger is one that no rule knows.
            for ports, forwarded in ((asked, False), (translated(self.dnats, asked), True)):
                if not ports or (forwarded and iif not in self.sides.outside):
                    continue
                answer = self.packet(
                    iif,
                    oif,
                    nfproto=nfproto,
                    l4proto=l4proto,
                    state="new",
                    ports=ports,
                    addresses=iif in self.sides.outside,
                    whichever=True,
                    forwarded=forwarded,
                )
                if answer.accepted or answer.unsure:
                    return True
        return False

    @cached_property
    def openings(self) -> tuple[Opening, ...]:
        """What the assigned helpers let in from outside, to hosts that begin connections from inside."""
        found: list[Opening] = []
        for one in self.assigned:
            known = HELPERS.get(one.helper)
            if known is None or not one.forwarded():
                continue
            for outside, inside in self.pairs:
                for nfproto in known.nfprotos:
                    if self.begins(one, inside, outside, nfproto):
                        found += self.through(one, known, nfproto, outside, inside)
        return tuple(found)

    def through(self, one: Assignment, known: Helper, nfproto: int, outside: str, inside: str) -> list[Opening]:
        """What the expectations of a helper let in from `outside` to `inside`."""
        found: list[Opening] = []
        for expected in known.inward(one.l4proto):
            for host in self.hosts(inside, nfproto):
                related, open_ = self.expected(
                    outside,
                    inside,
                    nfproto=nfproto,
                    l4proto=expected.l4proto,
                    helper=known.name,
                    ports=(expected.ports,),
                    host=host,
                )
                if open_.accepted or open_.unsure:
                    wild = expected.wild(self.gateway)
                    spans = (open_.accepted, open_.unsure)
                    found.append(Opening(known, expected, one, nfproto, outside, inside, wild, *spans, related))
                    break
        return found


def replace_key(asked: Asked) -> tuple[object, ...]:
    """What tells questions apart."""
    return (
        asked.hook, asked.nfproto, asked.iifname, asked.oifname, asked.saddr, asked.daddr, asked.l4proto, asked.sport,
        asked.dports, asked.ct_state, asked.ct_helper, asked.ct_status, tuple(sorted(asked.more.items())),
    )  # fmt: skip


def at_worst(answer: Answer) -> Answer:
    """Where only a limit or the like makes it unsure, some packets pass: who is dropped comes again."""
    steps = [step for step in answer.steps if step.verdict == "unsure"]
    if not answer.unsure or not steps or not all(by_chance(step.rule) for step in steps):
        return answer
    return replace(answer, accepted=union((*answer.accepted, *answer.unsure)), unsure=(), reasons=())


def by_chance(rule: Rule | None) -> bool:
    """A rule that fits some packets of equal look and not others, and is understood apart from that."""
    return (
        rule is not None
        and any(one.chance for one in rule.conditions)
        and all(one.fields or one.chance for one in rule.conditions)
        and not any(one.grows for one in rule.conditions)
    )


def less(spans: tuple[Span, ...], taken: tuple[Span, ...]) -> tuple[Span, ...]:
    """Spans without what is in others."""
    left = list(spans)
    for gone in taken:
        rest: list[Span] = []
        for span in left:
            if gone.last < span.first or gone.first > span.last:
                rest.append(span)
                continue
            if span.first < gone.first:
                rest.append(Span(span.first, gone.first - 1))
            if span.last > gone.last:
                rest.append(Span(gone.last + 1, span.last))
        left = rest
    return tuple(left)


def asks_state(rule: Rule) -> bool:
    """A rule speaks of the connection's state."""
    return any("ct_state" in condition.fields for condition in rule.conditions)


def accepting(answer: Answer) -> list[Step]:
    """The steps that let something in: those whose rule asks for the state, else all that accept."""
    through = (*answer.accepted, *answer.unsure)
    steps = [step for step in answer.steps if step.verdict == "accept" and less(step.ports, less(step.ports, through))]
    return [step for step in steps if step.rule is not None and asks_state(step.rule)] or steps
