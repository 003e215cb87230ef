"""What the gateway's netfilter is told: conntrack on, helpers by port, and a note of each packet's state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.subject import STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["IPV4_ONLY", "LOG_GROUP", "USUAL_HELPERS", "tracking_rules"]


#: The helpers on their registered ports. Automatic assignment is gone since kernel 6.0.
USUAL_HELPERS: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    "ftp": (("tcp", 21),),
    "irc": (("tcp", 6667),),
    "sane": (("tcp", 6566),),
    "pptp": (("tcp", 1723),),
    "Q.931": (("tcp", 1720),),
    "tftp": (("udp", 69),),
    "sip": (("udp", 5060), ("tcp", 5060)),
    "amanda": (("udp", 10080),),
    "RAS": (("udp", 1719),),
    "netbios-ns": (("udp", 137),),
    "snmp": (("udp", 161),),
}

#: Helpers that the kernel registers for IPv4 alone. Source: their nf_conntrack_helper_init and tuple.src.l3num.
IPV4_ONLY: Final = frozenset({"irc", "pptp", "netbios-ns", "snmp"})

#: The nfnetlink_log group that carries one message a packet, with its state as prefix.
LOG_GROUP: Final = 1

# Assignment at priority 0 and never in `forward`: an entry takes a helper only before it is confirmed. The note comes
# last in prerouting: after marks and destination NAT, before anything in `forward` may drop the packet.
_TABLE: Final = """\
table inet parity {{
{objects}
    chain assign {{
        type filter hook prerouting priority 0; policy accept;
{assignments}
    }}
    chain note {{
        type filter hook prerouting priority 1000; policy accept;
{notes}
    }}
}}
"""


def tracking_rules(helpers: Mapping[str, Iterable[tuple[str, int]]], *, note_states: bool) -> str:
    """Return nft text that turns tracking on and attaches *helpers*, and changes nothing else about a packet.

    Args:
        helpers: name as the kernel has it → (protocol, destination port) pairs.
        note_states: also send one nfnetlink_log message a packet, whose prefix is its `ct state`.
    """
    objects: list[str] = []
    assignments: list[str] = []
    for name, places in helpers.items():
        for protocol, port in places:
            for version in (4,) if name in IPV4_ONLY else (4, 6):
                label = f"h{len(objects)}"
                layer3 = "ip" if version == 4 else "ip6"
                objects.append(f'    ct helper {label} {{ type "{name}" protocol {protocol}; l3proto {layer3}; }}')
                assignments.append(f'        meta nfproto ipv{version} {protocol} dport {port} ct helper set "{label}"')
    # One rule that reads the state is what registers the hooks of conntrack.
    notes = ["        ct state invalid continue"]
    if note_states:
        notes = [f'        ct state {state} log prefix "{state}" group {LOG_GROUP}' for state in STATES]
    return _TABLE.format(objects="\n".join(objects), assignments="\n".join(assignments), notes="\n".join(notes))
