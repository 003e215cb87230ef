"""Messages are found where they lie whole in a segment, or behind a header that came alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.h323_tpkt import Framing


def tpkt(message: bytes) -> bytes:
    return b"\x03\x00" + (len(message) + 4).to_bytes(2) + message


def found(framing: Framing, segment: bytes) -> list[bytes]:
    return [segment[start:end] for start, end in framing.messages(segment)]


def test_a_message_lies_behind_its_header():
    assert found(Framing(), tpkt(b"one")) == [b"one"]


def test_several_messages_share_a_segment():
    assert found(Framing(), tpkt(b"one") + tpkt(b"two") + b"junk") == [b"one", b"two"]


@pytest.mark.parametrize("segment", [b"", b"\x03", b"\x03\x00\x00", b"junk", b"\x03\x01" + tpkt(b"one")[2:]])
def test_what_does_not_begin_with_a_header_is_no_message(segment):
    assert found(Framing(), segment) == []


@pytest.mark.parametrize("length", [0, 3, 8])
def test_a_length_that_cannot_be_is_no_message(length):
    assert found(Framing(), b"\x03\x00" + length.to_bytes(2) + b"abc") == []


def test_an_empty_message_is_one():
    assert found(Framing(), tpkt(b"")) == [b""]


def test_behind_the_first_message_an_empty_one_is_none():
    assert found(Framing(), tpkt(b"one") + tpkt(b"")) == [b"one"]


def test_a_header_alone_announces_the_next_segment():
    framing = Framing()
    assert found(framing, tpkt(b"one")[:4]) == []
    assert found(framing, b"one" + tpkt(b"two")) == [b"one", b"two"]
    assert found(framing, b"one") == []


@pytest.mark.parametrize("between", [b"", b"on", tpkt(b"two"), b"\x03\x00\x00\x00"])
def test_the_announcement_holds_for_one_segment(between):
    framing = Framing()
    found(framing, tpkt(b"one")[:4])
    found(framing, between)
    assert found(framing, b"one") == []


def test_who_stops_asking_forgets_the_rest():
    framing = Framing()
    assert next(framing.messages(tpkt(b"one") + tpkt(b"two")))
    assert found(framing, b"two") == []


@given(st.lists(st.binary(max_size=12) | st.binary(max_size=8).map(tpkt), max_size=6))
def test_every_message_lies_in_its_segment_and_behind_the_one_before(segments):
    framing = Framing()
    for segment in segments:
        last = 0
        for start, end in framing.messages(segment):
            assert last <= start <= end <= len(segment)
            last = end
