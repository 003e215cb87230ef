"""Rule sets as iptables-save and ip6tables-save print them.

What is not understood stays in as a condition or statement that says so; what is broken is a fault with its line.
Source: iptables-extensions(8); net/netfilter/xt_*.c; priorities: include/uapi/linux/netfilter_ipv4.h.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, Literal

from conntap.rules.iptables_matches import conditions
from conntap.rules.iptables_targets import PROTOCOL, statements
from conntap.rules.iptables_words import UnreadableError, grouped
from conntap.rules.model import Chain, Condition, Place, Rule, RuleSet, Unread, Verdict

if TYPE_CHECKING:
    from conntap.rules.model import Family, Hook

__all__ = ["read_iptables"]

#: Chains that the kernel calls: name → hook.
HOOKS: Final[dict[str, Hook]] = {
    "PREROUTING": "prerouting",
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}
PRIORITIES: Final = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
#: Sources are translated last: these chains of the table nat.
LATE: Final = {"POSTROUTING": 100, "INPUT": 100}

Key = tuple[str, str, str, str]
Source = Literal["iptables", "ip6tables"]


def read_iptables(text: str, nfproto: int) -> RuleSet:
    """Read the text of iptables-save (4) or ip6tables-save (6); comments and counters may stand in it."""
    reader = _Reader(nfproto)
    for number, line in enumerate(text.splitlines(), start=1):
        reader.line(number, line.strip())
    return reader.end()


class _Reader:
    def __init__(self, nfproto: int) -> None:
        self.nfproto = nfproto
        self.source: Source = "iptables" if nfproto == 4 else "ip6tables"
        self.family: Family = "ip" if nfproto == 4 else "ip6"
        self.faults: list[str] = []
        self._table = ""
        self._began = 0
        self._chains: dict[Key, tuple[int, str]] = {}
        self._rules: dict[Key, list[Rule]] = {}

    def line(self, number: int, line: str) -> None:
        """Take in one line."""
        if not line or line.startswith("#"):
            return
        if line.startswith("*"):
            if self._table:
                self._fault(self._began, f"table {self._table} has no COMMIT")
            self._table, self._began = line[1:].strip(), number
            if self._table not in PRIORITIES:
                self._fault(number, f"there is no table '{_shown(self._table)}' of iptables")
        elif not self._table:
            self._fault(number, f"stands in no table: {_shown(line)}")
        elif line == "COMMIT":
            self._table = ""
        elif line.startswith(":"):
            self._declared(number, line)
        else:
            self._rule(number, line)

    def end(self) -> RuleSet:
        """What was read."""
        if self._table:
            self._fault(self._began, f"table {self._table} has no COMMIT: the text ends within it")
        chains: dict[Key, Chain] = {}
        for key, (number, policy) in self._chains.items():
            table, name = key[2], key[3]
            hook = HOOKS.get(name, "")
            priority = LATE.get(name, PRIORITIES["nat"]) if table == "nat" else PRIORITIES.get(table, 0)
            chains[key] = Chain(
                Place(self.source, self.family, table, name, None, number),
                hook,
                table if hook else "",
                priority if hook else 0,
                "drop" if policy == "DROP" else "accept",
                tuple(self._rules.get(key, ())),
            )
        for key, chain in chains.items():
            for rule in chain.rules:
                for done in rule.statements:
                    if isinstance(done, Verdict) and done.chain and (*key[:3], done.chain) not in chains:
                        self._fault(rule.place.line or 0, f"there is no chain '{_shown(done.chain)}'")
        return RuleSet(chains, tuple(self.faults))

    def _declared(self, number: int, line: str) -> None:
        """`:FORWARD DROP [0:0]`, `:mine - [0:0]`."""
        name, policy, *_ = [*line[1:].split(), "", ""]
        if not name or policy not in ("ACCEPT", "DROP", "-", "QUEUE", "RETURN"):
            self._fault(number, f"no chain with a policy: {_shown(line)}")
        if name:
            self._chains[self._key(name)] = (number, policy)

    def _rule(self, number: int, line: str) -> None:
        """`[0:0] -A FORWARD … -j ACCEPT`."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            self._fault(number, f"quotes do not end ({error}): {_shown(line)}")
            return
        if words and words[0].startswith("[") and words[0].endswith("]"):
            del words[0]
        if len(words) < 2 or words[0] not in ("-A", "--append"):
            self._fault(number, f"no rule: {_shown(line)}")
            return
        key = self._key(words[1])
        if key not in self._chains:
            self._fault(number, f"there is no chain '{_shown(words[1])}'")
            self._chains[key] = (number, "-")
        text = line[line.index("-A") :] if "-A" in line else line
        place = Place(self.source, self.family, self._table, words[1], None, number, text)
        self._rules.setdefault(key, []).append(self._parsed(words[2:], place))

    def _parsed(self, words: list[str], place: Place) -> Rule:
        try:
            groups = grouped(words)
        except UnreadableError as error:
            self._fault(place.line or 0, f"{error}: {_shown(place.text)}")
            return Rule(place, (Condition((), text=place.text),), (Unread(place.text),))
        asked: list[Condition] = []
        for group in groups:
            if not group.target:
                asked += conditions(group, self.nfproto)
        transport = next((one for one in asked if one.fields == (PROTOCOL,)), None)
        done = [part for group in groups if group.target for part in statements(group, self.nfproto, transport)]
        return Rule(place, tuple(asked), tuple(done))

    def _key(self, chain: str) -> Key:
        return self.source, self.family, self._table, chain

    def _fault(self, number: int, text: str) -> None:
        self.faults.append(f"{self.source}-save, line {number}: {text}")


def _shown(text: str) -> str:
    """A text that may be anything, as a short one of printable signs."""
    short = text if len(text) <= 80 else f"{text[:77]}..."
    return short.encode("ascii", "backslashreplace").decode()
