"""`conntap lab prove` as a process."""

from __future__ import annotations

import json
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "data/rulesets"


def test_open_is_status_1_with_matrix_rule_and_fix(conntap):
    done = conntap(
        "lab", "prove", str(CORPUS / "later-chain-drops-other/rules.nft.json"), "--inside-net", "192.168.7.0/24"
    )
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "from wan to lan, IPv4"
    assert lines[1].split("  ")[1:2] == ["helper"]
    assert lines[2].split() == ["irc", "tcp/6667", "works", "closed", "OPEN", "closed", "OPEN"]
    assert any(line.startswith("203.0.113.99 reached 192.168.7.8 tcp/45678: DCC offer in a form") for line in lines)
    assert any(line.startswith("the fix of A001, A002 closes 3 of 3 ways in") for line in lines)


def test_closed_is_status_0(conntap):
    done = conntap("lab", "prove", str(CORPUS / "helpers-limited/rules.nft.json"), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["refused"] == ""
    assert {cell["outcome"] for row in found["rows"] for cell in row["cells"]} == {"works", "closed"}
    assert found["disagreements"] == found["fixes"] == []


def test_what_cannot_be_loaded_is_status_2(conntap, tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text('{"nftables": [{"table": {"family": "inet"}}]}')
    done = conntap("lab", "prove", str(rules))
    assert done.returncode == 2
    assert done.stdout.startswith("no proof: the rules of nft could not be loaded: ")


def test_a_helper_that_is_none(conntap):
    done = conntap("lab", "prove", str(CORPUS / "helpers-limited/rules.nft.json"), "--helper", "gopher")
    assert done.returncode == 2
    assert "there is no helper 'gopher'" in done.stderr
