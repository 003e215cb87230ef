"""State, time and assigning rule of a connection."""

from __future__ import annotations

from conntap.explain.live_master import assigned_line, setting_line, state_line
from live_stories import FTP_RULES, expectation, flow, live


def test_state_and_time() -> None:
    assert state_line(flow(), live()).startswith("ESTABLISHED, assured; ")
    assert setting_line(flow(), live(tcp_timeout_established=432_000)) == "nf_conntrack_tcp_timeout_established is 5 d"
    assert setting_line(flow(), live()) == "nf_conntrack_tcp_timeout_established"


def test_the_rule_is_told_with_its_place() -> None:
    text, data = assigned_line("ftp", expectation().master, live(FTP_RULES))
    assert text.startswith("ftp, assigned by nft: table inet fw, chain pre, handle 7: ")
    assert data is not None
    assert data["certain"] is True


def test_rules_that_cannot_be_read_are_told() -> None:
    text, data = assigned_line("ftp", expectation().master, live(None))
    assert (text, data) == ("ftp; the rules could not be read: 'nft' is not installed", None)


def test_no_rule_assigns_it_now() -> None:
    assert "no rule that stands now" in assigned_line("ftp", expectation().master, live(FTP_RULES[:3]))[0]
    assert "without a rule (nf_conntrack_helper=1)" in assigned_line("ftp", expectation().master, live((), helper=1))[0]
    assert assigned_line("", expectation().master, live())[1] is None
