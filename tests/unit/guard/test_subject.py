from __future__ import annotations

import json

import pytest

from conntap.errors import UsageError
from conntap.guard.subject import read_expectation
from unit.guard.subjects import anybody, subject

LINE = (
    "300 proto=6 src=198.51.100.9 dst=10.0.0.5 sport=0 dport=50000 mask-src=255.255.255.255 mask-dst=255.255.255.255 "
    "sport=0 dport=65535 master-src=10.0.0.5 master-dst=198.51.100.9 sport=40000 dport=21 class=0 helper=ftp"
)


def test_a_line_of_conntrack():
    assert read_expectation(LINE) == subject()


def test_our_own_json():
    assert read_expectation(json.dumps(subject().as_dict())) == subject()
    assert read_expectation(json.dumps(anybody().as_dict())) == anybody()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("hello", "has no"), ("{", "no JSON"), (LINE.replace("dport=50000", "dport=70000"), "out of range")],
)
def test_what_is_none(text, reason):
    with pytest.raises(UsageError, match=reason):
        read_expectation(text)


def test_in_words():
    assert str(subject()) == ("ftp: 198.51.100.9 -> 10.0.0.5:50000 tcp, announced by 10.0.0.5:40000 -> 198.51.100.9:21")
    assert str(anybody()).startswith("irc: anyone -> 10.0.0.5:50000 tcp")
