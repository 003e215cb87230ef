"""The diagram as a picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from conntap.explain.story import Packet
from conntap.explain.svg import WIDTH, picture
from explained import CLIENT, ROOT, ftp_story, step, story, told

NAMES = [("ftp_passive", "ftp"), ("sip_invite", "sip"), ("tcp_invalid", ""), ("sctp", ""), ("icmp6_corner", "")]


@pytest.mark.parametrize(("name", "helper"), NAMES)
def test_it_is_well_formed_and_nothing_leaves_the_paper(name, helper):
    for each in told(name, "", *filter(None, [helper])):
        tree = ET.fromstring(picture(each))
        height = float(tree.attrib["height"])
        for node in tree.iter():
            for key, most in (
                ("x", WIDTH),
                ("x1", WIDTH),
                ("x2", WIDTH),
                ("y", height),
                ("y1", height),
                ("y2", height),
            ):
                assert 0 <= float(node.attrib.get(key, 0)) <= most, (name, node.attrib)


def test_nothing_is_fetched_from_elsewhere():
    drawn = picture(ftp_story())
    assert set(re.findall(r"https?://[^\"]+", drawn)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in drawn


def test_each_row_carries_the_numbers_of_its_packets():
    rows = re.findall(r'<g class="row" data-step="([\d ]*)"', picture(ftp_story()))
    assert len(rows) == 26
    assert rows[:3] == ["1", "2", "3"]


def test_what_a_packet_carries_cannot_become_markup():
    line = b"GET /</text><script>alert(1)</script> HTTP/1.1\r\n"
    hostile = step(
        packet=Packet(l4proto=6, ends=CLIENT, payload_length=len(line), payload=line),
        short=line.decode().strip(), verdict="NEW",
    )  # fmt: skip
    drawn = picture(story(hostile))
    ET.fromstring(drawn)
    assert "<script" not in drawn


def test_the_readmes_picture_is_the_one_that_its_script_draws():
    """`make docs` draws it; one that was not drawn anew shows what no longer is."""
    assert (ROOT / "docs/images/explain-ftp.svg").read_text() == picture(ftp_story())


def test_a_long_story_is_cut():
    long = story(*(step(number, verdict="INVALID", why="no") for number in range(1, 2001)))
    assert picture(long).count('class="row"') == 600
    assert "1,400 more rows are not drawn" in picture(long)
