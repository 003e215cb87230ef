"""The diagram in a terminal."""

from __future__ import annotations

import re

import pytest

from conntap.explain.ladder_text import ladder_lines
from conntap.explain.style import Style, cells
from explained import ftp_story, step, story, told


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [40, 57, 72, 80, 120, 200])
def test_every_line_fits_the_terminal(width, ascii):
    for name, helper in (("ftp_passive", "ftp"), ("sip_invite", "sip"), ("icmp6_corner", "sip"), ("sctp", "sip")):
        for each in told(name, "", helper, drain=True):
            for line in ladder_lines(each, Style(width, ascii=ascii)):
                assert cells(line) <= width, (name, line)
                assert line.isascii() or not ascii


def test_an_arrow_ends_at_the_other_lifeline_and_the_child_stands_inside():
    lines = list(ladder_lines(ftp_story(), Style(120)))
    syn = next(line for line in lines if "─SYN─" in line)
    related = next(line for line in lines if "RELATED" in line)
    assert re.match(r"0\.000 │─SYN─+┃─+►│  NEW  SYN_SENT$", syn)
    assert re.match(r"0\.159 │  ┊◄─+┃─+SYN to :37931─┊  │  RELATED  SYN_SENT$", related)


def test_what_is_invalid_is_crossed_at_the_gateway():
    assert any(re.search(r"◄╌+✕╌+RST ACK", line) for line in ladder_lines(ftp_story(), Style(120)))


def test_what_is_dropped_goes_no_further():
    lines = ladder_lines(told("ftp_passive", "", "ftp")[0], Style(120))
    (line,) = (line for line in lines if "the helper drops it" in line)
    assert "◄" not in line
    assert "✕╌" in line


def test_a_rewritten_line_stands_behind_the_gateway():
    assert any(
        re.search(r"PORT 10,0,0,5,.*┃─PORT 203,0,113,1,", line) for line in ladder_lines(ftp_story(), Style(140))
    )


def test_lifelines_are_straight():
    lines = [line for line in ladder_lines(ftp_story(), Style(120)) if "┃" in line or "✕" in line]
    assert len({line.index("│") for line in lines}) == 1
    assert len({re.search("[┃✕]", line).start() for line in lines}) == 1


def test_colours_change_no_letter():
    plain = list(ladder_lines(ftp_story(), Style(120)))
    colored = list(ladder_lines(ftp_story(), Style(120, color=True)))
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored] == plain


def test_a_story_without_rows_has_its_heading_and_its_sums():
    lines = list(ladder_lines(story(step(1), step(2)), Style(80)))
    assert lines[0] == "TCP 10.0.0.5:1000 → 10.0.0.9:80"
    assert any(line.startswith("events:") for line in lines)
