"""A rule set as packets meet it: base chains in order, rules, conditions, verdicts; whoever wrote it.

Readers (`nft.py`, `iptables.py`) make it, `follow.py` lets a packet go through it. What a reader does not understand
stays in it as a condition or a statement that says so: nothing is ever left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = [
    "ANY_PORT",
    "FIELDS",
    "Assign",
    "Chain",
    "Change",
    "Condition",
    "Family",
    "Hook",
    "Notrack",
    "Place",
    "Rule",
    "RuleSet",
    "Span",
    "Statement",
    "Translate",
    "Unread",
    "Value",
    "Verdict",
    "VerdictMap",
]

Hook: TypeAlias = Literal["ingress", "prerouting", "input", "forward", "output", "postrouting", ""]
"""Where a base chain is called; "" of a chain that is only jumped to."""

Family: TypeAlias = Literal["ip", "ip6", "inet", "arp", "bridge", "netdev"]

#: What a condition can ask. Values are numbers (spans) or words, as the comment says.
FIELDS: Final = {
    "iifname": "word; a last * stands for any end",
    "oifname": "word, as iifname",
    "iiftype": "number",
    "nfproto": "number: 4 or 6",
    "saddr": "number: the address as an integer, IPv4 and IPv6 told apart by the rule's condition on nfproto",
    "daddr": "number, as saddr",
    "l4proto": "number: 6, 17, 1, 58 …",
    "sport": "number",
    "dport": "number",
    "icmp_type": "number",
    "tcp_flags": "word: `syn,ack` any of them; `syn / syn,ack` of those after the / exactly those before it; `== syn`",
    "ct_state": "word: new, established, related, invalid, untracked",
    "ct_status": "word: expected, seen-reply, assured, confirmed, snat, dnat, dying",
    "ct_helper": "word: the helper's name; of a RELATED packet its master's; a last * stands for any end",
    "ct_protocol": "number: the connection's transport; of an ICMP error that of what it is about",
    "ct_direction": "word: original, reply",
    "ct_mark": "number",
    "ct_zone": "number",
    "ct_original_saddr": "number",
    "ct_original_daddr": "number",
    "ct_original_dport": "number",
    "mark": "number",
    "fib_daddr_type": "word: local, unicast, broadcast, multicast, anycast",
    "fib_saddr_oif": "word: exists, missing (reverse path)",
    "pkttype": "word: unicast, broadcast, multicast, host",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, so that a person finds it.

    Attributes:
        source: "nft", "iptables" or "ip6tables".
        family, table, chain: names as the program prints them.
        handle: of nft; None where there is none.
        line: of the file that was read, from 1; None of a live rule set of nft.
        text: the rule as the program writes it, as well as it can be told.
    """

    source: Literal["nft", "iptables", "ip6tables"]
    family: Family
    table: str
    chain: str
    handle: int | None = None
    line: int | None = None
    text: str = ""

    def __str__(self) -> str:
        where = f"{self.source}: table {self.family} {self.table}, chain {self.chain}"
        if self.handle is not None:
            where += f", handle {self.handle}"
        return where if self.line is None else f"{where}, line {self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Whole numbers from `first` to `last`, both included."""

    first: int
    last: int


Value: TypeAlias = "Span | str"

