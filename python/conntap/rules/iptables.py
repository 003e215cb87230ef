"""Rule sets of iptables, as `iptables-save` and `ip6tables-save` print them.

Source: iptables-save(8), iptables-restore(8); priorities: include/uapi/linux/netfilter_ipv4.h. What is not understood
stays in the rule set as a condition or a statement that says so; what is broken is a fault with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.rules.iptables_matches import BASIC, OF_PROTOCOL, asked, owns, protocol, unread
from conntap.rules.iptables_targets import KNOWN, done
from conntap.rules.iptables_words import options_of, words_of
from conntap.rules.model import Chain, Place, Rule, RuleSet, Unread, Verdict

if TYPE_CHECKING:
    from conntap.rules.iptables_words import Option
    from conntap.rules.model import Condition, Hook, Statement

__all__ = ["read_iptables"]

#: table → chain → (hook, priority).
TABLES: Final[dict[str, dict[str, tuple[Hook, int]]]] = {
    "raw": {"PREROUTING": ("prerouting", -300), "OUTPUT": ("output", -300)},
    "mangle": {
        "PREROUTING": ("prerouting", -150),
        "INPUT": ("input", -150),
        "FORWARD": ("forward", -150),
        "OUTPUT": ("output", -150),
        "POSTROUTING": ("postrouting", -150),
    },
    "nat": {
        "PREROUTING": ("prerouting", -100),
        "INPUT": ("input", 100),
        "OUTPUT": ("output", -100),
        "POSTROUTING": ("postrouting", 100),
    },
    "filter": {"INPUT": ("input", 0), "FORWARD": ("forward", 0), "OUTPUT": ("output", 0)},
    "security": {"INPUT": ("input", 50), "FORWARD": ("forward", 50), "OUTPUT": ("output", 50)},
}
COUNTERS: Final = re.compile(r"\[\d+:\d+\]\s*")
#: So many faults are told one by one.
MAX_FAULTS: Final = 20
LONGEST: Final = 60


def read_iptables(text: str, nfproto: int) -> RuleSet:
    """Read what `iptables-save` (*nfproto* 4) or `ip6tables-save` (6) printed.

    Counters are of no matter. A text without tables is a rule set without chains, as both programs print where no rule
    was ever loaded.
    """
    reader = _Reader(nfproto)
    for at, line in enumerate(text.split("\n"), 1):
        reader.line(at, line.strip())
    return reader.end()


@dataclass(slots=True)
class _Made:
    """A chain while it is read."""

    line: int
    policy: str = "-"
    rules: list[Rule] = field(default_factory=list[Rule])


class _Reader:
    def __init__(self, nfproto: int) -> None:
        self.nfproto = nfproto
        self.name = "iptables" if nfproto == 4 else "ip6tables"
        self.tables: dict[str, dict[str, _Made]] = {}
        self.table = ""
        self.since = 0
        self.faults: list[str] = []
        #: Chains that rules go to: (table, chain, line).
        self.goals: list[tuple[str, str, int]] = []

    def fault(self, line: int, what: str) -> None:
        self.faults.append(f"{self.name}-save, line {line}: {what}")

    def line(self, at: int, line: str) -> None:
        """One line, without blanks at its ends."""
        if not line or line.startswith("#"):
            return
        if line.startswith("*"):
            self.begin(at, line[1:].strip())
        elif line == "COMMIT":
            if not self.table:
                self.fault(at, "COMMIT without a table")
            self.table = ""
        elif line[0] not in ":-[":
            self.fault(at, f"not understood: {short(line)}")
        elif not self.table:
            self.fault(at, f"it belongs to no table: {short(line)}")
        elif line.startswith(":"):
            self.chain(at, line)
        else:
            self.rule(at, COUNTERS.sub("", line, count=1) if line.startswith("[") else line)

    def begin(self, at: int, name: str) -> None:
        if self.table:
            self.fault(at, f"table {self.table}, line {self.since}, has no COMMIT")
        if name in self.tables:
            self.fault(at, f"table {name} is there twice")
        if name not in TABLES:
            self.fault(at, f"there is no table {short(name)}")
        self.table, self.since = name, at
        self.tables.setdefault(name, {})

    def chain(self, at: int, line: str) -> None:
        """`:INPUT ACCEPT [0:0]`."""
        name, *rest = line[1:].split()[:3] or [""]
        policy = rest[0] if rest else ""
        own = name in TABLES.get(self.table, {})
        if not name or policy not in (("ACCEPT", "DROP") if own else ("-", "ACCEPT", "DROP")):
            self.fault(at, f"not understood: {short(line)}")
        if name in self.tables[self.table]:
            self.fault(at, f"chain {short(name)} is there twice")
        self.tables[self.table].setdefault(name, _Made(at, policy))

    def rule(self, at: int, line: str) -> None:
        try:
            options, stray = options_of(words_of(line))
        except ValueError as error:
            self.fault(at, f"{error}: {short(line)}")
            return
        first = options[0] if options else None
        if first is None or first.name != "-A" or len(first.values) != 1 or first.negated:
            self.fault(at, f"not a rule as {self.name}-save prints them: {short(line)}")
            return
        chain = first.values[0]
        if chain not in self.tables[self.table]:
            self.fault(at, f"a rule of chain {short(chain)}, which the text does not declare")
            self.tables[self.table][chain] = _Made(at, "-")
        place = Place(
            "iptables" if self.nfproto == 4 else "ip6tables",
            "ip" if self.nfproto == 4 else "ip6",
            self.table,
            chain,
            None,
            at,
            line,
        )
        names = {option.name for option in options}
        if ("-4" in names and self.nfproto == 6) or ("-6" in names and self.nfproto == 4):
            return  # iptables-restore leaves rules of the other IP version out
        self.tables[self.table][chain].rules.append(self.read(place, options[1:], stray))

    def read(self, place: Place, options: list[Option], stray: list[str]) -> Rule:
        """The conditions and statements of a rule's options."""
        conditions: list[Condition] = []
        statements: list[Statement] = []
        groups = grouped(options)
        l4proto = transport(options)
        for kind, name, own in groups:
            if kind == "-m":
                conditions += [one for one in asked(name, own, self.nfproto) if one not in conditions]
            elif kind == "-g" or (name in self.tables[place.table] and name not in TABLES.get(place.table, {})):
                self.goals.append((place.table, name, place.line or 0))
                statements.append(Verdict("goto" if kind == "-g" else "jump", name))
            else:
                statements += self.does(place, name, own, l4proto)
        if stray:
            conditions.append(unread(" ".join(stray)))
        return Rule(place, tuple(conditions), tuple(statements))

    def does(self, place: Place, name: str, own: list[Option], l4proto: int) -> tuple[Statement, ...]:
        if name not in KNOWN:
            if not own:  # chains may be declared further down
                self.goals.append((place.table, name, place.line or 0))
                return (Verdict("jump", name),)
            return (Unread(" ".join(("-j", name, *(str(one) for one in own)))),)
        return done(name, own, l4proto, self.nfproto)

    def end(self) -> RuleSet:
        """What was read."""
        if self.table:
            self.fault(self.since, f"table {self.table} has no COMMIT: part of the text is missing")
        for table, chain, line in self.goals:
            if chain not in self.tables.get(table, {}):
                self.fault(line, f"{short(chain)} is neither a chain of table {table} nor a target that is known")
        chains: dict[tuple[str, str, str, str], Chain] = {}
        for table, made in self.tables.items():
            for name, one in made.items():
                chain = self.made(table, name, one)
                chains[chain.place.source, chain.place.family, table, name] = chain
        faults = self.faults[:MAX_FAULTS]
        if len(self.faults) > MAX_FAULTS:
            faults.append(f"{self.name}-save: and {len(self.faults) - MAX_FAULTS} more faults")
        return RuleSet(chains, tuple(faults))

    def made(self, table: str, name: str, one: _Made) -> Chain:
        source = "iptables" if self.nfproto == 4 else "ip6tables"
        place = Place(source, "ip" if self.nfproto == 4 else "ip6", table, name, None, one.line)
        hook, priority = TABLES.get(table, {}).get(name, ("", 0))
        return Chain(
            place,
            hook,
            table if hook else "",
            priority,
            "drop" if one.policy == "DROP" else "accept",
            tuple(one.rules),
        )


