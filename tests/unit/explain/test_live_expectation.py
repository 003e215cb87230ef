"""A real expectation, told with hand-made rules."""

from __future__ import annotations

import pytest

from conntap import _core
from conntap.explain.live_expectation import tell_expectation, translated
from live_stories import FTP_RULES, expectation, flow, live


def other_direction(one: _core.Expectation) -> _core.Expectation:
    """The same with CTA_EXPECT_NAT_DIR 0."""
    data = one.message()
    direction = bytes([8, 0, 1, 0, 0, 0, 0, 1])  # an attribute of 8 bytes, type 1, the number 1
    assert data.count(direction) == 1
    changed = data.replace(direction, direction[:-1] + b"\0")
    return next(_core.Batch.of([(changed, 0)]).expectations())


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
    assert said["rule"].startswith("lets it in: nft: table inet fw, chain fwd, handle 9: ")
    assert said["rule"].endswith("(in by dmz, out by lan)")


def test_without_rules_the_rest_is_told() -> None:
    said = lines(rules=None)
    assert said["rule"] == "the rules could not be read: 'nft' is not installed"
    assert said["who"]


def test_data_for_programs() -> None:
    data = tell_expectation(expectation(), live(FTP_RULES)).data
    assert data["anyone"] is False
    assert data["until_ns"] == 1_795_000_000_000_000_000 + 299 * 1_000_000_000
    assert (data["entrance"]["hook"], data["entrance"]["verdict"]) == ("forward", "accepted")
    assert data["led_to"] == "192.0.2.1:51201"
    assert data["expectation"]["helper"] == "ftp"


@pytest.mark.parametrize("known", [True, False])
def test_where_it_is_led_follows_the_master(known: bool) -> None:
    """Source: nf_nat_follow_master. The sample's direction is 1: the master's own source, at the saved port."""
    inside, shown = translated(expectation(), flow() if known else None)
    assert (inside.dst, inside.dport, shown) == ("192.0.2.1", 51_201, "192.0.2.10")


def test_in_the_other_direction_the_masters_other_side_is_needed() -> None:
    """Direction 0, as after PASV: to the real server, from the address that the master is shown with."""
    passive = other_direction(expectation())
    inside, shown = translated(passive, flow())
    assert (inside.dst, inside.dport, shown) == ("192.0.2.10", 51_201, "198.51.100.100")
    assert translated(passive, None)[0].dst == "198.51.100.100"  # as it is: the master has gone
