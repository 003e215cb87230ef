"""Messages and attributes are taken apart without losing anything."""

from __future__ import annotations

from conntap.netlink import HEAD, NESTED, attributes, messages, pack, values


def message(content: bytes) -> bytes:
    return HEAD.pack(HEAD.size + len(content), 7, 0, 1, 0) + content


def test_padding_belongs_to_no_message():
    assert messages(message(b"abc") + b"\0" + message(b"")) == [message(b"abc"), message(b"")]


def test_a_length_that_cannot_be_ends_the_walk():
    assert messages(message(b"") + HEAD.pack(99, 7, 0, 1, 0)) == [message(b"")]
    assert messages(HEAD.pack(3, 7, 0, 1, 0)) == []


def test_what_cannot_be_an_attribute_comes_last():
    data = pack(1, b"abc") + b"\xff\xff"
    assert list(attributes(data)) == [(1, b"abc"), (-1, b"\xff\xff")]
    assert values(data) == {1: b"abc"}


def test_values_have_no_flag_bits():
    assert values(b"....." + pack(2 | NESTED, b"x"), 5) == {2: b"x"}
