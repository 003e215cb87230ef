"""All rules of a gateway, each once, where nft and iptables stand side by side.

Where iptables writes its rules as nft rules, `nft -j list ruleset` has them too, and tells less of them (its matches
are "xt"). The rules are then taken from iptables-save: a table that nft lists in the families ip and ip6, with a name
and chains of iptables, is left out when iptables-save has a table of that name with the same chains and as many rules
in each. Anything else is kept from both: twice is better than never.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from conntap.rules.model import RuleSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.rules.model import Chain

__all__ = ["HIDDEN", "read_rules", "without_doubles"]

#: The tables that iptables has.
TABLES: Final = frozenset({"raw", "mangle", "nat", "filter", "security"})
HIDDEN: Final = "iptables-legacy tables present"


def read_rules(texts: Mapping[str, str], missing: Mapping[str, str]) -> RuleSet:
    """Read what there is of "nft.json", "iptables-save" and "ip6tables-save".

    Args:
        texts: of a gateway.
        missing: why others could not be had; of nft and of programs that failed that is a fault of the rule set.
    """

    tables = RuleSet()
    for name, nfproto in (("iptables-save", 4), ("ip6tables-save", 6)):
        if text := texts.get(name, ""):
            from conntap.rules.iptables import read_iptables

            tables |= read_iptables(text, nfproto)
            if HIDDEN in text:
                tables = replace(
                    tables,
                    faults=(
                        *tables.faults,
                        f"{name}: there are tables of iptables-legacy beside, which it does not list",
                    ),
                )
    faults = tuple(
        f"{name}: {missing[name]}"
        for name in ("nft.json", "iptables-save", "ip6tables-save")
        if name in missing and not missing[name].startswith("not installed")
    )
    tables = replace(tables, faults=(*tables.faults, *faults))
    if not texts.get("nft.json", ""):
        return tables
    from conntap.rules.nft import read_nft

    return without_doubles(read_nft(texts["nft.json"]), tables) | tables


def without_doubles(nft: RuleSet, tables: RuleSet) -> RuleSet:
    """The rules of nft without those that `tables` of iptables has as well."""
    doubles = {
        table
        for table, chains in by_table(nft).items()
        if table[1] in TABLES and shape(chains) == shape(by_table(tables).get(table, {}))
    }
    if not doubles:
        return nft
    kept = {key: chain for key, chain in nft.chains.items() if (chain.place.family, chain.place.table) not in doubles}
    return RuleSet(kept, nft.faults)


def by_table(rules: RuleSet) -> dict[tuple[str, str], dict[str, Chain]]:
    """(family, table) → chains by name."""
    found: dict[tuple[str, str], dict[str, Chain]] = {}
    for chain in rules.chains.values():
        found.setdefault((chain.place.family, chain.place.table), {})[chain.place.chain] = chain
    return found


def shape(chains: Mapping[str, Chain]) -> dict[str, int]:
    """Chain → how many rules. Hook chains without rules are left out: nft makes them only when they are used."""
    return {name: len(chain.rules) for name, chain in chains.items() if chain.rules or not chain.hook}
