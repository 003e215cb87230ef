"""NAT rules of the userspace engine as text for `nft`, so that the kernel's gateway translates alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap.nat import NatRule

__all__ = ["nat_table", "nft_text"]

#: The gateway's devices, by side.
DEVICES: Final = ("r0", "r1")

_LAYER3: Final = {4: "ip", 6: "ip6"}
_PROTOCOLS: Final = {"tcp": 6, "udp": 17, "sctp": 132, "udplite": 136, "icmp": 1, "icmpv6": 58, "gre": 47}
_WITH_PORTS: Final = "{ tcp, udp, udplite, sctp }"
_ADDRESS: Final = re.compile(r"(src|dst) ([0-9a-fA-F.:]+(?:/\d+)?)")
_PORT: Final = re.compile(r"(sport|dport) (\d+(?:-\d+)?)")
_NUMBER: Final = re.compile(r"l4proto (\d+)")


def nft_text(rules: Iterable[NatRule], table: str = "parity_nat") -> str:
    """Write a table with *rules*, of which the kernel takes the first that fits as the engine does.

    Raises:
        UsageError: a filter says more than addresses, ports and protocols joined by `and`, alternatives by `or`.
    """
    chains: dict[bool, list[str]] = {False: [], True: []}
    for rule in rules:
        where = str(rule.where) if rule.where is not None else ""
        for alternative in where.split(" or "):
            chains[rule.source].append(f"{_matches(alternative, rule)} {_target(rule)}")
    return nat_table(table, chains[False], chains[True])


def nat_table(table: str, before: Iterable[str], after: Iterable[str]) -> str:
    """Write a table that translates destinations by the rules *before* routing and sources by those *after* it."""
    lines = [
        f"table inet {table} {{",
        "    chain before {",
        "        type nat hook prerouting priority dstnat; policy accept;",
        *(f"        {rule}" for rule in before),
        "    }",
        "    chain after {",
        "        type nat hook postrouting priority srcnat; policy accept;",
        *(f"        {rule}" for rule in after),
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)


def _matches(alternative: str, rule: NatRule) -> str:
    found = [f"meta nfproto ipv{rule.family}"]
    if rule.interface is not None:
        found.append(f'{"oifname" if rule.source else "iifname"} "{DEVICES[rule.interface]}"')
    terms = [_term(term, rule) for term in alternative.split(" and ") if term]
    if rule.ports is not None and not any(term.startswith("meta l4proto") for term in terms):
        found.append(f"meta l4proto {_WITH_PORTS}")
    # The protocol must be known before a port is looked at.
    return " ".join(found + sorted(terms, key=lambda term: term.startswith("th ")))


def _term(term: str, rule: NatRule) -> str:
    term = term.strip()
    if match := _ADDRESS.fullmatch(term):
        return f"{_LAYER3[rule.family]} {match[1][0]}addr {match[2]}"
    if match := _PORT.fullmatch(term):
        return f"th {match[1]} {match[2]}"
    if term in _PROTOCOLS:
        return f"meta l4proto {_PROTOCOLS[term]}"
    if match := _NUMBER.fullmatch(term):
        return f"meta l4proto {match[1]}"
    raise UsageError(
        f"'{term}' cannot be told to the kernel", hint="a NAT rule may say src, dst, sport, dport and a protocol"
    )


def _target(rule: NatRule) -> str:
    if rule.addresses is None:
        raise UsageError("a rule without an address cannot be told to the kernel")
    first, last = rule.addresses
    text = str(first) if first == last else f"{first}-{last}"
    if rule.ports is not None:
        low, high = rule.ports
        text = f"[{first}]" + ("" if first == last else f"-[{last}]") if rule.family == 6 else text
        text += f":{low}" if low == high else f":{low}-{high}"
    words = ["snat" if rule.source else "dnat", _LAYER3[rule.family], "to", text]
    return " ".join([*words, "persistent"] if rule.persistent else words)
