"""A running gateway is read as it is, from outside its namespace, and nothing of it is changed."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from conntap.audit.run import audit
from conntap.gateway.live import read_live
from gateways import DATA

OPEN = """\
table inet lab_open {
    ct helper irc { type "irc" protocol tcp; }
    chain helpers { type filter hook prerouting priority -150; iifname "inside" tcp dport 6667 ct helper set "irc"; }
}
"""

#: Loads a rule set, and then the fix of the worst finding of each new audit.
FIXING = """\
import json, subprocess, sys
from conntap.audit.finding import Severity
from conntap.audit.run import audit
from conntap.gateway.live import read_live
subprocess.run(["nft", "-f", sys.argv[1]], check=True)
fixed = []
while True:
    found = [one for one in audit(read_live()).findings if one.severity > Severity.INFO]
    closable = [one for one in found if one.fix.nft and one.id not in ("A010", "A019", "A023")]
    if not closable or len(fixed) > 12:
        break
    subprocess.run(["nft", "-f", "-"], input=closable[0].fix.nft.encode(), check=True)
    fixed.append(closable[0].id)
print(json.dumps({"fixed": fixed, "left": [one.id for one in found]}))
"""


def test_rules_settings_and_routes_of_the_namespace(lab):
    gateway = read_live(lab.gateway.pid)
    assert {"nft.json", "sysctl", "addresses.json", "routes.json", "proc/net/netlink"} <= set(gateway.texts)
    assert gateway.sysctl("net.ipv4.ip_forward") == "1"
    assert gateway.number("net.netfilter.nf_conntrack_max")
    assert {one.name for one in gateway.interfaces} >= {"inside", "outside"}
    assert any(chain.hook == "forward" for chain in gateway.rules.chains.values())
    assert gateway.rules.faults == ()


def test_the_labs_own_gateway_lets_nobody_in(lab):
    audited = audit(read_live(lab.gateway.pid))
    assert (audited.sides.inside, audited.sides.outside) == (("inside",), ("outside",))
    assert not [one for one in audited.findings if one.id in {"A001", "A005"}]


def test_a_helper_that_is_added_is_found_at_once(lab):
    before = lab.gateway.run(["nft", "list", "ruleset"])
    lab.gateway.run(["nft", "-f", "-"], input=OPEN)
    try:
        found = {one.id: one for one in audit(read_live(lab.gateway.pid)).findings}
        assert found["A005"].evidence[0].place is not None
        assert found["A005"].evidence[0].place.table == "lab_open"
    finally:
        lab.gateway.run(["nft", "delete", "table", "inet", "lab_open"])
    assert lab.gateway.run(["nft", "list", "ruleset"]) == before


def test_the_command_reads_a_namespace(lab, conntap):
    done = conntap("audit", "--netns", str(lab.gateway.pid), "--json", "--fail-on", "critical")
    assert done.returncode in {0, 3}, done.stderr
    assert json.loads(done.stdout)["inside"] == ["inside"]


def test_what_the_audit_says_is_shown_with_prove(need, conntap):
    need("nft")
    done = conntap("audit", str(DATA / "irc.nft.json"), "--prove", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [one["id"] for one in told["findings"]] == ["A005"]
    assert any(cell["outcome"] == "open" for row in told["proof"]["rows"] for cell in row["cells"])
    text = conntap("audit", str(DATA / "irc.nft.json"), "--prove").stdout
    assert "irc tcp/6667" in text
    assert "the fix of A005 closes" in text


OWN = [DATA / f"{name}.nft" for name in ("router", "server", "any-helper", "any-direction", "any-port", "to-gateway")]
CORPUS = sorted((DATA.parent / "rulesets").glob("*/rules.nft"))
CLOSABLE = {"A001", "A002", "A003", "A004", "A005", "A006", "A011", "A021"}


@pytest.mark.parametrize("rules", [*OWN, *CORPUS], ids=lambda path: path.parent.name + "/" + path.stem)
def test_fixes_can_be_loaded_and_close_what_they_are_for(rules, need):
    """One after the other, until nothing is left that a rule of nft closes."""
    script = [sys.executable, "-m", "conntap.lab.sandbox", "--", sys.executable, "-c", FIXING]
    need("nft")
    done = subprocess.run([*script, str(rules)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not CLOSABLE & set(told["left"]), told


IPTABLES = """\
*raw
-A PREROUTING -i lan -p tcp -m tcp --dport 6667 -j CT --helper irc
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -o wan -j ACCEPT
COMMIT
*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
"""
READING = """\
import json, subprocess, sys
from conntap.audit.run import audit
from conntap.gateway.live import read_live
subprocess.run(["iptables-restore"], input=sys.argv[1].encode(), check=True)
gateway = read_live()
rules = [str(rule.place) for chain in gateway.rules.chains.values() for rule in chain.rules]
print(json.dumps({"rules": rules, "ids": [one.id for one in audit(gateway).findings], "faults": gateway.rules.faults}))
"""


def test_rules_that_iptables_wrote_as_nft_are_taken_once(need):
    need("iptables-restore")
    script = [sys.executable, "-m", "conntap.lab.sandbox", "--", sys.executable, "-c", READING, IPTABLES]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["rules"]) == 4
    assert all(place.startswith("iptables: ") for place in told["rules"])
    assert {"A001", "A005"} <= set(told["ids"])
    assert not told["faults"]


def test_fixes_of_iptables_can_be_run_and_close_what_they_are_for(need):
    need("iptables-restore")
    need("ipset")
    steps = """
    subprocess.run(["iptables-restore"], input=sys.argv[1].encode(), check=True)
    fixed = []
    while True:
        found = [one for one in audit(read_live()).findings if one.severity > Severity.INFO and one.id != "A010"]
        closable = [one for one in found if one.fix.iptables]
        if not closable or len(fixed) > 12:
            break
        subprocess.run(["sh", "-ec", closable[0].fix.iptables], check=True)
        fixed.append(closable[0].id)
    print(json.dumps({"fixed": fixed, "left": [one.id for one in found]}))
    """
    script = FIXING.partition("subprocess.run")[0] + textwrap.dedent(steps)
    command = [sys.executable, "-m", "conntap.lab.sandbox", "--", sys.executable, "-c", script, IPTABLES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["fixed"]
    assert not CLOSABLE - {"A011"} & set(told["left"]), told
