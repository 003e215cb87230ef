"""A running gateway is read as it is, from outside its namespace, and nothing of it is changed."""

from __future__ import annotations

import json

from conntap.audit.run import audit
from conntap.gateway.live import read_live

OPEN = """\
table inet lab_open {
    ct helper irc { type "irc" protocol tcp; }
    chain helpers { type filter hook prerouting priority -150; iifname "inside" tcp dport 6667 ct helper set "irc"; }
}
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
