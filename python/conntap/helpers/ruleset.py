"""Helper assignments out of a gateway's own rules: the text of `nft -j list ruleset`.

Source: libnftables-json(5); net/netfilter/nft_ct.c (nft_ct_helper_obj_eval) for what a `ct helper` object does.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, cast

from conntap.errors import UsageError
from conntap.helpers.assign import PROTOCOLS, Assignment, family_of
from conntap.helpers.registry import resolve

__all__ = ["Found", "from_ruleset"]

Json = dict[str, Any]

FAMILIES: Final = {"ip": 4, "ip6": 6, "ipv4": 4, "ipv6": 6}
LAST_PORT: Final = 65535
#: What a rule may ask beside ports without another connection getting the helper.
NEUTRAL: Final = {("ct", "state"), ("meta", "l4proto"), ("meta", "nfproto"), ("ip", "protocol"), ("ip6", "nexthdr")}


class Found(NamedTuple):
    """What a rule set says of helpers.

    Attributes:
        assignments: each once, in the order of the rules.
        faults: what of it cannot be followed here, in words.
    """

    assignments: tuple[Assignment, ...]
    faults: tuple[str, ...]


class Unreadable(Exception):
    """A rule that assigns a helper in a way that cannot be followed."""


class Object(NamedTuple):
    """A `ct helper` object: it acts on connections of this transport and IP version (0: both) alone."""

    helper: str
    l4proto: int
    family: int


def from_ruleset(text: str) -> Found:
    """Read the rules that say `ct helper set`, by destination port or with a map of destination ports.

    Raises:
        UsageError: this is no such text, or no rule in it assigns a helper.
    """
    rules = Ruleset(_listed(text))
    assignments: list[Assignment] = []
    faults: list[str] = []
    for rule in rules.rules:
        try:
            found, ignored = rules.of(rule)
        except Unreadable as error:
            faults.append(f"rule with handle {rule.get('handle')}: {error}")
            continue
        except RecursionError:
            faults.append(f"rule with handle {rule.get('handle')}: sets within sets without end")
            continue
        assignments += found
        if found and ignored:
            faults.append(f"rule with handle {rule.get('handle')}: not looked at: {', '.join(ignored)}")
    if not assignments:
        reason = faults[0] if faults else "no rule says `ct helper set`"
        raise UsageError(f"no helper is assigned: {reason}", hint="say --helper NAME=PROTOCOL/PORT instead")
    return Found(tuple(dict.fromkeys(assignments)), tuple(faults))


def _listed(text: str) -> list[Json]:
    try:
        listed = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError("no rule set of nft", hint="make it with: nft -j list ruleset > FILE") from error
    return [_dict(item) for item in _list(listed)]


class Ruleset:
    """The parts of a rule set that helpers are assigned by."""

    def __init__(self, listed: list[Json]) -> None:
        self.rules = [_dict(item["rule"]) for item in listed if "rule" in item]
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._sets: dict[tuple[str, str, str], object] = {}
        for item in listed:
            if "ct helper" in item:
                found = _dict(item["ct helper"])
                protocol = PROTOCOLS.get(str(found.get("protocol")), 0)
                family = FAMILIES.get(str(found.get("l3proto")), 0)
                self._objects[_place(found, found.get("name"))] = Object(str(found.get("type")), protocol, family)
            elif "set" in item:
                found = _dict(item["set"])
                self._sets[_place(found, found.get("name"))] = {"set": found.get("elem", [])}

    def of(self, rule: Json) -> tuple[list[Assignment], list[str]]:
        """What a rule assigns, and the conditions of it that are not looked at here.

        Raises:
            Unreadable: it assigns in a way that cannot be followed.
        """
        parts = [_dict(part) for part in _list(rule.get("expr"))]
        statement = next((part["ct helper"] for part in parts if "ct helper" in part), None)
        if statement is None:
            return [], []
        family = FAMILIES.get(str(rule.get("family")), 0)
        protocols = set(PROTOCOLS)
        ports: list[int] | None = None
        ignored: list[str] = []
        for match in (_dict(part["match"]) for part in parts if "match" in part):
            where, what = _left(match)
            right = match.get("right")
            if what == "dport" and where in (*PROTOCOLS, "th"):
                ports = self._ports(rule, match)
                protocols &= {where} if where != "th" else protocols
            elif (where, what) in (("meta", "l4proto"), ("ip", "protocol"), ("ip6", "nexthdr")):
                protocols &= {str(word) for word in _elements(right)}
            elif (where, what) == ("meta", "nfproto"):
                family = FAMILIES.get(str(right), family)
            if where in ("ip", "ip6"):
                family = FAMILIES[where]
            if what != "dport" and (where, what) not in NEUTRAL:
                ignored.append(f"{where} {what}".strip())
        numbers = {PROTOCOLS[protocol] for protocol in protocols & set(PROTOCOLS)}
        return list(self._assignments(rule, statement, ports, numbers, family)), ignored

    def _assignments(
        self, rule: Json, statement: object, ports: list[int] | None, l4protos: set[int], family: int
    ) -> list[Assignment]:
        if isinstance(statement, str):
            if ports is None:
                raise Unreadable(f"it assigns '{statement}' and names no destination port")
            pairs = [(port, statement) for port in ports]
        else:
            pairs, l4protos = self._map(rule, statement, l4protos)
        found: list[Assignment] = []
        for port, name in pairs:
            chosen = self._objects.get(_place(rule, name))
            if chosen is None:
                raise Unreadable(f"there is no helper object '{name}'")
            try:
                [helper] = resolve(chosen.helper)
            except (UsageError, ValueError):
                raise Unreadable(f"no helper is called '{chosen.helper}'") from None
            families = {version for version in (family, chosen.family, family_of(helper)) if version}
            if chosen.l4proto in l4protos and len(families) < 2:  # else the kernel assigns nothing either
                found.append(Assignment(helper, chosen.l4proto, port, families.pop() if families else 0))
        return found

    def _map(self, rule: Json, statement: object, l4protos: set[int]) -> tuple[list[tuple[int, str]], set[int]]:
        """`ct helper set tcp dport map { 21 : "name" }`."""
        mapped = _dict(_dict(statement).get("map"))
        where, what = _left({"left": mapped.get("key")})
        if what != "dport" or where not in (*PROTOCOLS, "th"):
            raise Unreadable("it assigns by a map of something other than destination ports")
        pairs: list[tuple[int, str]] = []
        for element in _list(_dict(mapped.get("data")).get("set")):
            match _list(element):
                case [port, str(name)]:
                    pairs += [(number, name) for number in self._numbers(rule, port)]
                case _:
                    raise Unreadable("its map of ports cannot be read")
        return pairs, l4protos & {PROTOCOLS[where]} if where in PROTOCOLS else l4protos

    def _ports(self, rule: Json, match: Json) -> list[int]:
        numbers = self._numbers(rule, match.get("right"))
        match match.get("op"), numbers:
            case "==" | "in", _:
                return numbers
            case ">=", [port]:
                return list(range(port, LAST_PORT + 1))
            case ">", [port]:
                return list(range(port + 1, LAST_PORT + 1))
            case "<=", [port]:
                return list(range(1, port + 1))
            case "<", [port]:
                return list(range(1, port))
            case operator, _:
                raise Unreadable(f"its ports are compared by '{operator}'")

    def _numbers(self, rule: Json, value: object) -> list[int]:
        """Port numbers: one, a range, a set, or a named set."""
        if isinstance(value, bool):
            value = None
        if isinstance(value, int) and 0 <= value <= LAST_PORT:
            return [value]
        if isinstance(value, str) and value.startswith("@"):
            value = self._sets.get(_place(rule, value[1:]))
        found = _dict(value)
        if "set" in found:
            return [port for part in _list(found["set"]) for port in self._numbers(rule, part)]
        match _list(found.get("range")):
            case [int(first), int(last)] if 0 <= first <= last <= LAST_PORT:
                return list(range(first, last + 1))
            case _:
                raise Unreadable("its destination ports cannot be read")


def _place(item: Json, name: object) -> tuple[str, str, str]:
    return (str(item.get("family")), str(item.get("table")), str(name))


def _left(match: Json) -> tuple[str, str]:
    """What is compared: ("tcp", "dport"), ("meta", "iifname")."""
    left = _dict(match.get("left"))
    for kind, inner in left.items():
        named = _dict(inner)
        if kind == "payload":
            return str(named.get("protocol", "")), str(named.get("field", ""))
        return kind, str(named.get("key", ""))
    return "", ""


def _elements(value: object) -> list[Any]:
    found = _dict(value)
    return _list(found["set"]) if "set" in found else [value]


def _dict(value: object) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
