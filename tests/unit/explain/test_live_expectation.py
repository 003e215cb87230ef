"""A real expectation, told with hand-made rules."""

from __future__ import annotations

import pytest

from conntap.explain.live_expectation import tell_expectation, translated
from live_stories import FTP_RULES, expectation, flow, live


def lines(*, rules=FTP_RULES, utc: bool = True) -> dict[str, str]:
    return dict(tell_expectation(expectation(), live(rules), utc=utc).lines)


def test_each_question_is_answered() -> None:
    told = tell_expectation(expectation(), live(FTP_RULES), utc=True)
    assert [about for about, _ in told.lines] == ["master", "helper", "NAT", "who", "rule", "until"]
    assert told.head.startswith("ftp: 192.0.2.10 (any port) may open tcp 198.51.100.100:51201")


def test_who_and_until() -> None:
    said = lines()
    assert said["who"] == "192.0.2.10 alone, from any port, to tcp 198.51.100.100 port 51201"
    assert said["until"].startswith("4 min 59 s from now, ")
    assert "Z, or the end of its master; used up by the first packet" in said["until"]


def test_a_master_that_has_gone_is_told() -> None:
    said = lines()
    assert said["master"] == "tcp 192.0.2.1:41021 → 192.0.2.10:21, gone from the table meanwhile"
    assert "not known any more" in said["NAT"]


def test_the_rules_that_assign_and_let_in() -> None:
    # The master comes by lan (192.0.2.1); the expected one comes by dmz (192.0.2.10).
    said = lines()
    assert "assigned by nft: table inet fw, chain pre, handle 7" in said["helper"]
    # Where it is led is not known without its master: it would reach the gateway itself, where nothing filters.
    assert said["rule"].startswith("nothing filters at input: it gets in (in by dmz, to this machine)")


def test_without_rules_the_rest_is_told() -> None:
    said = lines(rules=None)
    assert said["rule"] == "the rules could not be read: 'nft' is not installed"
    assert said["who"]


def test_data_for_programs() -> None:
    data = tell_expectation(expectation(), live(FTP_RULES)).data
    assert data["anyone"] is False
    assert data["until_ns"] == 1_795_000_000_000_000_000 + 299 * 1_000_000_000
    assert data["entrance"]["hook"] == "input"
    assert data["expectation"]["helper"] == "ftp"


@pytest.mark.parametrize("known", [True, False])
def test_where_it_is_led_follows_the_master(known: bool) -> None:
    """Source: nf_nat_follow_master. The sample's direction is 1: the master's own source, at the saved port."""
    inside, shown = translated(expectation(), flow() if known else None)
    assert (inside.dst, shown) == (("192.0.2.1", "203.0.113.5") if known else ("198.51.100.100", None))
    assert inside.dport == 51_201
