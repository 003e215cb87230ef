"""The corpus of rule sets: every planted fault is found, nothing else is claimed, and what is open is told as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conntap.audit.finding import Severity
from conntap.audit.run import audit
from conntap.audit.sides import find_sides
from conntap.gateway.state import Gateway

CORPUS = Path(__file__).resolve().parent.parent / "data/rulesets"
SETS = sorted(path.parent for path in CORPUS.glob("*/expected.toml"))
TEXTS = {
    "nft.json": "rules.nft.json",
    "iptables-save": "iptables-save",
    "ip6tables-save": "ip6tables-save",
    "sysctl": "sysctl",
    "parameters": "parameters",
    "uname": "uname",
    "modules": "modules",
}


def gateway_of(folder):
    return Gateway({name: (folder / file).read_text() for name, file in TEXTS.items() if (folder / file).exists()})


def audited_of(folder):
    expected = tomllib.loads((folder / "expected.toml").read_text())
    gateway = gateway_of(folder)
    net = expected.get("inside_net", ())
    sides = find_sides(
        gateway,
        inside=expected["inside"],
        outside=expected["outside"],
        inside_net=(net,) if isinstance(net, str) else net,
    )
    return expected, audit(gateway, sides)


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_planted_faults_are_found_and_nothing_else(folder):
    expected, audited = audited_of(folder)
    found = {one.id for one in audited.findings if one.severity >= Severity.LOW}
    wanted = set(expected["findings"]) | ({"A020"} if expected.get("unsure") else set())
    assert found == wanted


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_what_is_reached(folder):
    """By the contacted server or anybody (`open`), and by anybody (`open_any`)."""
    expected, audited = audited_of(folder)
    if expected.get("unsure"):
        return  # nothing is claimed
    reaches = [reach for one in audited.findings for reach in one.reach]
    assert by_helper(reaches) == told(expected, "open")
    assert by_helper(reach for reach in reaches if reach.by == "stranger") == told(expected, "open_any")


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_sides_that_are_guessed(folder):
    """Outside is found wherever rules name an interface; inside may be more than the corpus asks about (a DMZ)."""
    _, asked = audited_of(folder)
    guessed = audit(gateway_of(folder))
    if guessed.sides.outside != ("outside0",):
        assert guessed.sides.outside == asked.sides.outside
        assert guessed.sides.inside == ("inside0",) or set(asked.sides.inside) <= set(guessed.sides.inside)
    if guessed.sides.inside == asked.sides.inside:
        assert [one.id for one in guessed.findings] == [one.id for one in asked.findings]


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_a_baseline_tells_findings_apart(folder):
    _, audited = audited_of(folder)
    keys = [(one.id, one.key) for one in audited.findings]
    assert len(set(keys)) == len(keys)


def by_helper(reaches):
    reached = {}
    for reach in reaches:
        reached.setdefault(reach.helper, set()).update(reach.ports)
    return {helper: merged(spans) for helper, spans in reached.items()}


def told(expected, name):
    return {helper: merged(map(span_of, spans)) for helper, spans in expected.get(name, {}).items() if spans}


def span_of(text):
    first, _, last = str(text).partition("-")
    return int(first), int(last or first)


def merged(spans):
    found = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def test_the_corpus_is_there():
    assert len(SETS) >= 40
