"""How findings are made of answers: by the rules that let something in, each once, with all that was let in by it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conntap.audit.finding import Evidence, Reach
from conntap.audit.view import accepting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.audit.view import Opening
    from conntap.rules.model import Rule
    from conntap.rules.packet import Answer, Step

__all__ = ["Group", "by_rule", "evidence", "key_of", "reaches", "rule_text"]


@dataclass
class Group:
    """What one accepting rule (or a chain's policy) lets in.

    Attributes:
        step: the rule.
        where: (nfproto, in, out) that were asked.
        l4protos: of the packets.
        certain: something is accepted for certain.
        doubts: why not.
    """

    step: Step
    where: list[tuple[int, str | None, str | None]] = field(
        default_factory=list[tuple[int, "str | None", "str | None"]]
    )
    l4protos: list[int] = field(default_factory=list[int])
    certain: bool = False
    doubts: list[str] = field(default_factory=list[str])


def by_rule(asked: Iterable[tuple[Answer, int, int, str | None, str | None]]) -> list[Group]:
    """Group answers (with nfproto, l4proto, in, out) by what accepts.

    Answers in which nothing is accepted or unsure are left out.
    """
    groups: dict[tuple[str, str], Group] = {}
    for answer, nfproto, l4proto, iif, oif in asked:
        if not answer.accepted and not answer.unsure:
            continue
        steps = accepting(answer) or [step for step in answer.steps if step.verdict == "unsure"]
        for step in steps:
            group = groups.setdefault((step.chain, str(step.rule.place) if step.rule else ""), Group(step))
            if (nfproto, iif, oif) not in group.where:
                group.where.append((nfproto, iif, oif))
            if l4proto not in group.l4protos:
                group.l4protos.append(l4proto)
            if answer.accepted:
                group.certain = True
            else:
                group.doubts += answer.reasons
    return list(groups.values())


def rule_text(rule: Rule | None, chain: str = "") -> str:
    """A rule as its program writes it."""
    return rule.place.text if rule is not None else f"policy of chain {chain}"


def evidence(step: Step) -> Evidence:
    """A step as evidence."""
    return Evidence(rule_text(step.rule, step.chain), step.rule.place if step.rule else None)


def evidence_of(rule: Rule | None) -> Evidence:
    """A rule as evidence."""
    return Evidence(rule_text(rule), rule.place if rule else None)


def key_of(rule: Rule | None, *more: str, chain: str = "") -> str:
    """What tells a finding from others: table, chain and text of the rule, without handle, line and counters."""
    if rule is None:
        return "/".join([part for part in (chain, *more) if part])
    place = rule.place
    text = re.sub(r"\bpackets \d+ bytes \d+\b|\[\d+:\d+\]", "", place.text)
    return "/".join([place.source, place.family, place.table, place.chain, " ".join(text.split()), *more])


def reaches(openings: Iterable[Opening]) -> tuple[Reach, ...]:
    """What a proof can knock at: by a stranger whom a host inside was made to contact; known servers are none."""
    found = (
        Reach(
            one.helper.name,
            one.nfproto,
            one.expected.l4proto,
            one.outside,
            one.inside,
            tuple((span.first, span.last) for span in one.ports),
            "stranger" if one.wild else "server",
        )
        for one in openings
        if one.ports and one.expected.l4proto in (6, 17) and (one.wild or not one.assignment.servers)
    )
    return tuple(dict.fromkeys(found))
