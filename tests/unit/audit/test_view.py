"""Questions to the rules."""

from pathlib import Path

from conntap.audit.sides import find_sides
from conntap.audit.view import View, at_worst, less
from conntap.gateway.state import Gateway
from conntap.rules.model import Condition, Place, Rule, Span
from conntap.rules.packet import Answer, Step
from gateways import view

CORPUS = Path(__file__).resolve().parents[2] / "data/rulesets"

ALL = (Span(1, 65535),)


def unsure(*conditions):
    rule = Rule(Place("nft", "inet", "fw", "forward"), conditions)
    return Answer((), (), ALL, (Step("unsure", ALL, "forward", rule, "why"),), ("why",))


def test_a_limit_lets_in_who_comes_again():
    assert at_worst(unsure(Condition((), chance=True), Condition(("dport",), (((Span(1, 9),),),)))).accepted == ALL


def test_what_is_not_understood_stays_unsure():
    assert at_worst(unsure(Condition((), chance=True), Condition((), text="bpf"))).unsure == ALL
    assert at_worst(unsure(Condition(("saddr",), (((Span(1, 9),),),), grows=True))).unsure == ALL


def test_spans_without_others():
    assert less((Span(1, 10), Span(20, 30)), (Span(5, 22),)) == (Span(1, 4), Span(23, 30))
    assert less(ALL, ALL) == ()
    assert less(ALL, ()) == ALL


def test_each_question_is_asked_once():
    seen = view("good")
    first = seen.packet("wan", "lan", nfproto=4, l4proto=6, state="related", helper="ftp")
    assert seen.packet("wan", "lan", nfproto=4, l4proto=6, state="related", helper="ftp") is first
    assert first.accepted == (Span(1024, 65535),)


def test_openings_of_a_good_gateway_are_the_servers_own():
    (one,) = view("good").openings
    assert (one.helper.name, one.wild, one.ports) == ("ftp", False, (Span(1024, 65535),))


def of_corpus(name):
    gateway = Gateway({"nft.json": (CORPUS / name / "rules.nft.json").read_text()})
    return View(gateway, find_sides(gateway, inside=("lan",), outside=("wan",), inside_net=("10.0.5.0/24",)))


def test_what_prerouting_drops_does_not_arrive():
    seen = of_corpus("nft-prerouting-drops-related")
    way = {"nfproto": 4, "l4proto": 6, "state": "related", "helper": "ftp"}
    assert seen.packet("wan", "lan", **way).accepted == ()
    assert seen.packet("lan", "wan", **way).accepted == ALL


def test_what_is_published_is_no_helpers_doing():
    seen = of_corpus("nft-dnat-inside-ftp")
    server = (10 << 24) + (5 << 8) + 21
    way = {"nfproto": 4, "l4proto": 6, "helper": "ftp", "ports": ALL, "host": server}
    related, beyond = seen.expected("wan", "lan", **way)
    assert related.accepted == (Span(21, 21), Span(50000, 50099))
    assert beyond.accepted == (Span(50000, 50099),)


def test_rules_of_dnat():
    (one,) = of_corpus("nft-status-dnat").dnats
    assert one[1].ports == Span(443, 443)


def test_what_a_helper_expects_where_it_is_assigned():
    assert {one.l4proto for one in of_corpus("nft-sip-over-tcp").expects("sip")} == {6, 17}
    assert {one.l4proto for one in of_corpus("nft-sip-udp-alone").expects("sip")} == {17}
    assert of_corpus("nft-sip-udp-alone").expects("ftp") == ()


def test_a_helper_of_the_gateways_own_connections_opens_no_host_inside():
    assert of_corpus("nft-own-client").openings == ()
