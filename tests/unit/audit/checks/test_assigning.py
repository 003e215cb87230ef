"""Helpers: to whom they are assigned (A004 to A009, A022 to A024)."""

import json

from conntap.audit.checks import assigning
from conntap.audit.finding import Finding, Severity
from conntap.audit.run import audit
from conntap.audit.sides import find_sides
from conntap.audit.view import View
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


def own(*lines: str) -> list[Finding]:
    """A004 of a gateway with rules of iptables on its own connections."""
    text = "\n".join(["*raw", ":OUTPUT ACCEPT [0:0]", *lines, "COMMIT", "*filter", ":INPUT DROP [0:0]", "COMMIT", ""])
    gateway = Gateway({"iptables-save": text})
    sides = find_sides(gateway, inside=["lan", "guest"], outside=["wan"])
    return list(assigning.any_destination(View(gateway, sides)))


def test_broadcasts_of_the_gateway_belong_to_the_networks_inside():
    ask = "-p udp -m udp --dport 137 -j CT --helper netbios-ns"
    (one,) = own(f"-A OUTPUT {ask}")
    assert "any host of that network may send to the program's port from UDP port 137, for 3 s" in one.consequence
    assert one.fix.iptables == (
        "iptables -t raw -R OUTPUT 1 -o lan -p udp --dport 137 -j CT --helper netbios-ns\n"
        "iptables -t raw -I OUTPUT 1 -o guest -p udp --dport 137 -j CT --helper netbios-ns"
    )
    assert own(f"-A OUTPUT -o lan {ask}", f"-A OUTPUT -o guest {ask}") == []
    assert own(f"-A PREROUTING {ask}") == []  # it reads nothing that is forwarded


def test_the_fix_of_own_connections_names_no_interface_that_they_come_from():
    (one,) = own("-A OUTPUT -p tcp -m tcp --dport 21 -j CT --helper ftp")
    *_, line = one.fix.iptables.splitlines()
    assert line == (
        "iptables -t raw -R OUTPUT 1 -p tcp --dport 21 -m set --match-set ftp_servers dst -j CT --helper ftp"
    )


def test_the_fix_has_all_ports_of_the_rule():
    (one,) = own("-A OUTPUT -p tcp -m multiport --dports 21,2121:2130 -j CT --helper ftp")
    assert 'tcp dport 21 ct helper set "ftp"' in one.fix.nft
    assert 'tcp dport 2121-2130 ct helper set "ftp"' in one.fix.nft
    assert "-p tcp -m multiport --dports 21,2121:2130 -m set --match-set ftp_servers dst" in one.fix.iptables
    (one,) = own("-A OUTPUT -p tcp -m tcp --dport 2000:3000 -j CT --helper ftp")
    assert "tcp dport 2000-3000 ct helper" in one.fix.nft
    (several,) = own("-A OUTPUT -p tcp -m multiport --dports 21,2121 -j CT --helper ftp")
    assert "tcp dport { 21, 2121 } ct helper" in several.fix.nft
    assert "-p tcp --dport 2000:3000 -m set" in one.fix.iptables


def test_what_comes_from_a_servers_port_was_made_to_contact_nobody():
    assert own("-A OUTPUT -p tcp -m tcp --sport 21 --dport 1024:65535 -j CT --helper ftp") == []
    assert own("-A OUTPUT -p tcp -m tcp --sport 1000:2000 --dport 21 -j CT --helper ftp")
    # Those of amanda and netbios-ns come from ports below 1024.
    assert own("-A OUTPUT -p udp -m udp --sport 512:1023 --dport 10080 -j CT --helper amanda")
    assert own("-A OUTPUT -p udp -m udp --sport 137 --dport 137 -j CT --helper netbios-ns")
