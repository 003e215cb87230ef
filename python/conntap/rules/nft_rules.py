"""Rules of nft's JSON: their conditions and statements in order.

Source: libnftables-json(5); net/netfilter/nft_ct.c (nft_ct_helper_obj_eval) for what a `ct helper` object does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from conntap.rules.model import (
    FIELDS,
    Assign,
    Change,
    Condition,
    Notrack,
    Place,
    Rule,
    Span,
    Translate,
    Unread,
    Verdict,
    VerdictMap,
)
from conntap.rules.nft_match import Matches, Named, Row, UnknownError
from conntap.rules.nft_values import as_dict, as_list, known, values
from conntap.rules.text import expression_text, rule_text, statement_text

if TYPE_CHECKING:
    from conntap.rules.model import Family, Statement

__all__ = ["HelperObject", "Rules"]

#: They let every packet go on as it was, as far as rules here can tell.
NEUTRAL: Final = {"counter", "log", "comment", "flow", "dup", "last", "ct timeout", "ct expectation"}
#: What may be set of a packet without a rule being able to ask for it in words that are understood here.
HARMLESS: Final = {
    *("tcp option", "ip dscp", "ip6 dscp", "ip ecn", "ip6 ecn", "ip ttl", "ip6 hoplimit", "ip6 flowlabel", "ip tos"),
    *("meta priority", "meta nftrace", "meta secmark", "ct event", "ct label", "ct secmark"),
}
#: Some packets go on, and others of equal look do not.
CHANCE: Final = {"limit", "quota", "ct count", "meter"}
CHANGES: Final = {("meta", "mark"): "mark", ("ct", "mark"): "ct_mark", ("ct", "zone"): "ct_zone"}
LAST: Final = 0xFFFFFFFF

Kind = Literal["snat", "dnat", "masquerade", "redirect"]


@dataclass(frozen=True, slots=True)
class HelperObject:
    """`ct helper NAME { type "ftp" protocol tcp; l3proto ip; }`; 0: of any."""

    helper: str
    l4proto: int
    nfproto: int


class Rules:
    """Makes rules of the JSON of one rule set.

    Attributes:
        matches: makes conditions.
        objects: `ct helper` objects by (family, table, name).
    """

    def __init__(
        self, sets: dict[tuple[str, str, str], Named], objects: dict[tuple[str, str, str], HelperObject]
    ) -> None:
        self.matches = Matches(sets)
        self.objects = objects

    def read(self, rule: dict[str, Any], family: Family) -> list[Rule]:
        """A rule. More than one where a condition stands behind a statement, which acts without it."""
        handle = rule.get("handle")
        table, chain = str(rule.get("table")), str(rule.get("chain"))
        handle = handle if isinstance(handle, int) else None
        parts = as_list(rule.get("expr"))
        try:
            texts = [statement_text(part) for part in parts]
            place = Place("nft", family, table, chain, handle, None, rule_text(texts, rule.get("comment")))
            if not isinstance(rule.get("expr"), list):
                return [_not_understood(place, "a rule without a list of expressions")]
            return self._parts(parts, texts, place)
        except RecursionError:
            place = Place("nft", family, table, chain, handle)
            return [_not_understood(place, "expressions within expressions without end")]

    def _parts(self, parts: list[Any], texts: list[str], place: Place) -> list[Rule]:
        rules: list[Rule] = []
        conditions: list[Condition] = []
        statements: list[Statement] = []
        for part, text in zip(parts, texts):
            asked, done = self._part(part, text, place)
            asked = [condition for condition in asked if condition not in conditions]
            if asked and _changed(statements) & {field for condition in conditions for field in condition.fields}:
                statements += asked  # what was asked before would be answered differently now
            elif asked:
                if statements:
                    rules.append(Rule(place, tuple(conditions), tuple(statements)))
                    statements = []
                conditions += asked
            statements += done
        return [*rules, Rule(place, tuple(conditions), tuple(statements))]

    def _part(self, part: object, text: str, place: Place) -> tuple[list[Condition], list[Statement]]:
        """The conditions and statements of one expression; conditions come first."""
        found = as_dict(part)
        if len(found) != 1:
            return [Condition((), text=text)], [Unread(text)]
        [(kind, inner)] = found.items()
        about = as_dict(inner)
        match kind:
            case "match":
                return self.matches.conditions(about, text, place.family, place.table), []
            case "accept" | "drop" | "return" | "continue" | "reject" | "queue":
                return [], [Verdict(kind)]
            case "jump" | "goto":
                return [], [Verdict(kind, str(about.get("target")))]
            case "vmap":
                return self._verdict_map(about, place, text)
            case "notrack":
                return [], [Notrack()]
            case "snat" | "dnat" | "masquerade" | "redirect":
                asked, done = _translation(kind, about, place.family)
                return [*asked, *self._mapped(about.get("addr"), place), *self._mapped(about.get("port"), place)], done
            case "mangle":
                return self._mapped(about.get("value"), place), _change(about, text)
            case "ct helper":
                return self._assign(inner, place, text)
            case "set" | "map":
                chance = any(CHANCE & set(as_dict(done)) for done in as_list(about.get("stmt")))
                return ([_by_chance(text)], []) if chance else ([], [])
            case "xt" if about.get("type") == "match":
                return [Condition((), text=text)], []
            case "xt" if about.get("type") != "target":  # older nft does not tell which
                return [Condition((), text=text)], [Unread(text)]
            case _ if kind in CHANCE:
                return [_by_chance(text)], []
            case _ if kind in NEUTRAL:
                return [], []
            case _:
                return [], [Unread(text)]

    def _verdict_map(self, about: dict[str, Any], place: Place, text: str) -> tuple[list[Condition], list[Statement]]:
        try:
            lefts, rows, grows = self.matches.rows(about.get("key"), about.get("data"), place.family, place.table)
            entries = tuple((row, _verdict(value)) for row, value in rows)
        except UnknownError:
            return [], [Unread(text)]
        implied = list(dict.fromkeys(condition for left in lefts for condition in left.implied))
        return implied, [VerdictMap(tuple(left.field for left in lefts), entries, grows, text)]

    def _assign(self, inner: object, place: Place, text: str) -> tuple[list[Condition], list[Statement]]:
        if isinstance(inner, str):
            found = self._object(inner, place)
            if found is None:
                return [], [Unread(f"{text} (there is no such object)")]
            return [], [Assign(found.helper, found.l4proto, found.nfproto)]
        mapped = as_dict(as_dict(inner).get("map"))
        try:
            lefts, rows, _ = self.matches.rows(mapped.get("key"), mapped.get("data"), place.family, place.table)
        except UnknownError:
            return [], [Unread(text)]
        by: list[tuple[Row, str, int, int]] = []
        for row, name in rows:
            found = self._object(str(name), place)
            if found is None:
                return [], [Unread(f"{text} (there is no object '{name}')")]
            by.append((row, found.helper, found.l4proto, found.nfproto))
        implied = list(dict.fromkeys(condition for left in lefts for condition in left.implied))
        return implied, [Assign(keys=tuple(left.field for left in lefts), by=tuple(by))]

    def _mapped(self, value: object, place: Place) -> list[Condition]:
        """A value out of a map: what is not in it goes on with the next rule."""
        mapped = as_dict(as_dict(value).get("map"))
        if not mapped:
            return []
        text = expression_text(value)
        try:
            lefts, rows, grows = self.matches.rows(mapped.get("key"), mapped.get("data"), place.family, place.table)
        except UnknownError:
            return [Condition((), text=text)]
        implied = dict.fromkeys(condition for left in lefts for condition in left.implied)
        return [
            *implied,
            Condition(tuple(left.field for left in lefts), tuple(row for row, _ in rows), grows=grows, text=text),
        ]

    def _object(self, name: str, place: Place) -> HelperObject | None:
        return self.objects.get((place.family, place.table, name))


def _not_understood(place: Place, text: str) -> Rule:
    return Rule(place, (Condition((), text=text),), (Unread(text),))


def _by_chance(text: str) -> Condition:
    return Condition((), chance=True, text=text)


def _changed(statements: list[Statement]) -> set[str]:
    """Fields that statements change."""
    changed = {done.field for done in statements if isinstance(done, Change)}
    if any(isinstance(done, Notrack) for done in statements):
        changed |= {"ct_state"}
    if any(isinstance(done, Unread) for done in statements):
        changed |= set(FIELDS)
    return changed


def _verdict(value: object) -> Verdict:
    found = as_dict(value)
    if len(found) == 1:
        [(kind, inner)] = found.items()
        if kind in ("accept", "drop", "return", "continue"):
            return Verdict(kind)
        if kind in ("jump", "goto"):
            return Verdict(kind, str(as_dict(inner).get("target")))
    raise UnknownError


def _translation(kind: str, about: dict[str, Any], family: str) -> tuple[list[Condition], list[Statement]]:
    version = {"ip": 4, "ip6": 6}.get(str(about.get("family") or family), 0)
    address: tuple[Any, ...] = ()
    for written in ("ip", "ip6"):
        address = address or values(written, about.get("addr")) or ()
    ports = values("port", about.get("port")) or ()
    [span] = ports or (None,)
    assert kind in get_args(Kind)
    statement = Translate(cast("Kind", kind), address, span if isinstance(span, Span) else None)
    if family == "inet" and version:
        asked = Condition(("nfproto",), (((Span(version, version),),),), text=f"meta nfproto ipv{version}")
        return [asked], [statement]
    return [], [statement]


def _change(about: dict[str, Any], text: str) -> list[Statement]:
    """`meta mark set …`, `ct mark set …`; what else is set may be anything."""
    key = as_dict(about.get("key"))
    if len(key) != 1:
        return [Unread(text)]
    [(kind, inner)] = key.items()
    named = as_dict(inner)
    name = f"{named.get('protocol')} {named.get('field')}" if kind == "payload" else f"{kind} {named.get('key')}"
    if kind in HARMLESS or name in HARMLESS:
        return []
    field = CHANGES.get((kind, str(named.get("key"))))
    if field is None or "dir" in named:
        return [Unread(text)]
    return [_value(field, about.get("value"))]


def _value(field: str, value: object) -> Change:
    """A number, a copy of another mark, or bits changed: `meta mark & 0xff | 0x100`."""
    number = known("number", value)
    if number is not None:
        return Change(field, number)
    try:
        source, keep, bits = _bitwise(value)
    except UnknownError:
        return Change(field)
    return Change(field, bits, keep, "" if source == field else source)


def _bitwise(value: object) -> tuple[str, int, int]:
    """(field, keep, bits): (field & keep) ^ bits."""
    found = as_dict(value)
    if len(found) != 1:
        raise UnknownError
    [(kind, inner)] = found.items()
    field = CHANGES.get((kind, str(as_dict(inner).get("key"))))
    if field is not None and "dir" not in as_dict(inner):
        return field, LAST, 0
    parts = as_list(inner)
    number = known("number", parts[1]) if len(parts) == 2 else None
    if number is None:
        raise UnknownError
    field, keep, bits = _bitwise(parts[0])
    match kind:
        case "&":
            return field, keep & number, bits & number
        case "|":
            return field, keep & ~number, bits | number
        case "^":
            return field, keep, bits ^ number
        case _:
            raise UnknownError
