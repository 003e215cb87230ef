"""The corpus of rule sets on the real kernel: it takes each of them, and prints what was committed.

What iptables writes as rules of nft is read a second time, as `nft -j` shows it: the two never contradict each other.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conntap.lab import kernel
from conntap.rules.follow import follow
from conntap.rules.iptables import read_iptables
from conntap.rules.model import ANY_PORT, Rule, RuleSet
from conntap.rules.nft import read_nft
from conntap.rules.packet import Asked
from conntap.rules.spans import intersect

CORPUS = Path(__file__).resolve().parent.parent / "data/rulesets"
#: Half of one: of iptables the kernel's own programs refuse it, too; of nft the listing was cut.
HALF = {"iptables-half", "nft-listing-cut"}
NFT = sorted(CORPUS.glob("*/rules.nft"))
TABLES = sorted(path for path in CORPUS.glob("*/ip*tables-save") if path.parent.name not in HALF)
VARIANTS = ("nft", "legacy")
END = "--- end of"
# One sandbox for all, a network namespace for each: what the program prints of a rule set, and the end.
LOAD_NFT = """for f; do
    unshare -n sh -c 'nft -f "$0" && nft -j list ruleset' "$f"; echo; echo "--- end of $f"
done"""
LOAD_TABLES = """variant=$1; shift
for f; do
    case $f in *ip6tables-save) name=ip6tables-$variant ;; *) name=iptables-$variant ;; esac
    unshare -n sh -c '
        [ -f "${0%/*}/ipset" ] && ipset restore < "${0%/*}/ipset"
        $1-restore "$0" && $1-save
        case $1 in *-nft) echo "--- as nft"; nft -j list ruleset ;; esac' "$f" $name
    echo "--- end of $f"
done"""


def printed(script: str, *words: str) -> dict[str, str]:
    """What is printed of each file, by its name; nothing where the kernel refuses it."""
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    command = [sys.executable, "-m", "conntap.lab.sandbox", "--", "sh", "-c", script, "load", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Error" not in done.stderr, done.stderr
    found: dict[str, str] = {}
    rest = done.stdout
    while END in rest:
        text, _, rest = rest.partition(END)
        name, _, rest = rest.partition("\n")
        found[name.strip()] = text
    return found


@pytest.fixture(scope="module")
def nft_lists() -> dict[str, str]:
    return printed(LOAD_NFT, *map(str, NFT))


@pytest.fixture(scope="module")
def tables_of() -> dict[str, dict[str, str]]:
    return {}


def without_places(rules: RuleSet) -> dict[object, object]:
    """Chains and rules, without the handles that the kernel gives and the lines of a file."""

    def bare(rule: Rule) -> Rule:
        return replace(rule, place=replace(rule.place, handle=None, line=None))

    return {
        key: (chain.hook, chain.kind, chain.priority, chain.policy, tuple(bare(rule) for rule in chain.rules))
        for key, chain in rules.chains.items()
    }


def objects(text: str) -> list[object]:
    """All objects of a listing but the first, which tells of the program, without handles."""
    return [without_handles(one) for one in json.loads(text)["nftables"] if "metainfo" not in one]


def without_handles(value: object) -> object:
    match value:
        case dict():
            return {key: without_handles(inner) for key, inner in value.items() if key != "handle"}
        case list():
            return [without_handles(inner) for inner in value]
        case _:
            return value


@pytest.mark.parametrize("path", NFT, ids=lambda path: path.parent.name)
def test_nft_lists_what_was_committed(path, nft_lists, need):
    need("nft")
    listed = objects(nft_lists[str(path)])
    committed = (path.parent / "rules.nft.json").read_text()
    assert listed
    if path.parent.name not in HALF:
        assert objects(committed) == listed
        return
    with pytest.raises(json.JSONDecodeError):
        json.loads(committed)
    whole = [json.loads(line.rstrip(",")) for line in committed.splitlines()[2:-1]]
    assert [without_handles(one) for one in whole] == listed[: len(whole)]
    assert 0 < len(whole) < len(listed)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_iptables_save_prints_what_was_committed(path, variant, tables_of, need):
    for program in ("iptables-nft", "iptables-legacy", "ipset"):
        need(program)
    if variant not in tables_of:
        tables_of[variant] = printed(LOAD_TABLES, variant, *map(str, TABLES))
    nfproto = 6 if path.name.startswith("ip6") else 4
    text, _, as_nft = tables_of[variant][str(path)].partition("--- as nft")
    if "*" not in text:
        assert variant == "legacy"
        pytest.skip("the kernel has no iptables-legacy")
    committed, saved = read_iptables(path.read_text(), nfproto), read_iptables(text, nfproto)
    assert committed.faults == saved.faults == ()
    assert without_places(saved) == without_places(committed)
    if as_nft:
        nothing_is_contradicted(saved, read_nft(as_nft), nfproto)


def nothing_is_contradicted(one: RuleSet, other: RuleSet, nfproto: int) -> None:
    """What one says for certain the other does not deny."""
    assert other.faults == ()
    for state, helper in (("new", ""), ("related", "ftp"), ("related", "irc"), ("invalid", ""), ("established", "")):
        for iif, oif in (("eth0", "eth1"), ("eth1", "eth0"), ("wan", "lan"), ("lan", "wan"), ("br-lan", "eth1")):
            asked = Asked("forward", nfproto, iif, oif, ct_state=state, ct_helper=helper, dports=(ANY_PORT,))
            mine, its = follow(one, asked), follow(other, asked)
            assert not intersect(mine.accepted, its.dropped), asked
            assert not intersect(mine.dropped, its.accepted), asked


def test_every_rule_set_has_its_provenance():
    told = (CORPUS / "README.md").read_text()
    names = {path.parent.name for path in CORPUS.glob("*/expected.toml")}
    assert names == set(re.findall(r"^\| (\S+) \| (?:nft|iptables)", told, re.MULTILINE))
