"""The words of a rule of iptables, in groups: what stands before the matches, each match, the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Group", "Option", "UnreadableError", "grouped"]

#: Words by which a new group begins.
MATCH: Final = ("-m", "--match")
TARGET: Final = {"-j": "jump", "--jump": "jump", "-g": "goto", "--goto": "goto"}


class UnreadableError(Exception):
    """The words are no rule."""


class Option(NamedTuple):
    """`! --dport 80`: what it is called, its values, whether it is negated."""

    name: str
    values: tuple[str, ...]
    negated: bool = False

    @property
    def value(self) -> str:
        """Its only value; "" where there is none, or several."""
        return self.values[0] if len(self.values) == 1 else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Options that belong together.

    Attributes:
        name: of the match, or of the target; "" of what stands before all matches.
        options: in order.
        text: as written.
        target: "jump" or "goto" of a target.
    """

    name: str
    options: tuple[Option, ...]
    text: str
    target: str = ""


def grouped(words: list[str]) -> list[Group]:
    """The groups of a rule's words.

    Raises:
        UnreadableError: they are none.
    """
    groups: list[Group] = []
    name, target, taken = "", "", list[str]()
    at = 0
    while at < len(words):
        word = words[at]
        if word in MATCH or word in TARGET:
            if at + 1 >= len(words):
                raise UnreadableError(f"nothing behind {word}")
            groups.append(_group(name, target, taken))
            name, target, taken = words[at + 1], TARGET.get(word, ""), []
            at += 2
            continue
        taken.append(word)
        at += 1
    groups.append(_group(name, target, taken))
    return [group for group in groups if group.name or group.options]


def _group(name: str, target: str, words: list[str]) -> Group:
    options: list[Option] = []
    negated = False
    values: list[str] = []
    option = ""

    def close() -> None:
        if option:
            options.append(Option(option, tuple(values), was_negated))

    was_negated = False
    for word in words:
        if word == "!":
            negated = True
        elif word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            close()
            option, values, was_negated, negated = word, [], negated, False
        elif not option:
            raise UnreadableError(f"'{word}' belongs to no option")
        elif negated and not values:  # the older way: --dport ! 80
            values, was_negated, negated = [word], not was_negated, False
        else:
            values.append(word)
    close()
    head = [] if not name else [("-j" if target == "jump" else "-g") if target else "-m", name]
    return Group(name, tuple(options), " ".join([*head, *words]), target)
