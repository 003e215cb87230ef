"""`explain()`: from files to stories."""

from __future__ import annotations

import pytest

from conntap.errors import FilterError, RecordingError
from conntap.explain import explain
from explained import FTP, SAMPLES, setup


def test_one_path_or_several_in_any_form():
    one = SAMPLES / "tcp_reopen.pcap"
    assert len(explain(one)) == len(explain(str(one))) == len(explain([one])) == 3


def test_several_files_are_read_in_order_of_time():
    stories = explain([SAMPLES / "tcp_invalid.pcap", SAMPLES / "sctp.pcap"])
    assert {story.root.protocol for story in stories} == {"tcp", "sctp"}
    assert {step.input for story in stories for step in story.steps} == {0, 1}


def test_the_limit_is_one_of_stories():
    assert len(explain(SAMPLES / "tcp_reopen.pcap", limit=2)) == 2


def test_what_matches_nothing_gives_no_story():
    assert explain(FTP, "udp", setup("ftp")) == []


def test_a_filter_that_does_not_parse_is_refused():
    with pytest.raises(FilterError):
        explain(FTP, "dprot 21")


def test_a_file_that_is_no_capture_is_refused():
    with pytest.raises(RecordingError):
        explain(SAMPLES / "README.md")


def test_two_tellings_are_equal():
    one, two = (explain(FTP, "dport 21", setup("ftp", outside="203.0.113.1")) for _ in range(2))
    assert one == two
