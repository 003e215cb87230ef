"""Lines of iptables-save in words and options.

Source: iptables-restore(8) and what `iptables-save` prints: words between blanks, double quotes with backslashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Option", "Word", "options_of", "words_of"]

#: So many words follow, whatever they look like; of all others those that begin no option.
FOLLOWING: Final = {
    **dict.fromkeys(("--comment", "--log-prefix", "--nflog-prefix", "--ulog-prefix", "--string", "--hex-string"), 1),
    **dict.fromkeys(("--name", "--hashlimit-name", "--bytecode", "--u32", "--helper"), 1),
    **dict.fromkeys(("--tcp-flags", "-c", "--set-counters"), 2),
    "--match-set": 2,
}
#: Long and short names of what every rule can ask and do.
LONG: Final = {
    "--append": "-A", "--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s",
    "--destination": "-d", "--dst": "-d", "--in-interface": "-i", "--out-interface": "-o",
    "--jump": "-j", "--goto": "-g", "--match": "-m", "--fragment": "-f", "--set-counters": "-c",
    "--ipv4": "-4", "--ipv6": "-6",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word; in quotes it begins no option."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """`! --dport 21`: its name (the short one where it has one), whether `!` stands before it, what follows."""

    name: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        return " ".join(("!", self.name, *self.values) if self.negated else (self.name, *self.values))


def words_of(line: str) -> list[Word]:
    """The words of a line.

    Raises:
        ValueError: a quote is not closed.
    """
    found: list[Word] = []
    now: list[str] = []
    inside = quoted = False
    letters = iter(line)
    for letter in letters:
        if inside and letter == "\\":
            now.append(next(letters, ""))
        elif letter == '"':
            inside, quoted = not inside, True
        elif letter.isspace() and not inside:
            if now or quoted:
                found.append(Word("".join(now), quoted))
            now, quoted = [], False
        else:
            now.append(letter)
    if inside:
        raise ValueError("a quote is not closed")
    if now or quoted:
        found.append(Word("".join(now), quoted))
    return found


def options_of(words: list[Word]) -> tuple[list[Option], list[str]]:
    """The options of a rule, and words that belong to none."""
    options: list[Option] = []
    stray: list[str] = []
    negated = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.text == "!" and not word.quoted:
            negated = not negated
            continue
        if not begins(word):
            stray.append(word.text)
            continue
        # Old programs write the `!` behind the option.
        if at < len(words) and words[at] == Word("!") and at + 1 < len(words) and not begins(words[at + 1]):
            negated = not negated
            at += 1
        fixed = FOLLOWING.get(word.text)
        end = at
        while end < len(words) and (end - at < fixed if fixed is not None else not ends(words[end])):
            end += 1
        values = tuple(value.text for value in words[at:end])
        options.append(Option(LONG.get(word.text, word.text), values, negated))
        negated, at = False, end
    if negated:
        stray.append("!")
    return options, stray


def begins(word: Word) -> bool:
    """An option begins here. A number is none: `-1`."""
    return not word.quoted and len(word.text) > 1 and word.text[0] == "-" and not _number(word.text)


def _number(text: str) -> bool:
    return text[1:].isdigit() and text not in ("-4", "-6")


def ends(word: Word) -> bool:
    """The words of an option end before this one."""
    return begins(word) or word == Word("!")
