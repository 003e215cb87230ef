"""What closes a finding, as commands."""

import pytest

from conntap.audit.fixes import limit_related, without_related
from conntap.rules.model import Chain, Place, Rule, RuleSet
from conntap.rules.packet import Step
from gateways import view


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ct state established,related accept", "ct state established accept"),
        ("ct state { established, related } accept", "ct state { established } accept"),
        (
            "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        ),
        ("ct state related accept", "ct state related accept"),
        ("ct state vmap { invalid : drop, related : jump other }", "ct state vmap { invalid : drop }"),
        ("ct state vmap { related : accept, invalid : drop }", "ct state vmap { invalid : drop }"),
    ],
)
def test_a_rule_without_related(text, left):
    assert without_related(text) == left


HELPED = "-m conntrack --ctstate RELATED -m helper --helper ftp -j ACCEPT"


def test_iptables_is_told_by_the_number_of_the_rule():
    seen = view("good")
    place = Place(
        "iptables",
        "ip",
        "filter",
        "FORWARD",
        line=9,
        text="-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )
    first, second = Rule(Place("iptables", "ip", "filter", "FORWARD", line=8)), Rule(place)
    key = ("iptables", "ip", "filter", "FORWARD")
    seen.gateway.__dict__["rules"] = seen.gateway.rules | RuleSet(
        {key: Chain(place, "forward", "filter", 0, "drop", (first, second))}
    )
    assert limit_related(Step("accept", (), "FORWARD", second), seen).iptables.splitlines() == [
        "iptables -R FORWARD 2 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
        "iptables -I FORWARD 3 -p icmp -m conntrack --ctstate RELATED -j ACCEPT",
        "iptables -I FORWARD 4 -i wan -o lan -p tcp --dport 1024:65535 " + HELPED,
        "iptables -I FORWARD 5 -i lan -o wan -p tcp --dport 1024:65535 " + HELPED,
        "iptables -I FORWARD 6 -m conntrack --ctstate RELATED -j DROP",
    ]
