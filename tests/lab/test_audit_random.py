"""Random rule sets: what the audit says is reached is what the kernel lets in.

Each is a gateway on which sessions work (what is established passes, inside may begin), with rules on RELATED drawn by
chance; the audit computes, the lab plays and knocks.
"""

from __future__ import annotations

import random
import subprocess
from functools import cache

import pytest

from conntap.audit.run import audit
from conntap.audit.sides import find_sides
from conntap.gateway.state import Gateway
from conntap.lab.prove import prove
from conntap.lab.prove.agree import agree, reaches

SEEDS = range(24)
HELPERS = {"ftp": ("tcp", 21), "irc": ("tcp", 6667), "sip": ("udp", 5060), "tftp": ("udp", 69)}
PORTS = ("1024-65535", ">= 1024", "{ 5000-5999, 20000-29999 }", "!= { 22, 445 }", "< 1024", "22", "!= 1-1023")
ASKED_HELPERS = ("", 'ct helper "ftp"', 'ct helper "irc"', 'ct helper != "irc"', 'ct helper { "ftp", "sip" }')
WAYS = (
    "",
    'iifname "wan" oifname "lan"',
    'iifname "wan"',
    'iifname != "lan"',
    'iifname { "wan", "wan2" }',
    'iifname . oifname { "wan" . "lan" }',
    'iifname "lan" oifname "wan"',
    'iifname "w*"',
)
STATES = (
    "ct state related",
    "ct state established,related",
    "ct state != { invalid, new }",
    "ct state { related, established }",
    "ct status expected",
    "ct state != new",
    "ct state & related == related",
    "ct status dnat",
)
ADDRESSES = ("", "", "", "ip daddr 10.0.5.0/24", "ip saddr != 10.0.0.0/8", "ip daddr != 192.168.0.0/16")
VERDICTS = ("accept", "accept", "accept", "drop", "jump a", "goto b", "return", "reject", "counter")
NAT = ('oifname "wan" masquerade', 'ip saddr 10.0.5.0/24 oifname "wan" masquerade', "")
EARLY = ("forward priority -10", "forward priority 10", "prerouting priority mangle")


def rule(draw, verdicts=VERDICTS):
    ports = draw.choice([f"{draw.choice(['tcp', 'udp', 'th'])} dport {draw.choice(PORTS)}", ""])
    parts = [*(draw.choice(some) for some in (WAYS, ADDRESSES, ASKED_HELPERS)), ports]
    if draw.random() < 0.1:
        return " ".join([*filter(None, parts), "ct state vmap { related : accept }"])
    return " ".join([*filter(None, parts), draw.choice(STATES), draw.choice(verdicts)])


def rules(draw):
    helpers = draw.sample(sorted(HELPERS), draw.randint(1, 3))
    objects = [f'ct helper {name} {{ type "{name}" protocol {HELPERS[name][0]}; l3proto ip; }}' for name in helpers]
    limit = draw.choice(['iifname "lan"', 'iifname != "wan"', "ip saddr 10.0.5.0/24"])
    assigned = [f'{limit} {HELPERS[name][0]} dport {HELPERS[name][1]} ct helper set "{name}"' for name in helpers]
    own = "accept", "drop", "return"
    text = [
        *objects,
        *chain("helpers", assigned, "prerouting priority mangle + 1; policy accept"),
        *chain("a", [rule(draw, own) for _ in range(draw.randint(1, 3))]),
        *chain("b", ["ct state established accept", *(rule(draw, own) for _ in range(draw.randint(1, 3)))]),
        *chain(
            "forward",
            [
                "ct state invalid drop",
                "ct state established accept",
                *(rule(draw) for _ in range(draw.randint(1, 4))),
                'iifname "lan" oifname "wan" accept',
                *draw.choice([[], ["ct state related accept"]]),
            ],
            "forward priority filter; policy drop",
        ),
    ]
    if draw.random() < 0.3:
        where = draw.choice(EARLY)
        late = [one for one in (rule(draw, ("drop", "accept")) for _ in range(9)) if "oifname" not in one]
        text += chain("early", ["ct state established accept", *late[:2]], f"{where}; policy accept")
    if nat := draw.choice(NAT):
        text += ["chain nat {", "type nat hook postrouting priority srcnat; policy accept;", nat, "}"]
    return "\n".join(["table inet gw {", *text, "}"])


def chain(name, lines, base=""):
    return [f"chain {name} {{", *([f"type filter hook {base};"] if base else []), *lines, "}"]


def listing(text):
    """What nft lists of it, from a network namespace of its own."""
    load = ["unshare", "-n", "sh", "-c", "nft -f - && nft -j list ruleset"]
    return subprocess.run(load, input=text, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture(autouse=True)
def _namespaces(session_lab, need):
    """Skips where there are none."""
    need("nft")


@cache
def played(seed):
    """A rule set, what the audit says of it, and what the kernel does with it."""
    text = rules(random.Random(seed))
    gateway = Gateway({"nft.json": listing(text)})
    sides = find_sides(gateway, inside=("lan",), outside=("wan",), inside_net=("10.0.5.0/24",))
    return text, audit(gateway, sides), prove(gateway, sides)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_lets_in_what_the_audit_says(seed):
    text, audited, proof = played(seed)
    assert (proof.refused, audited.cannot_tell) == ("", False), text
    assert [str(one) for one in agree(reaches(audited.findings), proof)] == [], text


def test_some_are_open_and_some_closed():
    proofs = [played(seed)[2] for seed in SEEDS]
    outcomes = [cell.outcome for proof in proofs for row in proof.rows for cell in row.cells if cell.kind == "lured"]
    assert outcomes.count("open") > 20
    assert outcomes.count("closed") > 20
