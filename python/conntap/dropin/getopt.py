"""GNU `getopt_long` with permutation, as far as its behaviour can be seen from outside.

The standard library's getopt will not do: messages here name `argv[optind - 1]`, and optional arguments are taken
from `argv[optind]`, so the index must move as in the C library, also inside a group of short options.

Source: getopt_long(3), glibc manual "Using Getopt".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .options import Option

__all__ = ["Getopt"]


class Getopt:
    """Walk over `argv` (program name first); words that are no options are moved behind the rest."""

    __slots__ = ("_first", "_last", "_next", "argv", "index", "options", "ordered")

    def __init__(self, argv: list[str], options: Sequence[Option], *, ordered: bool = False) -> None:
        """Begin at the second word; `ordered` stops at the first word that is no option (POSIXLY_CORRECT)."""
        self.argv = argv
        self.options = options
        self.index = 1
        self.ordered = ordered
        self._next = ""  # what is left of a group of short options
        self._first = self._last = 1  # the words skipped so far lie between these

    def step(self) -> tuple[Option | None, str | None] | None:
        """Return the next option and its argument; None at the end.

        An option that is not known, or has a wrong argument, comes as None with the text "?", a missing argument as
        None with the text ":". `word()` then is the word to name in the message.
        """
        if not self._next:
            if not self._advance():
                return None
            word = self.argv[self.index]
            if word.startswith("--"):
                return self._long(word[2:])
            self._next = word[1:]
        return self._short()

    def word(self) -> str:
        """Return the word before the index, which messages name."""
        return self.argv[self.index - 1]

    def optional(self, attached: str | None) -> str | None:
        """Return the optional argument: the next word, if it looks like no option. Attached text is dropped."""
        if attached is not None or self.index >= len(self.argv):
            return None
        word = self.argv[self.index]
        if word[:1] in ("-", "!") and word:
            return None
        self.index += 1
        return word

    def _advance(self) -> bool:
        """Move to the next word that is an option; False when there is none."""
        argv, end = self.argv, len(self.argv)
        self._last = min(self._last, self.index)
        self._first = min(self._first, self.index)
        if not self.ordered:
            self._gather()
            while self.index < end and not _is_option(argv[self.index]):
                self.index += 1
            self._last = self.index
        if self.index < end and argv[self.index] == "--":
            self.index += 1
            if self._first != self._last and self._last != self.index:
                self._exchange()
            elif self._first == self._last:
                self._first = self.index
            self._last = self.index = end
        if self.index >= end:
            if self._first != self._last:
                self.index = self._first
            return False
        return _is_option(argv[self.index])

    def _gather(self) -> None:
        """Put the words skipped before and those read since into order: options first."""
        if self._first != self._last and self._last != self.index:
            self._exchange()
        elif self._last != self.index:
            self._first = self.index

    def _exchange(self) -> None:
        skipped = self.argv[self._first : self._last]
        options = self.argv[self._last : self.index]
        self.argv[self._first : self.index] = options + skipped
        self._first += len(options)
        self._last = self.index

    def _long(self, text: str) -> tuple[Option | None, str | None]:
        self.index += 1
        name, equals, value = text.partition("=")
        option = self._find(name)
        if option is None:
            return None, "?"
        attached = value if equals else None
        if option.long_argument == "none":
            return (None, "?") if equals else (option, None)
        if option.long_argument == "required" and attached is None:
            return self._take(option)
        return option, attached

    def _find(self, name: str) -> Option | None:
        """Find a long option by its name or a prefix that only one option has."""
        found: Option | None = None
        for option in self.options:
            for known in option.longs:
                if known == name:
                    return option
        for option in self.options:
            for known in option.longs:
                if known.startswith(name):
                    if found is not None and found is not option:
                        return None
                    found = option
        return found

    def _short(self) -> tuple[Option | None, str | None]:
        letter, self._next = self._next[0], self._next[1:]
        rest = self._next
        if not rest:
            self.index += 1
        option = next((o for o in self.options if o.letter == letter), None)
        if option is None:
            return None, "?"
        if option.short_argument == "none":
            return option, None
        self._next = ""
        if rest:
            self.index += 1
            return option, rest
        if option.short_argument == "optional":
            return option, None
        return self._take(option)

    def _take(self, option: Option) -> tuple[Option | None, str | None]:
        """Return the option with the next word as its argument, whatever that looks like."""
        if self.index >= len(self.argv):
            return None, ":"
        self.index += 1
        return option, self.argv[self.index - 1]


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-")
