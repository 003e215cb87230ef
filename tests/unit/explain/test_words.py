"""Reasons and expectations in words."""

from __future__ import annotations

from explained import ftp_story, told


def why(name: str, number: int, *helpers: str) -> str:
    return next(step.why for story in told(name, "", *helpers) for step in story.steps if step.number == number)


def test_the_first_packet_says_which_helper_it_got():
    assert why("ftp_passive", 1, "ftp") == "first packet, no expectation matched; helper ftp (tcp/21)"
    assert why("ftp_passive", 1) == "first packet, no expectation matched"


def test_a_child_says_which_packet_announced_it_and_whose_it_is():
    assert why("ftp_passive", 14, "ftp") == "expected since packet 12: a new connection, child of A"


def test_large_numbers_have_separators_and_flags_have_none():
    assert why("tcp_invalid", 11) == "begins 19,936,000 bytes above the window that the receiver offered"
    assert why("tcp_invalid", 5) == "TCP flags 0x03 never go together"


def test_what_is_invalid_leaves_a_gateway_untranslated_and_that_is_said():
    (invalid,) = (step for step in ftp_story().steps if step.invalid)
    assert invalid.why.endswith("; so it is not translated either")
    assert "translated" not in why("tcp_invalid", 11)


def test_an_expectation_is_said_without_what_stands_beside_it_already():
    (words,) = (told.words for step in ftp_story().steps for told in step.events if told.kind == "EXP_NEW")
    assert words == (
        "ftp helper: 198.51.100.9 (any port) may open tcp 203.0.113.1:37931 for 300 s, passed on to 10.0.0.5:37931"
    )


def test_the_end_of_an_expectation_names_the_packet_that_announced_it():
    steps = told("ftp_passive", "", "ftp", drain=True)[0].steps
    removed = [told.words for step in steps for told in step.events if told.kind == "EXP_DESTROY"]
    assert removed[2] == "the expectation of packet 38 is removed"
    assert removed[-1] == "the expectation of packet 42 ran out: nothing came in time"
