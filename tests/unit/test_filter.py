"""`Filter`: compiled once, tested on rows, wrong text told with its place."""

from __future__ import annotations

import pytest

import conntap
from conntap.errors import FilterError
from conntap.filter import as_filter


@pytest.fixture
def events(data):
    return list(conntap.replay(data / "recordings/samples.pcapng"))


def test_empty_text_is_no_filter():
    assert as_filter("  ") is None


def test_a_compiled_filter_is_taken_as_it_is():
    compiled = conntap.Filter("tcp")
    assert as_filter(compiled) is compiled


def test_matches_says_what_a_walk_keeps(events, data):
    tcp = conntap.Filter("tcp and not nat")
    kept = list(conntap.replay(data / "recordings/samples.pcapng").events(tcp))
    assert kept == [event for event in events if tcp.matches(event)]
    assert 0 < len(kept) < len(events)


def test_the_text_parses_back_to_the_same_filter():
    compiled = conntap.Filter("new, destroy and (src 10.0.0.0/8 or dport 80,443) and not assured")
    assert conntap.Filter(str(compiled)) == compiled


def test_wrong_text_is_told_with_its_place():
    with pytest.raises(FilterError, match="did you mean 'dport'") as caught:
        conntap.Filter("tcp and dprot 22")
    assert (caught.value.at, caught.value.length) == (8, 5)


def test_labels_are_named_by_the_map_that_is_given():
    assert conntap.Filter("label red", labels={"red": 3}) == conntap.Filter("label 3")
