"""Which connections carry which helper, as rules of a modern kernel say it: explicitly.

assign("ftp=tcp/21")                   one by one
well_known_assignments()               every helper on its registered port, as kernels before 6.0 did
from_ruleset(json_text)                out of `nft -j list ruleset`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from conntap.errors import UsageError
from conntap.helpers.registry import HELPERS, load, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conntap.helpers.base import Helper

__all__ = ["Assignment", "assign", "from_ruleset", "well_known_assignments", "with_children"]

PROTOCOLS: Final = {"tcp": 6, "udp": 17}
#: Helpers that others give to their children.
CHILDREN: Final = {"RAS": ("Q.931", "RAS", "H.245"), "Q.931": ("Q.931", "H.245"), "sip": ("sip",)}


class Assignment(NamedTuple):
    """New connections to a port get a helper.

    Attributes:
        helper: its name.
        l4proto: 6 or 17.
        port: destination port, after destination NAT.
        family: 4, 6, or 0 for both.
    """

    helper: str
    l4proto: int
    port: int
    family: int = 0


def assign(text: str) -> tuple[Assignment, ...]:
    """Read "ftp=tcp/21", "ftp" (its well-known port) or "h323" (which means two helpers).

    Raises:
        UsageError: it does not parse, or there is no such helper.
    """
    word, equals, place = text.partition("=")
    names = resolve(word)
    if not equals:
        return tuple(rule for name in names for rule in _registered(name))
    protocol, slash, port = place.partition("/")
    if protocol not in PROTOCOLS or not slash or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"'{text}' assigns no helper", hint="say NAME=PROTOCOL/PORT, as in --helper ftp=tcp/2121")
    fits = [name for name in names if PROTOCOLS[protocol] in HELPERS[name].l4protos]
    if not fits:
        raise UsageError(f"'{text}': the helper does not read {protocol}")
    return tuple(Assignment(name, PROTOCOLS[protocol], int(port), _family(name)) for name in fits)


def _registered(name: str) -> list[Assignment]:
    entry = HELPERS[name]
    if not entry.port:
        raise UsageError(f"'{name}' has no port of its own", hint=f"say {name}=tcp/PORT")
    return [Assignment(name, l4proto, entry.port, _family(name)) for l4proto in entry.l4protos]


def _family(name: str) -> int:
    families = load(name).families
    return families[0] if len(families) == 1 else 0


def well_known_assignments() -> tuple[Assignment, ...]:
    """Every shipped helper on its registered port."""
    return tuple(rule for name, entry in HELPERS.items() if entry.port for rule in _registered(name))


def with_children(names: Iterable[str], own: Mapping[str, type[Helper]]) -> list[str]:
    """The names, each once, and those that their children will need."""
    found: list[str] = []
    for name in names:
        for needed in (name, *CHILDREN.get(name, ())):
            if needed not in found and (needed in own or needed in HELPERS):
                found.append(needed)
    return found


def from_ruleset(text: str) -> tuple[Assignment, ...]:
    """Read helper assignments out of `nft -j list ruleset`: rules with `ct helper set` and a destination port.

    Raises:
        UsageError: this is no such text, or a rule assigns a helper without naming ports.
    """
    try:
        listed = cast("list[dict[str, Any]]", json.loads(text)["nftables"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("no rule set", hint="make it with: nft -j list ruleset > FILE") from error
    objects = {
        (found["family"], found["table"], found["name"]): found["type"]
        for item in listed
        if (found := item.get("ct helper"))
    }
    rules: list[Assignment] = []
    for item in listed:
        rule = item.get("rule")
        if rule:
            rules += _of_rule(rule, objects)
    return tuple(dict.fromkeys(rules))


def _of_rule(rule: dict[str, Any], objects: dict[tuple[str, str, str], str]) -> list[Assignment]:
    named = next((part["ct helper"] for part in rule["expr"] if "ct helper" in part), None)
    if not isinstance(named, str):
        return []
    helper = objects.get((rule["family"], rule["table"], named), named)
    family = {"ip": 4, "ip6": 6}.get(rule["family"], 0)
    found: list[Assignment] = []
    for part in rule["expr"]:
        match = part.get("match", {})
        left, right = match.get("left", {}), match.get("right")
        if isinstance(left, dict) and left.get("meta", {}).get("key") == "nfproto":
            family = {"ipv4": 4, "ipv6": 6}.get(right, family)
        payload = left.get("payload", {}) if isinstance(left, dict) else {}
        if payload.get("field") == "dport" and payload.get("protocol") in PROTOCOLS:
            ports = _ports(right)
            found += [Assignment(helper, PROTOCOLS[payload["protocol"]], port, family) for port in ports]
    if not found:
        raise UsageError(f"a rule assigns helper '{helper}' and names no destination port (handle {rule['handle']})")
    return [rule._replace(family=rule.family or family) for rule in found]


def _ports(right: Any) -> list[int]:
    if isinstance(right, int):
        return [right]
    if isinstance(right, dict):
        if "range" in right:
            first, last = right["range"]
            return list(range(first, last + 1))
        if "set" in right:
            return [port for part in right["set"] for port in _ports(part)]
    raise UsageError(f"ports that cannot be read in a rule with a helper: {right}")
