"""Rule sets of the proof's tests, made from text in a kernel: they are what `nft -j list ruleset` prints."""

from __future__ import annotations

import os

from conntap.audit.sides import find_sides
from conntap.gateway.state import Gateway
from conntap.lab.host import Host

#: Helper, transport, port.
HELPERS = (
    ("ftp", "tcp", 21),
    ("tftp", "udp", 69),
    ("irc", "tcp", 6667),
    ("sip", "udp", 5060),
    ("sip", "tcp", 5060),
    ("RAS", "udp", 1719),
    ("Q.931", "tcp", 1720),
    ("amanda", "udp", 10080),
    ("sane", "tcp", 6566),
    ("pptp", "tcp", 1723),
)
#: FTP and IRC for any server; RELATED of IRC alone.
IPTABLES = """\
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -i lan -p tcp -m tcp --dport 6667 -j CT --helper irc
-A PREROUTING -i lan -p tcp -m tcp --dport 21 -j CT --helper ftp
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -m helper --helper irc -j ACCEPT
-A FORWARD -i lan -o wan -j ACCEPT
COMMIT
"""

NAT = 'table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }; }'
EVERYTHING = "ct state related accept"
ERRORS = "ct state related meta l4proto { icmp, icmpv6 } accept"


def rules(related: str, *, helpers=HELPERS, servers: str = "", more: str = "") -> str:
    """All helpers for connections from inside (to some servers), one way to treat RELATED; outward their ports."""
    objects = "".join(
        f'ct helper {name.replace(".", "")}{l4} {{ type "{name}" protocol {l4}; }}\n' for name, l4, _ in helpers
    )
    where = f"ip daddr {servers} " if servers else ""
    assigned = "".join(
        f'iifname "lan" {where}{l4} dport {port} ct helper set "{name.replace(".", "")}{l4}"\n'
        for name, l4, port in helpers
    )
    begun = "".join(f'iifname "lan" oifname "wan" {l4} dport {port} accept\n' for _, l4, port in helpers)
    return f"""
table inet fw {{
    {objects}
    chain helpers {{ type filter hook prerouting priority filter; policy accept;
        {assigned} }}
    chain forward {{ type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established accept
        {related}
        {begun} }}
}}
{more}
"""


def gateway_of(text: str, **texts: str) -> Gateway:
    """A gateway with these rules, as a running one would tell them."""
    host = Host("rules", first=None)
    try:
        host.run(["nft", "-f", "-"], input=text)
        return Gateway({"nft.json": host.run(["nft", "-j", "list", "ruleset"]), **texts})
    finally:
        host.close()


def sides_of(gateway: Gateway):
    return find_sides(gateway, inside=["lan"], outside=["wan"], inside_net=["10.1.2.0/24"])


def processors() -> set[int]:
    return os.sched_getaffinity(0)
