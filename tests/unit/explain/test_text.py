"""The story as a table."""

from __future__ import annotations

import pytest

from conntap.explain.style import Style, cells
from conntap.explain.text import clock, notes, sums, table, together
from explained import ftp_story, step, story, told

STORIES = [
    ("ftp_passive", "ftp"), ("sip_invite", "sip"), ("icmp6_corner", ""), ("sctp", ""), ("ftp6", "ftp"),
    ("tcp_invalid", ""),
]  # fmt: skip


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [40, 57, 72, 80, 99, 100, 120, 200])
def test_every_line_fits_the_terminal(width, ascii):
    for name, helper in STORIES:
        for each in told(name, "", *filter(None, [helper]), drain=True):
            for line in table(each, Style(width, ascii=ascii), events=True):
                assert cells(line) <= width, (name, line)
                assert line.isascii() or not ascii


def test_piped_each_packet_is_one_line():
    lines = list(table(ftp_story(), Style()))
    assert sum(line[:2].strip().isdecimal() for line in lines) == 30
    (announced,) = (line for line in lines if "ftp helper" in line)
    assert announced.startswith("11 ")
    assert "leaves as: PORT 203,0,113,1,148,43" in announced


def test_colours_change_no_letter():
    import re

    plain = list(table(ftp_story(), Style(120)))
    colored = list(table(ftp_story(), Style(120, color=True)))
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in colored] == [line.rstrip() for line in plain]
    assert any("\x1b[1;31mINVALID" in line for line in colored)


def test_arrows_point_from_the_roots_client_to_its_server_also_in_children():
    lines = {line[:2].strip(): line for line in table(ftp_story(), Style())}
    assert "A → SYN" in lines["1"]
    assert "B ← SYN to" in lines["12"]
    assert "B → SYN ACK" in lines["13"]


def test_conntracks_own_lines_stand_below_their_packets_when_asked_for():
    lines = list(table(told("udp_stream")[0], Style(), events=True))
    new = next(number for number, line in enumerate(lines) if "[NEW]" in line)
    assert lines[new - 1].startswith("1 ")
    assert not any("[NEW]" in line for line in table(told("udp_stream")[0], Style()))


def test_ordinary_packets_are_put_together_unless_all_are_asked_for():
    ordinary = story(step(1, verdict="NEW"), step(2), step(3), step(4))
    assert sum("3 packets: → 3" in line for line in table(ordinary, Style(100))) == 1
    assert not any("3 packets" in line for line in table(ordinary, Style(100), whole=True))


def test_announcements_that_differ_in_the_port_alone_are_one_line():
    said = [f"sip helper: 10.0.2.2 (any port) may open udp 10.0.1.2:{port} for 180 s" for port in (8000, 8001)]
    assert together(said) == ["sip helper: 10.0.2.2 (any port) may open udp 10.0.1.2:8000, :8001 for 180 s"]
    assert together([said[0], "something else"]) == [said[0], "something else"]


def test_removals_of_the_same_packets_expectations_are_counted():
    bye = next(step for step in told("sip_invite", "", "sip")[0].steps if step.short.startswith("BYE"))
    assert ("⊖ the expectation of packet 1 is removed (×4)", "expectation") in notes(bye)


def test_the_last_line_counts_what_a_kernel_would_have_sent():
    assert sums(told("tcp_invalid")[0]) == (
        "events: 1 NEW, 3 UPDATE, 0 DESTROY · 0 expectations · 10 invalid packets · same as kernel 6.18 would send"
    )
    assert "1 expectation · 1 invalid packet ·" in sums(ftp_story())
    assert "1 dropped packet" in sums(told("ftp_passive", "", "ftp")[0])


def test_what_is_not_told_is_said():
    assert "12 ordinary packets more are not told" in list(table(story(step(), left_out=12), Style()))
    assert "12 packets more are not told" in list(table(story(step(), left_out=12, flooded=True), Style()))


def test_short_stories_are_timed_to_the_microsecond():
    assert clock(story(step(1), step(5)))(1_234_567) == "0.001235"
    assert clock(story(step(1), step(500)))(1_234_567) == "0.001"
