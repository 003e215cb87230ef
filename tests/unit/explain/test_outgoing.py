"""Packets as the gateway sends them."""

from __future__ import annotations

import struct

from conntap.explain.outgoing import frames_of, payload_of
from explained import ftp_story, told

TCP = bytes([0x45]) + bytes(8) + bytes([6]) + bytes(10) + bytes(12) + bytes([0x60]) + bytes(7) + b"opts" + b"hello"
UDP6 = bytes([0x60]) + bytes(5) + bytes([17]) + bytes(33) + bytes(8) + b"hello"


def test_the_payload_begins_behind_options():
    assert payload_of(TCP) == b"hello"
    assert payload_of(UDP6) == b"hello"


def test_what_is_cut_short_or_of_another_protocol_has_no_payload():
    for packet in (b"", TCP[:19], TCP[:30], UDP6[:39], TCP[:9] + bytes([1]) + TCP[10:], b"\x00" * 60):
        assert payload_of(packet) == b""


def test_frames_are_read_one_behind_the_other():
    records = b"".join(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in (b"one", b"", b"three"))
    assert list(frames_of(records)) == [b"one", b"", b"three"]
    assert list(frames_of(records[:10])) == []


def test_the_command_that_the_helper_rewrote_is_told_as_it_leaves():
    rewritten = [step for step in ftp_story().steps if step.sent_text]
    assert [(step.short.partition(" ")[0], step.sent_text[:16]) for step in rewritten] == [("PORT", "PORT 203,0,113,1")]


def test_without_translation_nothing_leaves_otherwise():
    assert not any(step.sent_text or step.sent for step in told("ftp_passive", "", "ftp")[0].steps)
