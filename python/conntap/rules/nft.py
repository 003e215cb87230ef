"""Rule sets of nftables, as `nft -j list ruleset` prints them.

Source: libnftables-json(5). Written for nft 1.0 and 1.1; what another one prints that is not known here stays in the
rule set as not understood.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from conntap.errors import UsageError
from conntap.rules.model import Chain, Family, Hook, Place, RuleSet
from conntap.rules.nft_match import Named
from conntap.rules.nft_rules import HelperObject, Rules
from conntap.rules.nft_values import PROTOCOLS, as_dict, as_list

if TYPE_CHECKING:
    from conntap.rules.model import Rule

__all__ = ["read_nft"]

HINT: Final = "make it with: nft -j list ruleset > FILE"
FAMILIES: Final = frozenset(get_args(Family))
HOOKS: Final = frozenset(get_args(Hook)) - {""}
VERSIONS: Final = {"ip": 4, "ip6": 6, "ipv4": 4, "ipv6": 6}
#: Names of priorities, as older programs print them.
PRIORITIES: Final = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
#: Flags of tables that do not matter to what a packet meets.
TABLE_FLAGS: Final = frozenset({"owner", "persist"})
#: What else a rule set is made of; it acts on no packet by itself.
OTHERS: Final = frozenset(
    (
        *("metainfo", "table", "counter", "quota", "limit", "flowtable", "ct timeout", "ct expectation", "secmark"),
        *("synproxy", "element", "tunnel"),
    )
)

Json = dict[str, Any]
Key = tuple[str, str, str]


def read_nft(text: str) -> RuleSet:
    """Read the JSON of nft.

    Raises:
        UsageError: this is no such text.
    """
    faults: list[str] = []
    return _Reader(_listed(text, faults), faults).ruleset()


def _listed(text: str, faults: list[str]) -> list[Any]:
    """The items of the rule set; of half a text those that are whole, and a fault."""
    try:
        listed: object = as_dict(json.loads(text)).get("nftables")
    except RecursionError as error:
        raise UsageError("no rule set of nft: brackets within brackets without end", hint=HINT) from error
    except ValueError as error:
        return _salvaged(text, error, faults)
    if not isinstance(listed, list):
        raise UsageError('no rule set of nft: it has no list "nftables"', hint=HINT)
    return cast("list[Any]", listed)


def _salvaged(text: str, error: ValueError, faults: list[str]) -> list[Any]:
    head, found, rest = text[:200].partition('"nftables"')
    if not found or head.strip() != "{" or not rest.lstrip().startswith(":"):
        raise UsageError(f"no rule set of nft: it is no JSON ({error})", hint=HINT) from error
    decoder = json.JSONDecoder()
    at = text.find("[")
    items: list[Any] = []
    try:
        while 0 <= at < len(text) and text[at] in "[,":
            at += 1
            while at < len(text) and text[at].isspace():
                at += 1
            item, at = decoder.raw_decode(text, at)
            items.append(item)
            while at < len(text) and text[at].isspace():
                at += 1
    except (ValueError, RecursionError):
        pass
    line = text.count("\n", 0, max(at, 0)) + 1
    faults.append(f"line {line}: the text breaks off or is damaged behind its item {len(items)}; the rest is not known")
    return items


class _Reader:
    """The items of a rule set, by what they are."""

    def __init__(self, listed: list[Any], faults: list[str]) -> None:
        self._faults = faults
        self._chains: dict[Key, Json] = {}
        self._rules: dict[Key, list[Json]] = {}
        self._dormant: set[tuple[str, str]] = set()
        self._sets: dict[Key, Named] = {}
        self._objects: dict[Key, HelperObject] = {}
        self._raw_sets: list[Json] = []
        self._elements: dict[Key, list[Any]] = {}
        self._updated: set[Key] = set()
        for number, item in enumerate(listed, 1):
            found = as_dict(item)
            inner = next(iter(found.values()), None)
            if len(found) != 1 or not isinstance(inner, dict):
                self._faults.append(f"item {number} is not one of a rule set: {_short(item)}")
                continue
            [kind] = found
            self._item(number, kind, as_dict(cast("object", inner)))

    def _item(self, number: int, kind: str, inner: Json) -> None:
        match kind:
            case "chain":
                self._chain(number, inner)
            case "rule":
                if "chain" in inner:
                    self._rules.setdefault(_key(inner, "chain"), []).append(inner)
                    self._updates(inner)
                else:
                    self._faults.append(f"item {number}: a rule of no chain: {_short(inner)}")
            case "set" | "map" | "meter":
                self._raw_sets.append(inner)
            case "ct helper":
                self._objects[_key(inner, "name")] = HelperObject(
                    str(inner.get("type")),
                    PROTOCOLS.get(str(inner.get("protocol")), 0),
                    VERSIONS.get(str(inner.get("l3proto")), 0),
                )
            case "table":
                self._table(inner)
            case "element":
                self._elements.setdefault(_key(inner, "name"), []).extend(as_list(inner.get("elem")))
            case _ if kind in OTHERS:
                pass
            case _:
                self._faults.append(f"item {number} is not understood: {kind}")

    def _chain(self, number: int, inner: Json) -> None:
        family = inner.get("family")
        if str(family) not in FAMILIES or not isinstance(inner.get("name"), str):
            self._faults.append(f"item {number} is no chain: {_short(inner)}")
            return
        self._chains[_key(inner, "name")] = inner

    def _updates(self, rule: Json) -> None:
        """Sets that rules add to."""
        for part in as_list(rule.get("expr")):
            found = as_dict(part)
            if "set" not in found and "map" not in found:
                continue
            update = as_dict(found.get("set") or found.get("map"))
            name = update.get("set") or update.get("map")
            if isinstance(name, str):
                self._updated.add((str(rule.get("family")), str(rule.get("table")), name.removeprefix("@")))

    def ruleset(self) -> RuleSet:
        for inner in self._raw_sets:
            key = _key(inner, "name")
            elements = [*as_list(inner.get("elem")), *self._elements.get(key, [])]
            flags = inner.get("flags")
            changes = bool({"dynamic", "timeout"} & {str(flag) for flag in (as_list(flags) or [flags])})
            self._sets[key] = Named(tuple(elements), changes or "timeout" in inner or key in self._updated)
        rules = Rules(self._sets, self._objects)
        chains: dict[tuple[str, str, str, str], Chain] = {}
        for key, inner in self._chains.items():
            found = [rule for raw in self._rules.pop(key, []) for rule in rules.read(raw, cast("Family", key[0]))]
            chains["nft", *key] = self._made(inner, found)
        for family, table, chain in self._rules:
            if family in ("ip", "ip6", "inet"):
                self._faults.append(f"rules of a chain that is not there: table {family} {table}, chain {chain}")
        return RuleSet(chains, tuple(self._faults))

    def _table(self, inner: Json) -> None:
        """Whether it is switched off; nft 1.0.6 prints another word for that flag, then it cannot be told."""
        flags = inner.get("flags", [])
        place = (str(inner.get("family")), str(inner.get("name")))
        for flag in [flags] if isinstance(flags, str) else as_list(flags):
            if flag == "dormant":
                self._dormant.add(place)
            elif flag not in TABLE_FLAGS:
                self._faults.append(f"table {' '.join(place)}: its flag is not understood: {_short(flag)}")

    def _made(self, inner: Json, rules: list[Rule]) -> Chain:
        family = cast("Family", inner["family"])
        table, name = str(inner.get("table")), str(inner["name"])
        place = Place("nft", family, table, name, handle if isinstance(handle := inner.get("handle"), int) else None)
        if "hook" not in inner or (family, table) in self._dormant:
            return Chain(place, rules=tuple(rules))
        hook, policy, kind = inner["hook"], inner.get("policy", "accept"), inner.get("type")
        priority = _priority(inner.get("prio"))
        # What cannot be told of a chain of another family (a new hook of netdev) does not matter to what is followed.
        if family in ("ip", "ip6", "inet"):
            if str(hook) not in HOOKS:
                self._faults.append(f"{place}: its hook is not understood: {_short(hook)}")
            if policy not in ("accept", "drop"):
                self._faults.append(f"{place}: its policy is not understood: {_short(policy)}")
            if priority is None:
                self._faults.append(f"{place}: its priority is not understood: {_short(inner.get('prio'))}")
        return Chain(
            place,
            cast("Hook", hook) if str(hook) in HOOKS else "",
            str(kind) if isinstance(kind, str) else "",
            priority or 0,
            "accept" if policy == "accept" else "drop",
            tuple(rules),
        )


def _priority(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        name, sign, offset = value.replace(" ", "").partition("+" if "+" in value else "-")
        try:
            return PRIORITIES[name] + int(f"{sign}{offset}" or "0") if name in PRIORITIES else int(value)
        except ValueError:
            return None
    return None


def _key(item: Json, name: str) -> Key:
    return str(item.get("family")), str(item.get("table")), str(item.get(name))


def _short(value: object) -> str:
    try:
        text = json.dumps(value, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "…"
    return text if len(text) <= 80 else f"{text[:79]}…"
