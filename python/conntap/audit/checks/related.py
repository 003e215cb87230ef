"""RELATED: what expectations let in from outside, by which rule (A001, A002, A003, A021)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conntap.audit.finder import Group, by_rule, evidence, key_of, reaches
from conntap.audit.finding import Finding, Severity
from conntap.audit.fixes import limit_input, limit_related
from conntap.audit.known import HELPERS
from conntap.audit.view import ANYBODYS_HELPER, ANYWHERE, NOWHERE, PORTS, less
from conntap.audit.words import listed, ports_text, sentence, worst
from conntap.rules.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.assigned import Assignment
    from conntap.audit.view import View
    from conntap.rules.packet import Answer, Step

__all__ = ["any_direction", "any_helper", "any_port", "to_gateway"]

TCP, UDP = 6, 17
LOW_PORTS = (Span(1, 1023),)


def severity(view: View) -> Severity:
    """By what the assigned helpers expect: anybody from outside, the contacted server, or nobody from there."""
    if not view.assigned:
        return Severity.INFO
    if any(one.wild for one in view.openings):
        return Severity.HIGH
    return Severity.MEDIUM if view.openings else Severity.LOW


def protocols(view: View) -> list[int]:
    """Transport protocols with ports that the assigned helpers expect."""
    found = [expected.l4proto for name in view.helpers for expected in view.expects(name)]
    return [number for number in dict.fromkeys(found) if number in (TCP, UDP)] or [TCP]


def families(view: View) -> list[int]:
    """Families of the assigned helpers; both where none is assigned."""
    found: list[int] = []
    for one in view.assigned:
        known = HELPERS.get(one.helper)
        found += [nf for nf in (known.nfprotos if known else (4, 6)) if one.nfproto in (0, nf)]
    return sorted(set(found)) or [4, 6]


def inward(
    view: View, helper: str, ports: tuple[Span, ...] = PORTS
) -> Iterator[tuple[Answer, int, int, str | None, str | None]]:
    """RELATED packets of a helper from each outside interface to each inside one."""
    for nfproto in families(view):
        for l4proto in protocols(view):
            for outside, inside in view.pairs:
                for host in view.hosts(inside, nfproto):
                    _, beyond = view.expected(
                        outside, inside, nfproto=nfproto, l4proto=l4proto, helper=helper, ports=ports, host=host
                    )
                    yield beyond, nfproto, l4proto, outside, inside


def doubt(group: Group) -> str:
    """Why it is not certain; "" where it is."""
    return "" if group.certain else "; ".join(dict.fromkeys(group.doubts))


def any_helper(view: View) -> Iterator[Finding]:
    """A001: RELATED is accepted whatever helper expected it."""
    for group in by_rule(inward(view, ANYBODYS_HELPER)):
        rule = group.step.rule
        if not view.assigned:
            yield Finding(
                "A001",
                "RELATED is accepted for every helper; none is assigned",
                Severity.INFO,
                (evidence(group.step),),
                "only ICMP errors are RELATED now; a helper that is assigned later lets in what it expects, "
                "without a word",
                limit_related(group.step, view),
                certain=group.certain,
                doubt=doubt(group),
                key=key_of(rule, chain=group.step.chain),
            )
            continue
        through = [one for one in view.openings if (one.nfproto, one.outside, one.inside) in group.where]
        best = worst(through)
        helpers = listed(view.helpers)
        say = (
            sentence(best, view)
            if best
            else (
                f"whatever is expected ({helpers}) gets in; nothing from outside to inside today, but a helper that "
                "is assigned later lets in all it expects"
            )
        )
        yield Finding(
            "A001",
            "RELATED is accepted for every helper",
            severity(view),
            (evidence(group.step),),
            say,
            limit_related(group.step, view),
            reach=reaches(through),
            certain=group.certain,
            doubt=doubt(group),
            key=key_of(rule, chain=group.step.chain),
        )


def anywhere(view: View, nfproto: int, l4proto: int, helper: str) -> Answer | None:
    """The answer where a RELATED packet is accepted between whatever interfaces and addresses; else None."""
    answer = None
    for ends in ANYWHERE[nfproto]:
        answer = view.packet(
            NOWHERE, NOWHERE, nfproto=nfproto, l4proto=l4proto, state="related", helper=helper, ends=ends
        )
        if not answer.accepted:
            return None
    return answer


def place(step: Step) -> tuple[str, str]:
    """What tells steps apart."""
    return step.chain, str(step.rule.place) if step.rule else ""


def any_direction(view: View) -> Iterator[Finding]:
    """A002: RELATED is accepted between whatever interfaces, from whatever address."""
    if not view.assigned:
        return
    helpers = (ANYBODYS_HELPER, *view.helpers)
    inwards = {place(group.step) for group in by_rule(one for helper in helpers for one in inward(view, helper))}
    asked = [
        (answer, nfproto, l4proto, None, None)
        for nfproto in families(view)
        for l4proto in protocols(view)
        for helper in helpers
        if (answer := anywhere(view, nfproto, l4proto, helper))
    ]
    for group in by_rule(asked):
        if place(group.step) not in inwards:
            continue  # nothing comes in from outside by it
        rule = group.step.rule
        through = [one for one in view.openings if one.ports]
        best = worst(through)
        names = listed(view.helpers)
        yield Finding(
            "A002",
            "RELATED is accepted in every direction, between all interfaces",
            severity(view),
            (evidence(group.step),),
            sentence(best, view)
            if best
            else f"what is expected ({names}) is accepted from {listed(view.sides.outside)} as from anywhere else, for "
            "no rule says from where to where",
            limit_related(group.step, view),
            reach=reaches(through),
            key=key_of(rule, chain=group.step.chain),
        )


def any_port(view: View) -> Iterator[Finding]:
    """A003: RELATED is accepted at ports of services, too."""
    if not view.assigned:
        return
    asked = [
        one
        for name in view.helpers
        for one in inward(view, name, LOW_PORTS)
        if name not in HELPERS or any(e.l4proto == one[2] for e in view.expects(name))
    ]
    for group in by_rule(asked):
        rule = group.step.rule
        through = [
            one
            for one in view.openings
            if (one.nfproto, one.outside, one.inside) in group.where and any(span.first < 1024 for span in one.ports)
        ]
        best = worst(replace(one, ports=low(one.ports)) for one in through)
        helpers = listed(view.helpers)
        yield Finding(
            "A003",
            "RELATED is accepted at every destination port, also below 1024",
            severity(view) if through else min(severity(view), Severity.LOW),
            (evidence(group.step),),
            sentence(best, view)
            if best
            else f"what is expected ({helpers}) is accepted at ports {ports_text(LOW_PORTS)}, too, "
            "where services listen "
            "(SSH, SMB, web)",
            limit_related(group.step, view),
            reach=reaches(through),
            certain=group.certain,
            doubt=doubt(group),
            key=key_of(rule, chain=group.step.chain),
        )


def low(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """What of it lies below 1024."""
    return tuple(Span(one.first, min(one.last, 1023)) for one in spans if one.first < 1024)


def to_gateway(view: View) -> Iterator[Finding]:
    """A021: RELATED is accepted to the gateway itself whatever helper expected it."""
    if not view.assigned:
        return
    asked: list[tuple[Answer, int, int, str | None, str | None]] = []
    for nfproto in families(view):
        for l4proto in protocols(view):
            for outside in view.sides.outside:
                answer = view.packet(
                    outside,
                    None,
                    nfproto=nfproto,
                    l4proto=l4proto,
                    state="related",
                    helper=ANYBODYS_HELPER,
                    hook="input",
                )
                new = view.packet(outside, None, nfproto=nfproto, l4proto=l4proto, state="new", hook="input")
                if less(answer.accepted, new.accepted):
                    asked.append((answer, nfproto, l4proto, outside, None))
    own = [one for one in view.assigned if one.hook == "output"]
    for group in by_rule(asked):
        rule = group.step.rule
        wild = [one for one in own if one.helper in HELPERS and HELPERS[one.helper].wild(view.gateway)]
        yield Finding(
            "A021",
            "RELATED is accepted to the gateway itself for every helper",
            Severity.HIGH if wild else Severity.MEDIUM if own else Severity.LOW,
            (evidence(group.step),),
            opened(own, bool(wild), view),
            limit_input(group.step, view),
            key=key_of(rule, chain=group.step.chain),
        )


def opened(own: list[Assignment], wild: bool, view: View) -> str:
    """What gets to the gateway itself, as a sentence."""
    asking = listed(one.helper for one in own if one.helper in HELPERS and HELPERS[one.helper].asks)
    names = listed(one.helper for one in own if one.helper not in HELPERS or not HELPERS[one.helper].asks)
    who = "any host in the internet" if wild else "the host that it contacted"
    where = "on the gateway itself, where its own services listen"
    found: list[str] = []
    if names:
        found.append(f"{who} may open the port that a helper ({names}) announces, {where}")
    elif not own:
        later = "once a connection of the gateway itself gets the helper"
        found.append(f"{who} may open the port that a helper ({listed(view.helpers)}) announces, {where}, {later}")
    if asking:
        network = "any host of a network that a program on the gateway asks by broadcast"
        found.append(f"{network} may send to the program's port ({asking})")
    return "; ".join(found)
