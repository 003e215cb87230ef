"""Packets in words."""

from __future__ import annotations

import pytest

from conntap.explain.numbers import ACK, FIN, PSH, SYN
from conntap.explain.packet import Words, first_line, shorten, words_of
from conntap.explain.story import Ends, Packet, Segment
from explained import CLIENT, told


def tcp(flags: int, payload: bytes = b"", seq: int = 0) -> Packet:
    return Packet(
        l4proto=6, ends=CLIENT, length=40 + len(payload), payload_length=len(payload), payload=payload,
        tcp=Segment(flags, seq, 9, 64),
    )  # fmt: skip


def test_a_segment_with_text_is_said_by_its_first_line():
    words = words_of(tcp(PSH | ACK, b"220 ready\r\nmore\r\n"), seq=1, ack=1, window=64000)
    assert words == Words("220 ready", ("17 B", "seq 1", "ack 1", "win 64,000"))


def test_a_segment_without_payload_is_said_by_its_flags():
    assert words_of(tcp(SYN), seq=0).short == "SYN"
    assert words_of(tcp(SYN | ACK), seq=0, ack=1).short == "SYN ACK"
    assert words_of(tcp(ACK), seq=1, ack=1015).short == "ACK 1,015"
    assert words_of(tcp(FIN | ACK), seq=1, ack=2).short == "FIN ACK"
    assert words_of(tcp(0), seq=1).short == "no flags"
    assert words_of(tcp(PSH), seq=1).short == "PSH"


def test_a_fin_that_carries_text_says_both():
    assert words_of(tcp(FIN | PSH | ACK, b"bye"), seq=1, ack=1).short == "FIN ACK · bye"


def test_where_no_first_number_is_known_the_numbers_stand_as_they_are():
    assert words_of(tcp(SYN, seq=4_000_000_000)).more[0] == "seq 4,000,000,000"


@pytest.mark.parametrize("payload", [b"\x00\x01\x02", b"\xff\xfe" * 40, b"fffffffff", b"", b"\x16\x03\x01\x02\x00\x01"])
def test_bytes_that_are_no_text_are_not_shown(payload):
    assert first_line(payload) == ""
    if payload:
        assert words_of(tcp(PSH | ACK, payload)).short == "data"


def test_nothing_that_moves_a_cursor_or_turns_text_around_gets_through():
    assert first_line(b"PRIVMSG bob :\x01DCC SEND f\x01") == "PRIVMSG bob :·DCC SEND f·"
    assert first_line("evil \x1b[2J \u202e name of a file that is long enough".encode()).isprintable()


def test_a_letter_that_the_kept_bytes_cut_in_two_is_left_out():
    assert first_line("RETR Größe".encode()[:-1] + b"\xc3") == "RETR Größ"
    assert first_line(b"RETR \xff\xff\xff\xff name\r\n") == ""


def test_passwords_are_hidden():
    assert first_line(b"PASS hunter2\r\n") == "PASS …"
    assert first_line(b"pass hunter2\r\n") == "pass …"
    assert first_line(b"OPER root hunter2\r\n") == "OPER root …"
    assert first_line(b"PASSIVE is a word\r\n") == "PASSIVE is a word"


def test_a_long_answer_keeps_the_address_at_its_end():
    line = "227 Entering Passive Mode (10,0,2,2,200,10)."
    assert shorten(line, 50) == line
    assert shorten(line, 30) == "227 … (10,0,2,2,200,10)."
    assert shorten(line, 10) == "227 Enter…"


def test_numbers_are_added_as_long_as_there_is_room():
    words = Words("220 ready", ("11 B", "seq 1", "ack 1"))
    assert words.fit(80) == "220 ready  11 B seq 1 ack 1"
    assert words.fit(16) == "220 ready  11 B"
    assert words.fit(6) == "220 r…"


def test_datagrams_are_said_by_what_they_carry():
    ends = Ends("10.0.0.5", 5060, "10.0.0.9", 5060)
    invite = Packet(l4proto=17, ends=ends, payload_length=24, payload=b"INVITE sip:b@x SIP/2.0\r\n")
    assert words_of(invite) == Words("INVITE sip:b@x SIP/2.0", ("24 B",))
    assert words_of(Packet(l4proto=17, ends=ends, payload_length=5, payload=b"\x80\0\0\0\0")) == Words("data", ("5 B",))
    esp = Packet(l4proto=50, ends=Ends("10.0.0.5", None, "10.0.0.9", None), payload_length=60)
    assert words_of(esp) == Words("esp", ("60 B",))


def test_a_fragment_says_whether_the_datagram_is_whole():
    later = Packet(l4proto=17, ends=Ends("10.0.0.5", None, "10.0.0.9", None), payload_length=208, fragment=True)
    assert words_of(later, whole=False) == Words("fragment", ("208 B",))
    assert words_of(later, whole=True) == Words("last fragment", ("208 B",))


def test_a_frame_without_a_packet_is_said_to_be_one():
    assert words_of(None).short == "a frame without an IP packet"


def test_what_the_engine_read_arrives_as_values():
    first = told("tcp_invalid")[0].steps[1].packet
    assert first is not None
    assert first.ends == Ends("10.0.1.2", 40000, "10.0.2.2", 80)
    assert first.tcp == Segment(SYN, 1000, 0, 64000)
