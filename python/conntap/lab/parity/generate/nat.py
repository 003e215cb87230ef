"""The gateway that conversations with translation are made for.

Inside hosts leave with one address; two more outside addresses stand for a server inside. Every conversation has its
own hosts outside, so that no two translated flows ever look alike there and the gateway keeps all ports.
"""

from __future__ import annotations

from typing import Final

from conntap.lab.parity.generate.sites import SERVER, SHIFTED, SHIFTING, SNAT, VIRTUAL, as_text
from conntap.lab.parity.nat_rules import nat_table

__all__ = ["INSIDE", "ruleset"]

INSIDE: Final = {4: "10.0.0.0/8", 6: "2001:db8:1::/64"}
"""All inside addresses but the server's."""

_NAMES: Final = {6: "tcp", 17: "udp"}


def ruleset(right: str, table: str = "parity_nat") -> str:
    """The translation as text for `nft -f`. *right* is the gateway's outside device.

    The gateway itself must own none of the translated addresses, or its own stack would answer for them.
    """
    before: list[str] = []
    after: list[str] = []
    for version, family in ((4, "ip"), (6, "ip6")):
        virtual, shifting, server = (as_text(place[version]) for place in (VIRTUAL, SHIFTING, SERVER))
        for (protocol, port), real in SHIFTED.items():
            target = f"{server}:{real}" if version == 4 else f"[{server}]:{real}"
            before.append(
                f'iifname "{right}" {family} daddr {shifting} {_NAMES[protocol]} dport {port} dnat {family} to {target}'
            )
        before.append(f'iifname "{right}" {family} daddr {{ {virtual}, {shifting} }} dnat {family} to {server}')
        after.append(f'oifname "{right}" {family} saddr {INSIDE[version]} snat {family} to {as_text(SNAT[version])}')
        after.append(f'oifname "{right}" {family} saddr {server} snat {family} to {virtual}')
    return nat_table(table, before, after)
