"""A fix is tried: it closes what was open, and honest sessions go on."""

from __future__ import annotations

import pytest

from conntap.audit.finding import Finding, Fix, Reach, Severity
from conntap.gateway.state import Gateway
from conntap.lab.prove import prove
from conntap.lab.prove.fix import apply, prove_fixes
from proof_rules import EVERYTHING, HELPERS, IPTABLES, gateway_of, rules, sides_of

REACH = (Reach("ftp", 4, 6, "wan", "lan", ((1, 65535),)),)


@pytest.fixture(scope="module")
def ftp():
    """A gateway for FTP alone, any server, RELATED for everything; and the handle of the rule that accepts it."""
    gateway = gateway_of(rules(EVERYTHING, helpers=HELPERS[:1]))
    (rule,) = [rule for chain in gateway.rules.chains.values() for rule in chain.rules if "related" in rule.place.text]
    return gateway, rule.place.handle


def tried(gateway, text):
    sides = sides_of(gateway)
    finding = Finding("A001", "", Severity.HIGH, (), "", Fix(nft=text), REACH)
    (found,) = prove_fixes(gateway, sides, [finding], prove(gateway, sides))
    return found


def test_a_narrow_rule_closes_low_ports_and_keeps_the_session(ftp):
    gateway, handle = ftp
    found = tried(gateway, f"replace rule inet fw forward handle {handle} ct state related tcp dport 1024-65535 accept")
    assert found.good
    assert {text.rpartition(", ")[2] for text in found.shut} == {"low port"}
    assert {text.rpartition(", ")[2] for text in found.left} == {"high port"}
    assert found.lost == ()


def test_a_fix_that_takes_the_session_away_is_none(ftp):
    gateway, handle = ftp
    found = tried(gateway, f"delete rule inet fw forward handle {handle}")
    assert not found.good
    assert found.left == ()
    assert any("active data connection" in text for text in found.lost)
    assert "these honest sessions stop" in str(found)


def test_a_fix_that_does_not_load_is_none(ftp):
    gateway, handle = ftp
    for text in (
        "replace rule inet fw forward handle 9999 accept",
        f"replace rule inet fw forward handle {handle} nonsense",
    ):
        found = tried(gateway, text)
        assert not found.good
        assert found.refused


def test_commands_of_iptables(need):
    """They are given as written, and the trace afterwards speaks of the rules as they are then."""
    need("iptables-nft-restore")
    gateway = Gateway({"iptables-save": IPTABLES})
    sides = sides_of(gateway)
    narrow = "iptables -R FORWARD 2 -p tcp --dport 1024:65535 -m conntrack --ctstate RELATED -j ACCEPT"
    finding = Finding("A003", "", Severity.HIGH, (), "", Fix(iptables=narrow), REACH)
    (found,) = prove_fixes(gateway, sides, [finding], prove(gateway, sides))
    assert found.good
    assert {text.rpartition(", ")[2] for text in found.left} == {"high port"}
    after = prove(gateway, sides, change=lambda host: apply(host, gateway, narrow))
    told = {step.text for _, cell in after.open for step in cell.trace if step.text != "policy"}
    (text,) = told
    assert "--dport 1024:65535" in text


def test_a_rule_for_port_forwarding_undoes_a_fix(need):
    """Behind NAT the kernel gives what is expected the status DNAT: the proof finds what a reader may overlook."""
    need("iptables-nft-restore")
    rules = IPTABLES.replace("-A FORWARD -i lan", "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n-A FORWARD -i lan")
    gateway = Gateway({"iptables-save": rules})
    sides = sides_of(gateway)
    finding = Finding("A001", "", Severity.HIGH, (), "", Fix(iptables="iptables -D FORWARD 2"), REACH)
    (found,) = prove_fixes(gateway, sides, [finding], prove(gateway, sides))
    assert not found.good
    assert (found.shut, str(found)) == ((), "the fix of A001 closes nothing that was open here")
