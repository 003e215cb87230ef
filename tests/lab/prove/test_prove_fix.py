"""A fix is tried: it closes what was open, and honest sessions go on."""

from __future__ import annotations

import pytest

from conntap.audit.finding import Finding, Fix, Reach, Severity
from conntap.lab.prove import prove
from conntap.lab.prove.fix import prove_fixes
from proof_rules import EVERYTHING, HELPERS, gateway_of, rules, sides_of

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
