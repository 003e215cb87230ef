"""Which interfaces lead inside and which outside: as told, or guessed from routes, NAT, addresses and names.

How it was guessed is always said.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from conntap.rules.model import Translate, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from conntap.gateway.state import Gateway
    from conntap.rules.model import Rule, RuleSet

__all__ = ["STRANGER", "Sides", "find_sides", "names_in_rules"]

#: A stranger's address; of the nets kept for documentation, so that no rule means it by chance (RFC 5737, RFC 3849).
STRANGER: Final = {4: int(ipaddress.ip_address("203.0.113.99")), 6: int(ipaddress.ip_address("2001:db8:ffff::99"))}
#: So many jumps are gone back.
DEPTH: Final = 4
#: Host number of the inside host that is asked about, within its network.
HOST: Final = 8
OUTSIDE_WORDS: Final = (
    "wan",
    "ppp",
    "outside",
    "ext",
    "internet",
    "inet",
    "uplink",
    "red",
    "pub",
    "dsl",
    "wwan",
    "upstream",
)
INSIDE_WORDS: Final = (
    "lan",
    "inside",
    "int",
    "green",
    "br",
    "home",
    "office",
    "guest",
    "dmz",
    "vlan",
    "docker",
    "virbr",
    "priv",
)
#: What stands for an interface where rules name none: no rule asks for it.
#: A host inside where nothing is known of its network: an address that rules hardly name.
SOMEBODY: Final = {4: int(ipaddress.ip_address("192.168.213.8")), 6: int(ipaddress.ip_address("2001:db8:213::8"))}
NAMELESS: Final = {"inside": "inside0", "outside": "outside0"}


@dataclass(frozen=True, slots=True)
class Sides:
    """The two sides of a gateway.

    Attributes:
        inside, outside: interfaces.
        how: how each was found, in words.
        networks: interface → its networks, as texts.
    """

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    how: tuple[str, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])

    def network(self, interface: str, nfproto: int) -> str:
        """The first network behind an interface, "10.0.0.0/24"; "" where it is not known."""
        for text in self.networks.get(interface, ()):
            network = ipaddress.ip_interface(text).network
            if network.version == nfproto and not network.is_link_local and network.num_addresses > 1:
                return str(network)
        return ""

    def host(self, interface: str, nfproto: int) -> int:
        """The address of a host behind an interface, as an integer; where no network is known one that is made up."""
        if text := self.network(interface, nfproto):
            network = ipaddress.ip_network(text)
            return int(network.network_address) + min(HOST, network.num_addresses - 1)
        return SOMEBODY[nfproto]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(outside, inside), each with each."""
        return ((out, into) for out in self.outside for into in self.inside)


def find_sides(
    gateway: Gateway, *, inside: Sequence[str] = (), outside: Sequence[str] = (), inside_net: Sequence[str] = ()
) -> Sides:
    """Find the sides of a gateway.

    Args:
        gateway: its rules, addresses and routes.
        inside, outside: interfaces that were told.
        inside_net: networks behind the inside interfaces, where no addresses are known.
    """
    rules = gateway.rules
    private, public = by_address(gateway)
    named = names_in_rules(rules)
    every = [*dict.fromkeys([*(one.name for one in gateway.interfaces if one.networks), *named])]
    how: list[str] = []
    if outside:
        how.append(f"outside is {', '.join(outside)}: told")
    else:
        outside, why = guess_outside(gateway, [name for name in every if name not in inside], public)
        how.append(f"outside is {', '.join(outside)}: {why}")
    if inside:
        how.append(f"inside is {', '.join(inside)}: told")
    else:
        inside, why = guess_inside([name for name in every if name not in outside], private)
        how.append(f"inside is {', '.join(inside)}: {why}")
    networks = {one.name: one.networks for one in gateway.interfaces}
    if behind := (tuple(inside_net) or networks_in_rules(rules)):
        networks |= {name: behind for name in inside if not networks.get(name)}
    return Sides(tuple(inside), tuple(outside), tuple(how), networks)


def guess_outside(gateway: Gateway, names: list[str], public: list[str]) -> tuple[list[str], str]:
    """Interfaces that lead outside, and why it is thought so."""
    if found := [*gateway.default_interfaces]:
        return found, "the default route"
    if found := [name for name in translated(gateway.rules) if name in names]:
        return found, "source addresses are translated there"
    if public:
        return public, "it has a public address"
    if found := [name for name in names if name.lower().startswith(OUTSIDE_WORDS)]:
        return found, "its name"
    if len(names) > 1 and (rest := [name for name in names if not name.lower().startswith(INSIDE_WORDS)]):
        return rest[:1], "a guess, the first that rules name (say it with --outside)"
    return [NAMELESS["outside"]], "no interface is known, one that no rule names is taken"


