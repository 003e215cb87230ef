"""Broadcasts of the gateway itself: a host of the network that was asked answers, and nobody else gets in by that."""

from __future__ import annotations

import pytest

from conntap.audit.run import audit
from conntap.lab.prove import prove
from conntap.lab.prove.fix import prove_fixes
from conntap.lab.prove.model import OWN
from proof_rules import gateway_of, sides_of

RULES = """
table inet fw {{
    ct helper names {{ type "netbios-ns" protocol udp; l3proto ip; }}
    ct helper agents {{ type "snmp" protocol udp; l3proto ip; }}
    chain own {{ type filter hook output priority filter; policy accept;
        {own}
        udp dport 137 ct helper set "names"
        udp dport 161 ct helper set "agents"; }}
    chain input {{ type filter hook input priority filter; policy drop;
        ct state established accept
        {input}; }}
    chain forward {{ type filter hook forward priority filter; policy drop; iifname "lan" oifname "wan" accept; }}
}}
"""
NAMES_ONLY = 'iifname "lan" ct state related ct helper "netbios-ns" udp sport 137 accept'


@pytest.mark.parametrize(
    ("own", "rule", "wanted"),
    [
        ("", "ct state related accept", {"netbios-ns wan": "open", "netbios-ns lan": "works", "snmp lan": "works"}),
        ("", NAMES_ONLY, {"netbios-ns lan": "works", "netbios-ns wan": "closed", "snmp lan": "fails"}),
        ("", "icmp type echo-request accept", {"netbios-ns lan": "fails", "snmp wan": "closed"}),
        ('oifname "wan" drop', "ct state related accept", {"netbios-ns wan": "closed", "netbios-ns lan": "works"}),
        ("", "udp dport 137 accept", {"netbios-ns wan": "anyway", "netbios-ns lan": "works", "snmp lan": "fails"}),
    ],
)
def test_who_answers(own, rule, wanted):
    """By helper and network: inside it is what is wanted, outside it is a neighbour of the gateway."""
    gateway = gateway_of(RULES.format(own=own, input=rule))
    proof = prove(gateway, sides_of(gateway))
    assert proof.refused == ""
    found = {f"{row.helper} {row.way.outside}": row for row in proof.rows if row.way.inside == OWN}
    assert sorted(found) == ["netbios-ns lan", "netbios-ns wan", "snmp lan", "snmp wan"]
    for name, outcome in wanted.items():
        first, third = found[name].cells
        assert (first.who, first.outcome) == ("friend" if name.endswith("lan") else "server", outcome), first
        assert third.who == "third"
        if outcome in ("works", "open") and "dport" not in rule:
            assert first.expectation.startswith(name.partition(" ")[0])
            assert (third.outcome, third.why) == ("closed", "it is not expected from there")


def test_the_fix_keeps_answers_from_inside():
    """A021: the neighbour outside is shut out, and the networks inside answer as before."""
    gateway = gateway_of(RULES.format(own="", input="ct state related accept"))
    sides = sides_of(gateway)
    before = prove(gateway, sides)
    (fix,) = prove_fixes(gateway, sides, audit(gateway, sides).findings, before)
    assert fix.ids == ("A021",)
    assert (fix.good, len(fix.shut), fix.left, fix.lost) == (True, 2, (), ())
