"""What a lab does not take is said, with the reason, and never played by half."""

from __future__ import annotations

import json

import pytest

from conntap.gateway.state import Gateway
from conntap.lab.prove import prove
from conntap.lab.prove.picture import picture
from proof_rules import EVERYTHING, HELPERS, IPTABLES, gateway_of, rules, sides_of


def test_rules_of_iptables(need):
    """Loaded by iptables itself, and traced to the line that let a stranger in."""
    need("iptables-nft-restore")
    gateway = Gateway({"iptables-save": IPTABLES})
    proof = prove(gateway, sides_of(gateway))
    assert {(row.helper, row.outcome("third", low=True)) for row in proof.rows} == {("ftp", "closed"), ("irc", "open")}
    (step,) = {step for _, cell in proof.open for step in cell.trace if step.text != "policy"}
    assert step.where.startswith("iptables: table ip filter, chain FORWARD")
    assert "--helper irc" in step.text


def test_a_match_of_iptables_in_nfts_listing_is_refused():
    """`nft -j` lists what it cannot write."""
    gateway = gateway_of(rules(EVERYTHING))
    parsed = json.loads(gateway.texts["nft.json"])
    rule = next(one["rule"] for one in parsed["nftables"] if "rule" in one)
    rule["expr"].insert(0, {"xt": None})
    broken = Gateway({"nft.json": json.dumps(parsed)})
    proof = prove(broken, sides_of(gateway))
    assert proof.rows == ()
    assert proof.refused.startswith("the rules of nft could not be loaded: table inet fw, chain helpers, handle ")
    assert picture(proof) == [f"no proof: {proof.refused}"]


def test_what_the_kernel_refuses_is_told_in_its_words():
    gateway = gateway_of(rules(EVERYTHING))
    broken = Gateway({"nft.json": gateway.texts["nft.json"].replace('"type": "irc"', '"type": "no-such-helper"')})
    proof = prove(broken, sides_of(gateway))
    assert (proof.rows, proof.open) == ((), ())
    assert proof.refused.startswith("the rules of nft could not be loaded: ")


def test_parameters_of_the_machine_are_left_alone_and_named():
    path = "/sys/module/nf_conntrack_sip/parameters/sip_direct_media"
    try:
        with open(path, encoding="ascii") as file:
            ours = file.read().strip()
    except OSError:
        pytest.skip("the kernel has no nf_conntrack_sip as a module")
    theirs = "1" if ours in ("0", "N") else "0"
    gateway = gateway_of(
        rules(EVERYTHING, helpers=[one for one in HELPERS if one[0] == "sip"]),
        parameters=f"nf_conntrack_sip.sip_direct_media = {theirs}\n",
    )
    proof = prove(gateway, sides_of(gateway))
    (said,) = proof.cannot
    assert said.startswith(f"nf_conntrack_sip.sip_direct_media is {theirs} there and {ours} here")
    with open(path, encoding="ascii") as file:
        assert file.read().strip() == ours


def test_many_interfaces_are_all_there():
    """Names of rules that are no side are wires, too: the rules load, and what is true of the sides stays true."""
    many = "".join(f'iifname "vlan{number}" counter drop\n' for number in range(60))
    gateway = gateway_of(rules(f"{many}{EVERYTHING}", helpers=HELPERS[:1]))
    proof = prove(gateway, sides_of(gateway))
    assert proof.refused == ""
    assert [row.outcome("server", low=True) for row in proof.rows] == ["open", "open"]
