"""What rules of nft ask: matches of its JSON as conditions.

Source: libnftables-json(5); nft(8); of bits (`ct state`, `ct status`, `tcp flags`) what nft 1.0.6 makes of each
operator (`nft --debug=netlink`): `in` any of them, `!` none of them, `==` and `!=` the whole value, elements of a set
the whole value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from conntap.rules.model import Condition, Span
from conntap.rules.nft_values import as_dict, as_list, element, known, largest, values

if TYPE_CHECKING:
    from conntap.rules.model import Value
    from conntap.rules.nft_values import Kind

__all__ = ["Left", "Matches", "Named", "Row", "UnknownError"]

Row = tuple[tuple["Value", ...], ...]
#: Names of bits: of one value, or of each element of a set.
Bits = list[frozenset[str]] | frozenset[str]

STATES: Final = ("invalid", "established", "related", "new", "untracked")
STATUSES: Final = {"expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"}
#: ct fields of one direction.
ORIGINAL: Final = {
    "saddr": "ct_original_saddr",
    "daddr": "ct_original_daddr",
    "ip saddr": "ct_original_saddr",
    "ip daddr": "ct_original_daddr",
    "ip6 saddr": "ct_original_saddr",
    "ip6 daddr": "ct_original_daddr",
    "proto-dst": "ct_original_dport",
}
CT: Final[dict[str, tuple[str, Kind]]] = {
    "helper": ("ct_helper", "name"),
    "mark": ("ct_mark", "number"),
    "zone": ("ct_zone", "number"),
    "direction": ("ct_direction", "name"),
    "protocol": ("ct_protocol", "l4proto"),
    "l3proto": ("nfproto", "nfproto"),
    "state": ("ct_state", "name"),
    "status": ("ct_status", "name"),
}
META: Final[dict[str, tuple[str, Kind]]] = {
    "iifname": ("iifname", "name"),
    "oifname": ("oifname", "name"),
    "iif": ("iifname", "index"),
    "oif": ("oifname", "index"),
    "iiftype": ("iiftype", "link"),
    "l4proto": ("l4proto", "l4proto"),
    "nfproto": ("nfproto", "nfproto"),
    "protocol": ("nfproto", "ethertype"),
    "mark": ("mark", "number"),
    "pkttype": ("pkttype", "name"),
}
PAYLOAD: Final[dict[tuple[str, str], tuple[str, Kind]]] = {
    **{(version, end): (end, version) for version in ("ip", "ip6") for end in ("saddr", "daddr")},
    ("ip", "protocol"): ("l4proto", "l4proto"),
    ("ip6", "nexthdr"): ("l4proto", "l4proto"),
    **{
        (transport, port): (port, "port")
        for transport in ("tcp", "udp", "udplite", "sctp", "dccp", "th")
        for port in ("sport", "dport")
    },
    ("icmp", "type"): ("icmp_type", "icmp"),
    ("icmpv6", "type"): ("icmp_type", "icmpv6"),
    ("tcp", "flags"): ("tcp_flags", "name"),
}
#: The IP version (0: either) and the transport (0: any) that a header is of.
HEADERS: Final = {
    "ip": (4, 0),
    "ip6": (6, 0),
    "icmp": (4, 1),
    "igmp": (4, 2),
    "icmpv6": (6, 58),
    "tcp": (0, 6),
    "udp": (0, 17),
    "dccp": (0, 33),
    "esp": (0, 50),
    "ah": (0, 51),
    "comp": (0, 108),
    "sctp": (0, 132),
    "udplite": (0, 136),
}
#: Some packets fit and others of equal look do not.
CHANCES: Final = {"numgen", "jhash", "symhash"}
CHANCE_KEYS: Final = {"random", "time", "hour", "day", "cpu"}


class UnknownError(Exception):
    """Something of a match is not understood."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is compared: a field ("": none of ours), how its values are written, and what it takes for granted."""

    field: str
    kind: Kind = ""
    implied: tuple[Condition, ...] = ()
    chance: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A set or map with a name: its elements, and whether they change while packets pass."""

    elements: tuple[Any, ...]
    grows: bool


def _constant(field: str, number: int, text: str) -> Condition:
    return Condition((field,), (((Span(number, number),),),), text=text)


_VERSIONS: Final = {4: _constant("nfproto", 4, "meta nfproto ipv4"), 6: _constant("nfproto", 6, "meta nfproto ipv6")}
_TRANSPORTS: Final = {
    number: _constant("l4proto", number, f"meta l4proto {name}") for name, (_, number) in HEADERS.items() if number
}


def _implied(lefts: list[Left]) -> list[Condition]:
    found: list[Condition] = []
    for left in lefts:
        found += [condition for condition in left.implied if condition not in found]
    return found


class Matches:
    """Makes conditions of the matches of one rule set.

    Attributes:
        sets: named sets and maps by (family, table, name).
    """

    def __init__(self, sets: dict[tuple[str, str, str], Named]) -> None:
        self.sets = sets
        self._rows: dict[object, tuple[tuple[Row, ...], bool]] = {}

    def conditions(self, match: dict[str, Any], text: str, family: str, table: str) -> list[Condition]:
        """What a match asks, first what it takes for granted. Not understood: a condition that says so."""
        lefts, mask = self._lefts(match, family)
        found = [*lefts[0].implied] if len(lefts) == 1 else _implied(lefts)
        try:
            found += self._asked(lefts, mask, match, (family, table), text)
        except UnknownError:
            found.append(Condition((), chance=any(left.chance for left in lefts), text=text))
        return found

    def rows(
        self, key: object, data: object, family: str, table: str
    ) -> tuple[list[Left], list[tuple[Row, Any]], bool]:
        """The entries of a map: (what is compared, (key, value) in the kernel's order, whether it grows).

        Raises:
            UnknownError: it cannot be read.
        """
        lefts, mask = self._lefts({"left": key}, family)
        if mask is not None or not all(left.field for left in lefts):
            raise UnknownError
        elements, grows = self._elements(data, (family, table))
        entries: list[tuple[Row, Any]] = []
        last: list[tuple[Row, Any]] = []
        for pair in elements:
            parts = as_list(pair)
            if len(parts) != 2:
                raise UnknownError
            value, passing = element(parts[0])
            if passing:
                grows = True
            else:
                (last if value == "*" else entries).append((self._row(lefts, value), parts[1]))
        return lefts, entries + last, grows

    def _lefts(self, match: dict[str, Any], family: str) -> tuple[list[Left], object]:
        """What is compared, and the mask over it (None: none)."""
        left = as_dict(match.get("left"))
        if "concat" in left:
            return [_left(part, family) for part in as_list(left["concat"])], None
        if "&" in left:
            parts = as_list(left["&"])
            if len(parts) == 2:
                return [_left(parts[0], family)], parts[1]
            return [Left("")], None
        return [_left(left, family)], None

    def _asked(
        self, lefts: list[Left], mask: object, match: dict[str, Any], place: tuple[str, str], text: str
    ) -> list[Condition]:
        op, right = match.get("op", "=="), match.get("right")
        if not lefts or not all(left.field for left in lefts) or str(op) not in _OPERATORS:
            raise UnknownError
        field, kind = lefts[0].field, lefts[0].kind
        if len(lefts) == 1 and field in ("ct_state", "ct_status", "tcp_flags"):
            alternatives = self._alternatives(right, place)
            return _bits(field, op, alternatives, None if mask is None else _words(mask), text)
        fields = tuple(left.field for left in lefts)
        negated = op in ("!=", "!")
        if field == "fib_saddr_oif":
            missing = right is False or right in ("0", 0)
            if not isinstance(right, bool) and not missing:
                raise UnknownError
            return [Condition(fields, ((("missing" if missing else "exists",),),), negated, text=text)]
        if op in ("<", ">", "<=", ">="):
            spans = _compared(kind, op, right)
            return [Condition(fields, ((spans,),) if spans else (), text=text, mask=self._mask(kind, mask))]
        rows, grows = self._set(lefts, right, place)
        return [Condition(fields, rows, negated, grows, text=text, mask=self._mask(kind, mask))]

    def _mask(self, kind: Kind, mask: object) -> int | None:
        if mask is None:
            return None
        number = known(kind, mask)
        if number is None or largest(kind) is None:
            raise UnknownError
        return number

    def _set(self, lefts: list[Left], right: object, place: tuple[str, str]) -> tuple[tuple[Row, ...], bool]:
        """The rows of a value, a set or a named set, and whether they grow."""
        named = isinstance(right, str) and right.startswith("@")
        if not named and len(lefts) == 1 and "set" not in as_dict(right):
            return (self._row(lefts, right),), False
        key = (place, right, tuple((left.field, left.kind) for left in lefts))
        if named and key in self._rows:
            return self._rows[key]
        elements, grows = self._elements(right, place)
        rows: list[Row] = []
        for part in elements:
            value, passing = element(part)
            if passing:
                grows = True
            else:
                rows.append(self._row(lefts, value))
        if len(lefts) == 1 and len(rows) > 1:
            rows = [(tuple(value for row in rows for value in row[0]),)]
        found = tuple(rows), grows
        if named:
            self._rows[key] = found
        return found

    def _elements(self, right: object, place: tuple[str, str]) -> tuple[tuple[Any, ...] | list[Any], bool]:
        if isinstance(right, str) and right.startswith("@"):
            named = self.sets.get((*place, right[1:]))
            if named is None:
                raise UnknownError
            return named.elements, named.grows
        found = as_dict(right)
        if "set" in found:
            return as_list(found["set"]) or [found["set"]], False
        return [right], False

    def _row(self, lefts: list[Left], value: object) -> Row:
        if len(lefts) == 1 and lefts[0].field not in ("ct_status", "tcp_flags"):
            found = values(lefts[0].kind, value)
            if found is None:
                raise UnknownError
            return (found,)
        if len(lefts) == 1:
            parts = [value]
        elif value == "*":
            parts = ["*"] * len(lefts)
        else:
            parts = as_list(as_dict(value).get("concat"))
        row = tuple(
            _exact(left, part) if left.field in ("ct_status", "tcp_flags") else values(left.kind, part)
            for left, part in zip(lefts, parts)
        )
        if len(row) != len(lefts) or len(parts) != len(lefts):
            raise UnknownError
        if any(part is None for part in row):
            raise UnknownError
        return tuple(part for part in row if part is not None)

    def _alternatives(self, right: object, place: tuple[str, str]) -> Bits:
        """Bits by name: of one value, or of each element of a set."""
        is_set = "set" in as_dict(right) or (isinstance(right, str) and right.startswith("@"))
        if not is_set:
            return _words(right)
        elements, grows = self._elements(right, place)
        if grows:
            raise UnknownError
        return [_words(part) for part in elements]


_OPERATORS: Final = {"==", "in", "!=", "!", "<", ">", "<=", ">="}


def _left(expression: object, family: str) -> Left:
    found = as_dict(expression)
    if len(found) != 1:
        return Left("")
    [(kind, inner)] = found.items()
    about = as_dict(inner)
    match kind:
        case "payload":
            return _header(str(about.get("protocol")), str(about.get("field")), family)
        case "meta":
            key = str(about.get("key"))
            return Left(*META.get(key, ("", "")), chance=key in CHANCE_KEYS)
        case "ct":
            return _tracked(str(about.get("key")), about.get("dir"), family)
        case "fib":
            flags = {str(flag) for flag in as_list(about.get("flags"))}
            if about.get("result") == "type" and "daddr" in flags and "saddr" not in flags:
                return Left("fib_daddr_type", "name")
            if about.get("result") == "oif" and {"saddr", "iif"} <= flags and "daddr" not in flags:
                return Left("fib_saddr_oif", "name")
            return Left("")
        case _:
            return Left("", chance=kind in CHANCES)


@lru_cache(maxsize=512)
def _header(protocol: str, name: str, family: str) -> Left:
    version, transport = HEADERS.get(protocol, (0, 0))
    implied: list[Condition] = []
    if version and family == "inet":
        implied.append(_VERSIONS[version])
    if transport:
        implied.append(_TRANSPORTS[transport])
    return Left(*PAYLOAD.get((protocol, name), ("", "")), tuple(implied))


def _tracked(key: str, direction: object, family: str) -> Left:
    if direction is None:
        return Left(*CT.get(key, ("", "")))
    if direction != "original" or key not in ORIGINAL:
        return Left("")
    if key == "proto-dst":
        return Left(ORIGINAL[key], "port")
    version = "ip6" if key.startswith("ip6") or (family == "ip6" and " " not in key) else "ip"
    implied = (_VERSIONS[4 if version == "ip" else 6],) if family == "inet" and " " in key else ()
    return Left(ORIGINAL[key], version, implied) if " " in key or family != "inet" else Left("")


def _compared(kind: Kind, op: object, right: object) -> tuple[Span, ...]:
    """`>= 1024` as a span; empty where no number is left."""
    number, last = known(kind, right), largest(kind)
    if number is None or last is None:
        raise UnknownError
    match op:
        case "<":
            first, last = 0, number - 1
        case "<=":
            first, last = 0, number
        case ">":
            first = number + 1
        case _:
            first = number
    return (Span(first, last),) if first <= last else ()


def _words(value: object) -> frozenset[str]:
    """The names of bits: "syn", ["syn", "ack"], {"|": ["syn", "ack"]}; 0 is none."""
    if value == 0 and not isinstance(value, bool):
        return frozenset()
    if isinstance(value, str) and value and not value.startswith("@"):
        return frozenset(value.split(","))
    listed = as_list(as_dict(value).get("|", value))
    if not listed:
        raise UnknownError
    return frozenset[str]().union(*(_words(part) for part in listed))


def _exact(left: Left, value: object) -> tuple[Value, ...]:
    """Bits within a concatenation: the whole value."""
    if left.field != "tcp_flags":
        raise UnknownError
    return (_equal(_words(value)),)


def _equal(words: frozenset[str], mask: frozenset[str] | None = None) -> str:
    value = ",".join(sorted(words)) or "0"
    return f"== {value}" if mask is None else f"{value} / {','.join(sorted(mask))}"


def _bits(field: str, op: object, right: Bits, mask: frozenset[str] | None, text: str) -> list[Condition]:
    if op not in ("in", "!", "==", "!="):
        raise UnknownError
    if field == "ct_state":
        return [_state(op, right, mask, text)]
    if field == "ct_status":
        return _status(op, right, mask, text)
    base = Condition(("tcp_flags",), negated=op in ("!", "!="), text=text)
    if isinstance(right, list):
        return [replace(base, rows=((tuple(_equal(words, mask) for words in right),),))]
    if op in ("in", "!"):
        shown = ",".join(sorted(right & mask if mask is not None else right))
        return [replace(base, rows=(((shown,),),) if shown else ())]
    return [replace(base, rows=(((_equal(right, mask),),),))]


def _state(op: object, right: Bits, mask: frozenset[str] | None, text: str) -> Condition:
    """A packet has exactly one state, so that every operator comes down to a list of them."""
    asked = right if isinstance(right, list) else [right]
    if not frozenset[str]().union(*asked, mask or ()) <= set(STATES):
        raise UnknownError
    found: list[str] = []
    for state in STATES:
        value = frozenset({state}) if mask is None or state in mask else frozenset[str]()
        if op in ("in", "!") and not isinstance(right, list):
            fits = bool(value & right) == (op == "in")
        else:
            fits = (value in asked) == (op in ("==", "in"))
        if fits:
            found.append(state)
    return Condition(("ct_state",), ((tuple(found),),) if found else (), text=text)


def _status(op: object, right: Bits, mask: frozenset[str] | None, text: str) -> list[Condition]:
    """Status has many bits at once: any, none, or with a mask some and not the others."""
    if isinstance(right, list) or not right | (mask or frozenset()) <= STATUSES:
        raise UnknownError
    if op in ("in", "!"):
        words = tuple(sorted(right & mask if mask is not None else right))
        return [Condition(("ct_status",), ((words,),) if words else (), op == "!", text=text)]
    if mask is None or not right <= mask:
        raise UnknownError  # the whole value, whose other bits nobody tells
    if not right:
        return [Condition(("ct_status",), ((tuple(sorted(mask)),),), op == "==", text=text)]
    parts = [Condition(("ct_status",), (((word,),),), word not in right, text=text) for word in sorted(mask)]
    if op == "==":
        return parts
    if len(parts) > 1:
        raise UnknownError
    return [replace(parts[0], negated=not parts[0].negated)]
