"""Facts as sentences."""

from conntap.audit.words import listed, ports_text, protocol, sentence, worst
from conntap.rules.model import Span
from gateways import view


def test_ports_and_lists():
    assert ports_text((Span(20, 20), Span(1024, 65535))) == "20, 1024–65535"
    assert listed(["a", "b", "c", "b"]) == "a, b and c"
    assert (listed([]), listed(["a"])) == ("", "a")
    assert (protocol(6), protocol(99)) == ("TCP", "protocol 99")


def test_anybody_is_told_before_the_server():
    seen = view("router")
    best = worst(seen.openings)
    assert best is not None
    assert sentence(best, seen) == (
        "any host in the internet may open TCP 1–65535 on a host behind br-lan for 300 s "
        "once that host opens a connection to port 6667 anywhere"
    )


def test_nothing_is_worst_of_nothing():
    assert worst([]) is None
