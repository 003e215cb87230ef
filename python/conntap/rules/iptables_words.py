"""Lines of iptables-save in words and options.

Source: iptables-restore(8) and what `iptables-save` prints: words between blanks, double quotes with backslashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Option", "Quoted", "options_of", "words_of"]

#: So many words follow, whatever they look like; of all others those that begin no option.
FOLLOWING: Final = {
    **dict.fromkeys(("--comment", "--log-prefix", "--nflog-prefix", "--ulog-prefix", "--string", "--hex-string"), 1),
    **dict.fromkeys(("--name", "--hashlimit-name", "--bytecode", "--u32", "--helper"), 1),
    **dict.fromkeys(("--tcp-flags", "-c", "--set-counters"), 2),
    "--match-set": 2,
}
BEGINNINGS: Final = ("-", "!")
#: Long and short names of what every rule can ask and do.
LONG: Final = {
    "--append": "-A", "--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s",
    "--destination": "-d", "--dst": "-d", "--in-interface": "-i", "--out-interface": "-o",
    "--jump": "-j", "--goto": "-g", "--match": "-m", "--fragment": "-f", "--set-counters": "-c",
    "--ipv4": "-4", "--ipv6": "-6",
}  # fmt: skip


class Quoted(str):
    """A word in quotes: it begins no option."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Option:
    """`! --dport 21`: its name (the short one where it has one), whether `!` stands before it, what follows."""

    name: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def __str__(self) -> str:
        return " ".join(("!", self.name, *self.values) if self.negated else (self.name, *self.values))


def words_of(line: str) -> list[str]:
    """The words of a line; those in quotes are `Quoted`.

    Raises:
        ValueError: a quote is not closed.
    """
    if '"' not in line:
        return line.split()
    found: list[str] = []
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
                found.append(Quoted("".join(now)) if quoted else "".join(now))
            now, quoted = [], False
        else:
            now.append(letter)
    if inside:
        raise ValueError("a quote is not closed")
    if now or quoted:
        found.append(Quoted("".join(now)) if quoted else "".join(now))
    return found


def options_of(words: list[str]) -> tuple[list[Option], list[str]]:
    """The options of a rule, and words that belong to none."""
    options: list[Option] = []
    stray: list[str] = []
    negated = False
    at = 0
    last = len(words)
    while at < last:
        word = words[at]
        at += 1
        if is_not(word):
            negated = not negated
            continue
        if not begins(word):
            stray.append(str(word))
            continue
        # Old programs write the `!` behind the option.
        if at + 1 < last and is_not(words[at]) and not begins(words[at + 1]):
            negated = not negated
            at += 1
        fixed = FOLLOWING.get(word)
        end = at if fixed is None else min(at + fixed, last)
        while fixed is None and end < last:
            following = words[end]
            if following[:1] in BEGINNINGS and (begins(following) or is_not(following)):
                break
            end += 1
        options.append(Option(LONG.get(word, word), tuple(words[at:end]), negated))
        negated, at = False, end
    if negated:
        stray.append("!")
    return options, stray


def begins(word: str) -> bool:
    """An option begins here. A number is none: `-1`."""
    if word[:1] != "-" or len(word) == 1 or isinstance(word, Quoted):
        return False
    return not word[1:].isdigit() or word in ("-4", "-6")


def is_not(word: str) -> bool:
    """The `!` that turns an option round."""
    return word == "!" and not isinstance(word, Quoted)
