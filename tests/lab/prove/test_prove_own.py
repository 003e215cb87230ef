"""The gateway's own connections: a helper that they get opens the gateway where its input accepts RELATED."""

from __future__ import annotations

import pytest

from conntap.lab.prove import prove
from conntap.lab.prove.model import OWN
from proof_rules import gateway_of, sides_of

RULES = """
table inet fw {{
    ct helper irc {{ type "irc" protocol tcp; l3proto ip; }}
    ct helper ftp {{ type "ftp" protocol tcp; }}
    chain own {{ type filter hook output priority filter; policy accept;
        tcp dport 6667 ct helper set "irc"
        tcp dport 21 ct helper set "ftp"; }}
    chain input {{ type filter hook input priority filter; policy drop;
        ct state established accept
        {related}; }}
    chain forward {{ type filter hook forward priority filter; policy drop; iifname "lan" oifname "wan" accept; }}
}}
"""


@pytest.mark.parametrize(
    ("related", "irc", "ftp"),
    [
        ("ct state related accept", ("open", "open"), ("open", "closed")),
        ("ct state related meta l4proto icmp accept", ("closed", "closed"), ("closed", "closed")),
        ('ct state related ct helper "ftp" accept', ("closed", "closed"), ("open", "closed")),
        ('iifname "wan" accept', ("anyway", "anyway"), ("anyway", "anyway")),
    ],
)
def test_who_reaches_the_gateway(related, irc, ftp):
    """Its server and a third party, at a low and at a high port alike."""
    gateway = gateway_of(RULES.format(related=related))
    proof = prove(gateway, sides_of(gateway))
    assert proof.refused == ""
    assert {row.way.inside for row in proof.rows} == {OWN}
    assert [(row.helper, row.way.nfproto) for row in proof.rows] == [("irc", 4), ("ftp", 4), ("ftp", 6)]
    for row in proof.rows:
        wanted = irc if row.helper == "irc" else ftp
        for low in (True, False):
            assert (row.outcome("server", low=low), row.outcome("third", low=low)) == wanted
