"""Helpers that a kernel before 6.0 assigns by port: rules with the same effect do it where it is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.audit.assigned import assignments_of
from conntap.audit.known import HELPERS
from conntap.lab.prove.honest import HONEST

if TYPE_CHECKING:
    from conntap.gateway.state import Gateway

__all__ = ["SAID", "automatic_of", "rules_of"]

SAID: Final = (
    "what kernels before 6.0 do by themselves: helpers are assigned by port there (nf_conntrack_helper=1), "
    "here rules do it"
)
TABLE: Final = "conntap_automatic"
WORDS: Final = {6: "tcp", 17: "udp"}


def automatic_of(gateway: Gateway) -> list[tuple[str, int]]:
    """Helper and transport of those that no rule assigns; sessions of them can be played."""
    return [
        (one.helper, one.l4proto)
        for one in assignments_of(gateway)
        if one.rule is None and (one.helper, one.l4proto) in HONEST
    ]


def rules_of(automatic: list[tuple[str, int]]) -> str:
    """Rules that assign them where no rule has: after all others."""
    objects, rules = "", ""
    for number, (helper, l4proto) in enumerate(automatic):
        known, word = HELPERS[helper], WORDS[l4proto]
        only = "l3proto ip;" if known.nfprotos == (4,) else ""
        objects += f'ct helper h{number} {{ type "{helper}" protocol {word}; {only} }}\n'
        rules += f'{word} dport {known.port} ct helper set "h{number}"\n'
    chain = f"chain assigned {{ type filter hook prerouting priority 300; policy accept;\n{rules}}}\n"
    return f"table inet {TABLE} {{\n{objects}{chain}}}\n"
