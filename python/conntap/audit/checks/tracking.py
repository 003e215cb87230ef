"""What is not tracked, zones, and what of the rules is not understood (A018, A019, A020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.audit.finder import by_rule, evidence, evidence_of, key_of
from conntap.audit.finding import Evidence, Finding, Fix, Severity
from conntap.audit.sides import words
from conntap.audit.view import ANYBODYS_HELPER, less
from conntap.rules.assigned import untracked as holes
from conntap.rules.model import Change, Unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.view import View
    from conntap.rules.model import Rule
    from conntap.rules.packet import Answer

__all__ = ["colliding_zones", "not_understood", "untracked"]

TCP, UDP = 6, 17


def untracked(view: View) -> Iterator[Finding]:
    """A018: packets that are not tracked get in."""
    for hole in holes(view.gateway.rules):
        if hole.hook == "output":
            continue
        asked: list[tuple[Answer, int, int, str | None, str | None]] = []
        for nfproto in (4, 6) if hole.nfproto == 0 else (hole.nfproto,):
            for l4proto, ports in hole.ports.items():
                for outside, inside in view.pairs:
                    answer, new = (
                        view.packet(outside, inside, nfproto=nfproto, l4proto=l4proto, state=state, ports=tuple(ports))
                        for state in ("untracked", "new")
                    )
                    if answer.accepted and less(answer.accepted, new.accepted):
                        asked.append((answer, nfproto, l4proto, outside, inside))
        for group in by_rule(asked):
            yield Finding(
                "A018",
                "packets that are not tracked are accepted from outside",
                Severity.MEDIUM,
                (evidence_of(hole.rule), evidence(group.step)),
                "a stranger's packet that a rule takes out of tracking goes from "
                f"{group.where[0][1]} to {group.where[0][2]} though no connection was begun from inside",
                Fix(other="limit `notrack` to the interface and the port that need it, or remove it"),
                key=key_of(hole.rule, key_of(group.step.rule, chain=group.step.chain)),
            )


def colliding_zones(view: View) -> Iterator[Finding]:
    """A019: two networks share a zone."""
    zones: dict[int, dict[str, Rule]] = {}
    for chain in view.gateway.rules.chains.values():
        for rule in chain.rules:
            for one in rule.statements:
                if isinstance(one, Change) and one.field == "ct_zone" and one.value:
                    for name in words(rule, "iifname"):
                        zones.setdefault(one.value, {}).setdefault(name, rule)
    for zone, rules in sorted(zones.items()):
        inside = {name: rule for name, rule in rules.items() if name not in view.sides.outside}
        if len(inside) < 2:
            continue
        yield Finding(
            "A019",
            f"zone {zone} holds connections of {' and '.join(inside)}",
            Severity.LOW,
            tuple(dict.fromkeys(evidence_of(rule) for rule in inside.values())),
            f"where {' and '.join(inside)} use the same addresses their connections are taken for one "
            "another: packets of one are established for the other",
            Fix(
                other="give each interface its own zone: `iifname NAME ct zone set NUMBER`, or "
                "`iptables -t raw -A PREROUTING -i NAME -j CT --zone NUMBER`",
            ),
            key=f"zone {zone}",
        )


def not_understood(view: View) -> Iterator[Finding]:
    """A020: the answer depends on what is not understood."""
    rules = view.gateway.rules
    if rules.faults:
        yield Finding(
            "A020",
            "the rule set could not be read as a whole: cannot tell",
            Severity.LOW,
            tuple(Evidence(fault) for fault in rules.faults[:20]),
            "what is open cannot be told: any answer may be wrong",
            Fix(other="give the whole rule set: nft -j list ruleset, iptables-save and ip6tables-save, as root"),
            certain=False,
            doubt=rules.faults[0],
            key="faults",
        )
        return
    yield from unread_assignments(view)
    asked: list[tuple[Answer, int, int, str | None, str | None]] = []
    for nfproto in (4, 6):
        for outside, inside in view.pairs:
            for name in (ANYBODYS_HELPER, *view.helpers) if view.assigned else ():
                for l4proto in (TCP, UDP):
                    answer = view.packet(
                        outside, inside, nfproto=nfproto, l4proto=l4proto, state="related", helper=name
                    )
                    if answer.unsure:
                        asked.append((answer, nfproto, l4proto, outside, inside))
    told: set[str] = set()
    for answer, *_ in asked:
        for step in answer.steps:
            key = key_of(step.rule, chain=step.chain)
            if step.verdict != "unsure" or key in told:
                continue
            told.add(key)
            yield Finding(
                "A020",
                "cannot tell what a rule does",
                Severity.LOW,
                (evidence(step),),
                f"whether packets from outside get in depends on it: {step.why or '; '.join(answer.reasons)}",
                certain=False,
                doubt=step.why or "; ".join(answer.reasons),
                key=key,
            )


def unread_assignments(view: View) -> Iterator[Finding]:
    """Rules that assign a helper in words that are not understood."""
    for chain in view.gateway.rules.chains.values():
        for rule in chain.rules:
            for one in rule.statements:
                if isinstance(one, Unread) and "helper" in one.text:
                    yield Finding(
                        "A020",
                        "cannot tell which helper a rule assigns",
                        Severity.LOW,
                        (evidence_of(rule),),
                        "a helper that is assigned without being known here lets in what it expects",
                        certain=False,
                        doubt=f"not understood: {one.text}",
                        key=key_of(rule, "helper"),
                    )
