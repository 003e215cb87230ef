"""Helpers: to whom they are assigned (A004 to A009, A022 to A024)."""

import json

from conntap.audit.checks import assigning
from conntap.audit.finding import Severity
from conntap.audit.run import audit
from conntap.gateway.state import Gateway
from gateways import found, rules, view

LOADED = "nf_conntrack_ftp.loose = N\nnf_conntrack_sip.sip_direct_media = 0\nnf_conntrack_irc.dcc_timeout = 300\n"


def test_known_servers_are_no_finding_and_any_server_is_one():
    assert "A004" not in found("good")
    assert found("router")["A004"] == ["medium", "medium", "medium", "low"]


def test_irc_lets_anybody_in_only_where_a_rule_lets_it_in():
    assert found("irc") == {"A005": ["high"]}
    assert found("irc-closed") == {"A005": ["info"]}


def test_reach_is_what_a_stranger_reaches():
    (one,) = assigning.wildcard(view("irc"))
    assert [(reach.helper, reach.nfproto, reach.ports, reach.by) for reach in one.reach] == [
        ("irc", 4, ((1024, 65535),), "stranger")
    ]


def test_a_parameter_makes_sip_open_to_anybody():
    names = [one.key for one in assigning.wildcard(view("router", parameters=LOADED))]
    assert names == ["irc", "sip"]
    (one,) = assigning.loosened(view("router", parameters=LOADED))
    assert one.severity is Severity.MEDIUM
    assert "options nf_conntrack_sip sip_direct_media=1" in one.fix.other


def test_a_parameter_of_a_helper_that_is_not_assigned_is_worth_knowing():
    (one,) = assigning.loosened(view("good", parameters="nf_conntrack_sip.sip_direct_media = 0\n"))
    assert one.severity is Severity.INFO


def test_browsers_refuse_the_default_ports_and_no_others():
    assert [(one.key.rpartition("/")[2], one.severity) for one in assigning.browser_ports(view("router"))] == [
        ("ftp", Severity.INFO),
        ("irc", Severity.INFO),
    ]
    (one,) = assigning.browser_ports(view("server"))
    assert one.severity is Severity.HIGH
    assert "port 2121" in one.consequence


def test_a_loaded_module_that_nobody_assigns():
    modules = "nf_conntrack_sip 1 0 - Live 0x0\nnf_conntrack_ftp 1 0 - Live 0x0\n"
    assert [one.key for one in assigning.never_assigned(view("good", modules=modules))] == ["nf_conntrack_sip"]


def test_old_kernels_assign_by_port():
    texts = {"sysctl": "net.netfilter.nf_conntrack_helper = 1\n", "parameters": LOADED}
    (one,) = assigning.by_port(view("no-helper", uname="5.10.0", **texts))
    assert one.severity is Severity.HIGH
    assert found("no-helper", uname="5.10.0", **texts)["A001"] == ["high"]
    assert not list(assigning.by_port(view("no-helper", uname="6.18.0", **texts)))


def test_ipv6_is_opened_as_it_is():
    forwards = "net.ipv6.conf.all.forwarding = {}\n"
    assert found("router", sysctl=forwards.format(1))["A009"] == ["low"]
    assert found("router")["A009"] == ["info"]
    assert "A009" not in found("router", sysctl=forwards.format(0))


def test_connections_that_strangers_begin():
    (one,) = assigning.from_outside(view("server"))
    assert "from wan to lan at TCP port 2121" in one.consequence
    assert not list(assigning.from_outside(view("router")))


def test_a_helper_that_is_not_known():
    text = json.loads(rules("good"))
    for one in text["nftables"]:
        if "ct helper" in one:
            one["ct helper"]["type"] = "mygame"
    unknown = [one for one in audit(Gateway({"nft.json": json.dumps(text)})).findings if one.id == "A024"]
    assert len(unknown) == 1
    assert not unknown[0].certain
