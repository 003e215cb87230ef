"""Questions to the rules."""

from conntap.audit.view import at_worst, less
from conntap.rules.model import Condition, Place, Rule, Span
from conntap.rules.packet import Answer, Step
from gateways import view

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