def grouped(options: list[Option]) -> list[tuple[str, str, list[Option]]]:
    """Options by what they belong to: ("-m", match) or ("-j", target), with its own; "" is the rule itself."""
    groups: list[tuple[str, str, list[Option]]] = []
    here: list[Option] | None = None
    at = 0
    for option in options:
        if option.name in ("-m", "-j", "-g"):
            here, at = [], len(groups)
            name = option.values[0] if len(option.values) == 1 and not option.negated else f"{option}"
            groups.append((option.name, name, here))
        elif option.name in BASIC:
            groups.append(("-m", "", [option]))
        elif option.name in ("-c", "-4", "-6"):
            continue
        elif here is None or (option.name in OF_PROTOCOL and not owns(groups[at][1], option.name)):
            groups.append(("-m", "", [option]))  # of the protocol's match, without `-m` or behind another one
        else:
            here.append(option)
    return groups


def transport(options: list[Option]) -> int:
    """The transport protocol that a rule asks for; 0: any, or it cannot be told."""
    for option in options:
        if option.name == "-p" and not option.negated and len(option.values) == 1:
            try:
                return protocol(option.values[0])
            except ValueError:
                return 0
    return 0


def short(text: str) -> str:
    """A piece of a text that may be rubbish, to be printed."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[: LONGEST + 1])
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