#: All ports.
ANY_PORT: Final = Span(0, 65535)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule asks of a packet.

    Attributes:
        fields: what is compared; more than one of a concatenation. Empty: not understood, `text` says what stood there.
        rows: alternatives; each has one tuple of values (alternatives, too) for every field. A packet fits when one
            row fits.
        negated: it must not fit.
        grows: the set can change while packets pass (dynamic, with timeouts, by somebody else): what is not in it
            today may be tomorrow. Elements that time out are not in `rows`.
        mask: of one number, these bits alone are compared (`ct mark & 0xff == 1`); None: all.
        chance: it fits some packets of equal look and others not (limit, quota, statistic, hashlimit, recent, time).
        text: as written.
    """

    fields: tuple[str, ...]
    rows: tuple[tuple[tuple[Value, ...], ...], ...] = ()
    negated: bool = False
    grows: bool = False
    chance: bool = False
    text: str = ""
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`accept`, `drop`, `reject`, `queue`, `return`, `continue`, or `jump` and `goto` with their chain (same table)."""

    kind: Literal["accept", "drop", "reject", "queue", "return", "continue", "jump", "goto"]
    chain: str = ""


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A verdict by the packet's own values: the first row that fits; none: the rule does nothing."""

    fields: tuple[str, ...]
    entries: tuple[tuple[tuple[tuple[Value, ...], ...], Verdict], ...]
    grows: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """`ct helper set`, `CT --helper`: the helper (its type, not the object's name), for these connections alone.

    0 stands for all of them. `keys` and `by` are set where a map of these fields decides: each of its entries is
    (row, helper, l4proto, nfproto), the row as of a condition.
    """

    helper: str = ""
    l4proto: int = 0
    nfproto: int = 0
    keys: tuple[str, ...] = ()
    by: tuple[tuple[tuple[tuple[Value, ...], ...], str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Notrack:
    """The packet is not tracked."""


@dataclass(frozen=True, slots=True)
class Translate:
    """`snat`, `dnat`, `masquerade`, `redirect`; address and ports as written, where they are constant."""

    kind: Literal["snat", "dnat", "masquerade", "redirect"]
    addr: tuple[Value, ...] = ()
    ports: Span | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something of the packet or the connection is set: `mark`, `ct_mark`, `ct_zone`.

    Attributes:
        field: what is set.
        value: None: not a constant.
        keep: these bits of the old value stay: new = (old & keep) ^ value.
        copy: "" or the field whose value is taken instead of the old one (`ct mark set meta mark`).
    """

    field: str
    value: int | None = None
    keep: int = 0
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A statement that is not understood. It may do anything to the packet, and end it, too."""

    text: str


#: A condition among statements is asked where it stands; what does not fit goes on with the next rule.
Statement: TypeAlias = "Verdict | VerdictMap | Assign | Notrack | Translate | Change | Unread | Condition"


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must fit, and then statements in order. Counters and logs have no statement."""

    place: Place
    conditions: tuple[Condition, ...] = ()
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain; `hook` is "" where it is only jumped to.

    Attributes:
        place: its own.
        kind: "filter", "nat", "route", "mangle", "raw" …; "" where it is only jumped to.
        priority: lower is earlier. Chains of iptables have their tables': raw −300, mangle −150, nat −100 / 100,
            filter 0, security 50.
        policy: what becomes of a packet at its end.
        rules: in order.
    """

    place: Place
    hook: Hook = ""
    kind: str = ""
    priority: int = 0
    policy: Literal["accept", "drop"] = "accept"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All chains of a gateway, by source, family, table and name; and what could not be read at all.

    Attributes:
        chains: keys are (source, family, table, chain).
        faults: what of the text is broken or missing, in words with its line; then answers are "cannot tell".
    """

    chains: dict[tuple[str, str, str, str], Chain] = field(default_factory=dict[tuple[str, str, str, str], Chain])
    faults: tuple[str, ...] = ()
    #: What `follow` has worked out, kept for the next question; a chain must not be changed any more then.
    memory: dict[object, object] = field(default_factory=dict[object, object], compare=False, repr=False)

    def base(self, hook: Hook, nfproto: int) -> list[Chain]:
        """The base chains that a packet of IPv4 (4) or IPv6 (6) meets at a hook, in the kernel's order."""
        families = {"inet", "ip" if nfproto == 4 else "ip6"}
        found = [chain for chain in self.chains.values() if chain.hook == hook and chain.place.family in families]
        return sorted(found, key=lambda chain: chain.priority)

    def __or__(self, other: RuleSet) -> RuleSet:
        """Both, as where nft and iptables are used side by side."""
        return RuleSet({**self.chains, **other.chains}, (*self.faults, *other.faults))
