"""Chains laid out so that a packet meets only the rules that could fit it: by field, those that cannot, as bits.

Ten thousand rules are asked by many questions that differ in little: what a field's value rules out is worked out once
and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from conntap.rules.fits import PORTS, Absent, fits, fits_ports
from conntap.rules.model import Assign, Notrack, Verdict
from conntap.rules.spans import ALL_PORTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap.rules.fits import Known
    from conntap.rules.model import Chain, Condition, Rule

__all__ = ["Indexed", "places"]

#: How many answers are kept; then all are forgotten.
KEPT: Final = 512
#: With fewer rules left it is faster to ask each for its ports.
MANY: Final = 256

Effect = Literal["accept", "drop", "other"]


class Indexed:
    """A chain.

    Attributes:
        chain: as it was read.
        effects: of each rule, what it does when it fits: the two that decide at once, or anything else.
        left: of each rule, the conditions that are not on one field: ports, several fields.
        noted: rules that assign a helper or say that a packet is not tracked.
    """

    __slots__ = ("_acting", "_answers", "_by_field", "_ports", "_unclear", "chain", "effects", "left", "noted")

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.effects: list[Effect] = []
        self.left: list[tuple[Condition, ...]] = []
        self.noted: set[int] = set()
        self._by_field: dict[str, dict[Condition, list[int]]] = {}
        self._ports: dict[Condition, list[int]] = {}
        self._answers: dict[object, tuple[int, int]] = {}
        acting: list[int] = []
        unclear: list[int] = []
        for at, rule in enumerate(chain.rules):
            self.effects.append(_effect(rule))
            if any(isinstance(done, Assign | Notrack) for done in rule.statements):
                self.noted.add(at)
            if at in self.noted or any(done != Verdict("continue") for done in rule.statements):
                acting.append(at)
            left: list[Condition] = []
            for condition in rule.conditions:
                field = condition.fields[0] if len(condition.fields) == 1 else ""
                if not condition.fields or condition.chance:
                    unclear.append(at)
                elif not field or field in PORTS:
                    left.append(condition)
                    if field == "dport":
                        self._ports.setdefault(condition, []).append(at)
                else:
                    self._by_field.setdefault(field, {}).setdefault(condition, []).append(at)
            self.left.append(tuple(left))
        self._acting = self._bits(acting)
        self._unclear = self._bits(unclear)

    def alive(self, known: Callable[[str], Known], ports: int) -> tuple[int, int]:
        """The rules that a packet to some of *ports* may fit, as bits; and those of them that one field cannot tell."""
        dead, unsure = 0, self._unclear
        for field in self._by_field:
            out, maybe = self._told(field, known(field))
            dead |= out
            unsure |= maybe
        alive = self._acting & ~dead
        if ports != ALL_PORTS and alive.bit_count() > MANY and known("dport") is not None:
            alive &= ~self._beside(ports)
        return alive, unsure & alive

    def _told(self, field: str, known: Known) -> tuple[int, int]:
        """The rules that a value rules out, and those of which it cannot tell."""
        key = (field, "-" if isinstance(known, Absent) else known, type(known))
        found = self._answers.get(key)
        if found is None:
            dead: list[int] = []
            unsure: list[int] = []
            for condition, rules in self._by_field[field].items():
                answer = fits(condition, known)
                if answer is None:
                    unsure += rules
                elif not answer:
                    dead += rules
            found = self._keep(key, (self._bits(dead), self._bits(unsure)))
        return found

    def _beside(self, ports: int) -> int:
        """The rules that ask for other ports."""
        found = self._answers.get(ports)
        if found is None:
            dead: list[int] = []
            for condition, rules in self._ports.items():
                sure, maybe = fits_ports(condition, _any_port)
                if not (sure | maybe) & ports:
                    dead += rules
            found = self._keep(ports, (self._bits(dead), 0))
        return found[0]

    def _keep(self, key: object, found: tuple[int, int]) -> tuple[int, int]:
        if len(self._answers) >= KEPT:
            self._answers.clear()
        self._answers[key] = found
        return found

    def _bits(self, rules: list[int]) -> int:
        if not rules:
            return 0
        made = bytearray(len(self.chain.rules) // 8 + 1)
        for at in rules:
            made[at >> 3] |= 1 << (at & 7)
        return int.from_bytes(made, "little")


def places(bits: int, start: int) -> Iterator[int]:
    """The numbers of the bits that are set, from *start*."""
    bits >>= start
    text = f"{bits:b}"[::-1]
    at = text.find("1")
    while at >= 0:
        yield start + at
        at = text.find("1", at + 1)


def _any_port(field: str) -> Known:
    return 0


def _effect(rule: Rule) -> Effect:
    deciding = [done for done in rule.statements if not isinstance(done, Assign)]
    match deciding:
        case [Verdict(kind="accept")]:
            return "accept"
        case [Verdict(kind="drop" | "reject")]:
            return "drop"
        case _:
            return "other"
