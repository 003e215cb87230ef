"""What expectations let in, by which rule (A001, A002, A003, A021)."""

import pytest

from conntap.audit.checks import related
from conntap.audit.finding import Severity
from gateways import found, view


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("good", {}),
        ("behind", {}),
        ("any-helper", {"A001": ["medium"]}),
        ("any-direction", {"A002": ["medium"]}),
        ("any-port", {"A003": ["medium"]}),
        ("to-gateway", {"A021": ["low"]}),
        ("no-helper", {"A001": ["info"]}),
        ("limited", {}),
    ],
)
def test_each_fault_is_found_alone(name, expected):
    assert found(name) == expected


def test_the_sentence_says_who_what_whom_how_long_and_when():
    (one,) = related.any_helper(view("any-helper"))
    assert one.consequence == (
        "the ftp server that it is assigned for may open TCP 1024–65535 on a host of 192.168.1.0/24 for 300 s "
        "once that host opens a connection to port 21 of such a server"
    )
    assert one.evidence[0].place is not None
    assert one.evidence[0].place.chain == "forward"


def test_anybody_goes_before_the_server():
    (one,) = related.any_helper(view("router"))
    assert one.severity is Severity.HIGH
    assert one.consequence.startswith("any host in the internet may open TCP 1–65535 on a host behind br-lan for 300 s")
    assert {(reach.helper, reach.by) for reach in one.reach} == {
        ("ftp", "server"),
        ("irc", "stranger"),
        ("sip", "server"),
    }


def test_ports_of_services_are_named():
    (one,) = related.any_port(view("router"))
    assert "TCP 1–1023" in one.consequence


def test_a_host_that_only_a_rule_on_related_names_is_asked_about():
    (one,) = related.any_helper(view("one-host"))
    assert [reach.ports for reach in one.reach] == [((5000, 6000),)]


def test_the_fix_keeps_ftp_and_leaves_out_who_lets_anybody_in():
    (one,) = related.any_helper(view("router"))
    assert one.fix.nft.startswith("replace rule inet fw4 forward handle 20 ct state established accept\n")
    assert 'iifname "wan" oifname "br-lan" ct state related ct helper "ftp" tcp dport 1024-65535 accept' in one.fix.nft
    assert '"irc"' not in one.fix.nft
    assert "-m helper --helper ftp" in one.fix.iptables
    assert "irc" not in one.fix.iptables
