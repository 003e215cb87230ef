"""The wires and addresses of a proof: all interfaces that the rule set names, hosts that fit its networks and sets."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from conntap.audit.sides import STRANGER, names_in_rules
from conntap.lab.prove.model import Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.sides import Sides
    from conntap.gateway.state import Gateway
    from conntap.rules.assigned import Assigned
    from conntap.rules.model import Condition, RuleSet, Span
    from conntap.rules.spans import Spans

__all__ = ["FRIEND", "Link", "first_address", "friends", "links", "ways", "wide_ports"]

#: RFC 5737 and RFC 3849: addresses that nobody has. The third party's is the one that the audit asks about.
FRIEND: Final = {4: "198.51.100.9", 6: "2001:db8:3::9"}
LURES: Final = {
    4: ("203.0.113.66", "203.0.113.200", "198.51.100.200", "192.0.2.200"),
    6: ("2001:db8:ffff::66", "2001:db8:eeee::66", "2001:db8:dddd::66"),
}
#: The gateway's own, where nothing is known: of a range for benchmarks (RFC 2544), which rules hardly name.
OWN: Final = {4: "198.18.0.0/15", 6: "2001:db8:c0de::/48"}
_NAME: Final = re.compile(r"[^\s/:]{1,15}\Z")
#: So many servers that rules name are tried for an honest one.
MAX_FRIENDS: Final = 6
#: A span of addresses up to this size is a server or a few; more is a network.
FEW: Final = 1 << 16
#: Ports of services end here; a span of so many ports is for sessions; so many spans are tried.
LOW, WIDE, MAX_WIDE = 1024, 16, 4
#: Ports that are offered and knocked at in any case lie here.
USUAL: Final = (40000, 45678)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface of the gateway and its addresses, "10.0.0.1/24"."""

    name: str
    addresses: tuple[str, ...]


def links(gateway: Gateway, sides: Sides) -> list[Link]:
    """All interfaces: those that rules name, those that the gateway has, those of the sides."""
    known = {one.name: one.networks for one in gateway.interfaces}
    names = [*sides.outside, *sides.inside, *names_in_rules(gateway.rules), *devices(gateway.texts.get("nft.json", ""))]
    found: list[Link] = []
    for number, name in enumerate(dict.fromkeys(names), start=1):
        if name == "lo" or not _NAME.match(name):
            continue
        addresses = [text for text in known.get(name, ()) if not ipaddress.ip_interface(text).ip.is_link_local]
        for nfproto in (4, 6):
            if not any(ipaddress.ip_interface(text).version == nfproto for text in addresses):
                addresses.append(own_address(name, sides, nfproto, number))
        found.append(Link(name, tuple(addresses)))
    return found


def own_address(name: str, sides: Sides, nfproto: int, number: int) -> str:
    """The gateway's own address on an interface: the first of the network, else one that is made up."""
    if text := sides.network(name, nfproto):
        network = ipaddress.ip_network(text)
        return f"{network.network_address + 1}/{network.prefixlen}"
    if name in sides.inside:
        bits = 24 if nfproto == 4 else 64
        network = ipaddress.ip_network((sides.host(name, nfproto), bits), strict=False)
        return f"{network.network_address + 1}/{bits}"
    network, bits = ipaddress.ip_network(OWN[nfproto]), 24 if nfproto == 4 else 64
    step = 1 << network.max_prefixlen - bits
    return f"{network[number % (network.num_addresses // step) * step + 1]}/{bits}"


def devices(text: str) -> list[str]:
    """Devices that chains and flowtables of nft are bound to: they must be there or nothing loads."""
    try:
        parsed: Any = json.loads(text) if text else {}
    except ValueError:
        return []
    items = cast("list[dict[str, Any]]", cast("dict[str, Any]", parsed).get("nftables", []))
    found: list[str] = []
    for item in items:
        for one in item.values():
            device: Any = cast("dict[str, Any]", one).get("dev") if isinstance(one, dict) else None
            several = cast("list[Any]", device) if isinstance(device, list) else [device]
            found += [name for name in several if isinstance(name, str)]
    return found


def ways(rules: RuleSet, sides: Sides, nfproto: int) -> Iterator[Way]:
    """Every pair of sides, with hosts; the luring server is none that rules name."""
    known = list(named(rules, nfproto))
    lure = next((one for one in LURES[nfproto] if not among(one, known)), LURES[nfproto][0])
    third = str(ipaddress.ip_address(STRANGER[nfproto]))
    for outside, inside in sides.pairs():
        host = str(ipaddress.ip_address(sides.host(inside, nfproto)))
        yield Way(outside, inside, nfproto, host, FRIEND[nfproto], lure, third)


def first_address(spans: Spans | None, nfproto: int, otherwise: str) -> str:
    """*otherwise* where it is among the spans or they are not known, else their first one."""
    if spans is None:
        return otherwise
    number = int(ipaddress.ip_address(otherwise))
    if any(one.first <= number <= one.last for one in spans):
        return otherwise
    for one in spans:
        address = one.first if one.first == one.last else one.first + 1
        if (address >= 1 << 32) == (nfproto == 6):
            return str(ipaddress.ip_address(address))
    return otherwise


def friends(rules: RuleSet, assigned: list[Assigned], way: Way) -> list[str]:
    """Who may be the honest server, likely ones first: servers that get the helper, that rules name, and any."""
    inside = ipaddress.ip_network(f"{way.host}/{24 if way.nfproto == 4 else 64}", strict=False)
    found = [first_address(one.daddrs, way.nfproto, way.friend) for one in assigned]
    found += [address for address in named_servers(rules, way.nfproto) if ipaddress.ip_address(address) not in inside]
    return list(dict.fromkeys([*found, way.friend]))[:MAX_FRIENDS]


def named_servers(rules: RuleSet, nfproto: int) -> Iterator[str]:
    """Addresses that rules allow as destinations: of a network its first host."""
    for span in named(rules, nfproto):
        address = ipaddress.ip_address(span.first + (span.last > span.first))
        if not address.is_multicast and not address.is_loopback:
            yield str(address)


def among(address: str, spans: list[Span]) -> bool:
    """The address is in one of the spans."""
    number = int(ipaddress.ip_address(address))
    return any(one.first <= number <= one.last for one in spans)


def wide_ports(rules: RuleSet) -> list[int]:
    """An even port within each wide span of ports that rules speak of: sessions may be allowed there alone."""
    found = [
        (value.first + (value.last - value.first) // 2) & 0xFFFE
        for condition, column in conditions(rules, "dport")
        for row in condition.rows
        for value in row[column]
        if not isinstance(value, str)
        and value.first >= LOW
        and value.last - value.first >= WIDE
        # Where usual sessions and knocks lie within there is nothing to look for.
        and not (value.first <= USUAL[0] and USUAL[1] <= value.last)
    ]
    return list(dict.fromkeys(found))[:MAX_WIDE]


def named(rules: RuleSet, nfproto: int) -> Iterator[Span]:
    """Destinations that rules name, singly or as networks that are not large."""
    for condition, column in conditions(rules, "daddr"):
        for row in condition.rows:
            for value in row[column]:
                if isinstance(value, str) or value.last - value.first > FEW:
                    continue
                if ipaddress.ip_address(value.first).version == nfproto:
                    yield value


def conditions(rules: RuleSet, field: str) -> Iterator[tuple[Condition, int]]:
    """All conditions that ask for a field, not negated, and the field's column."""
    for chain in rules.chains.values():
        for rule in chain.rules:
            for condition in rule.conditions:
                if field in condition.fields and not condition.negated:
                    yield condition, condition.fields.index(field)
