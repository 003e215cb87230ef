"""The page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from conntap.explain.html import page
from conntap.explain.story import Packet
from explained import CLIENT, ftp_story, step, story, told


class Reader(HTMLParser):
    """Counts elements, and finds ids and what is fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href"):
                self.fetched.append(value or "")


def test_every_step_has_a_row_with_details():
    read = Reader(page([ftp_story()], source="ftp.pcap"))
    assert read.counts["tr"] == 31
    assert read.counts["template"] == 30
    assert len(read.ids) == len(set(read.ids))


def test_each_row_of_the_drawing_finds_its_row_in_the_table():
    text = page([ftp_story()], source="ftp.pcap")
    drawn = {number for numbers in re.findall(r'data-step="([\d ]+)"', text) for number in numbers.split()}
    assert {f"s1-{number}" for number in drawn} <= set(Reader(text).ids)


def test_several_stories_are_sections():
    text = page(told("tcp_reopen", "", drain=True), source="x.pcap")
    assert Reader(text).counts["section"] == 3
    assert text.count("<h2>") == 3


def test_nothing_is_fetched_from_elsewhere():
    text = page([ftp_story()], source="ftp.pcap")
    assert Reader(text).fetched == []
    assert "@import" not in text
    assert "url(" not in text


def test_what_comes_from_outside_cannot_become_markup():
    line = b"<img src=x onerror=alert(1)>"
    packet = Packet(l4proto=6, ends=CLIENT, payload_length=len(line), payload=line)
    hostile = story(step(packet=packet, short=line.decode(), verdict="INVALID", why="<b>"))
    read = Reader(page([hostile], source='<script>"'))
    assert read.counts["script"] == 1
    assert "img" not in read.counts
    assert "b" not in read.counts