def guess_inside(names: list[str], private: list[str]) -> tuple[list[str], str]:
    """Interfaces that lead inside, and why it is thought so."""
    if found := [name for name in names if name in private]:
        return found, "private addresses"
    if found := [name for name in names if name.lower().startswith(INSIDE_WORDS)]:
        return found, "their names" if len(found) > 1 else "its name"
    if names:
        return names, "the rest"
    return [NAMELESS["inside"]], "no interface is known, one that no rule names is taken"


def by_address(gateway: Gateway) -> tuple[list[str], list[str]]:
    """Interfaces with a private IPv4 address, and those with a public one."""
    private: list[str] = []
    public: list[str] = []
    for one in gateway.interfaces:
        addresses = [ipaddress.ip_interface(text).ip for text in one.networks]
        four = [address for address in addresses if address.version == 4 and not address.is_link_local]
        if any(address.is_global for address in four):
            public.append(one.name)
        elif four:
            private.append(one.name)
    return private, public


def all_rules(rules: RuleSet) -> Iterator[Rule]:
    for chain in rules.chains.values():
        yield from chain.rules


def words(rule: Rule, field_name: str, *, negated: bool = False) -> list[str]:
    """The words that a rule's positive conditions allow for a field; with `negated` those of the others, too."""
    return [
        value
        for condition in rule.conditions
        if (negated or not condition.negated) and field_name in condition.fields
        for row in condition.rows
        for value in row[condition.fields.index(field_name)]
        if isinstance(value, str)
    ]


def names_in_rules(rules: RuleSet) -> list[str]:
    """Interfaces that rules name; of `ppp*` it is `ppp0`."""
    found = (
        name
        for rule in all_rules(rules)
        for which in ("iifname", "oifname")
        for name in words(rule, which, negated=True)
    )
    return list(dict.fromkeys(concrete(name) for name in found if name not in ("lo", "*", "")))


def concrete(name: str) -> str:
    """An interface that a pattern fits."""
    return f"{name[:-1]}0" if name.endswith("*") else name


def translated(rules: RuleSet) -> list[str]:
    """Interfaces at which a rule translates sources: those it names, or those of the jumps that lead to it."""
    found: list[str] = []
    for key, chain in rules.chains.items():
        for rule in chain.rules:
            if any(isinstance(one, Translate) and one.kind in ("snat", "masquerade") for one in rule.statements):
                found += [concrete(name) for name in words(rule, "oifname") or leading(rules, key, 0)]
    return list(dict.fromkeys(found))


def leading(rules: RuleSet, key: tuple[str, str, str, str], depth: int) -> list[str]:
    """Interfaces that jumps to a chain ask for."""
    if depth > DEPTH:
        return []
    found: list[str] = []
    for caller, chain in rules.chains.items():
        if caller[:3] != key[:3]:
            continue
        for rule in chain.rules:
            if any(isinstance(one, Verdict) and one.chain == key[3] for one in rule.statements):
                found += words(rule, "oifname") or leading(rules, caller, depth + 1)
    return found


def networks_in_rules(rules: RuleSet) -> tuple[str, ...]:
    """Private IPv4 networks of which source translation speaks: they are inside."""
    found: list[str] = []
    for rule in all_rules(rules):
        if any(isinstance(one, Translate) and one.kind in ("snat", "masquerade") for one in rule.statements):
            found += networks(rule, "saddr")
    return tuple(dict.fromkeys(found))


def networks(rule: Rule, field_name: str) -> Iterable[str]:
    """The networks that a rule's positive conditions allow for an address of IPv4, if private."""
    for condition in rule.conditions:
        if condition.negated or condition.fields != (field_name,):
            continue
        for (values,) in condition.rows:
            for value in values:
                if isinstance(value, str) or value.last >= 1 << 32:
                    continue
                for network in ipaddress.summarize_address_range(
                    ipaddress.IPv4Address(value.first), ipaddress.IPv4Address(value.last)
                ):
                    if network.is_private and network.num_addresses > 1:
                        yield str(network)
