"""Sequence numbers as people count them."""

from __future__ import annotations

from conntap.explain.numbers import ACK, SYN, Numbers, relative, say_windows
from conntap.explain.story import Segment, Window


def test_numbers_count_from_the_first_across_the_wrap():
    assert relative(0x10, 0xFFFFFFF0) == 0x20
    assert relative(0xFFFFFFF0, 0x10) == -0x20
    assert relative(7, None) is None


def test_a_syn_is_number_0_and_the_first_byte_behind_it_1():
    numbers = Numbers()
    numbers.see(Segment(SYN, 1000, 0, 0), 0, "first_packet")
    assert numbers.seq(Segment(SYN, 1000, 0, 0), 0) == 0
    assert numbers.seq(Segment(ACK, 1001, 5001, 0), 0) == 1


def test_of_a_connection_picked_up_in_the_middle_the_first_byte_seen_is_number_1_on_both_sides():
    numbers = Numbers()
    middle = Segment(ACK, 7000, 9000, 0)
    numbers.see(middle, 0, "picked_up")
    assert (numbers.seq(middle, 0), numbers.ack(middle, 0)) == (1, 1)
    assert numbers.bases == (6999, 8999)


def test_what_answers_a_syn_sets_the_other_sides_numbers_anew():
    numbers = Numbers()
    numbers.see(Segment(SYN, 1000, 0, 0), 0, "first_packet")
    numbers.see(Segment(SYN | ACK, 5000, 1001, 0), 1, "answer")
    assert numbers.seq(Segment(ACK, 5001, 1001, 0), 1) == 1
    assert numbers.ack(Segment(ACK, 5001, 1001, 0), 1) == 1


def test_a_stray_syn_that_was_let_pass_changes_no_numbers():
    numbers = Numbers()
    numbers.see(Segment(SYN, 1000, 0, 0), 0, "first_packet")
    numbers.see(Segment(SYN, 77, 0, 0), 0, "ignored")
    assert numbers.bases[0] == 1000


def test_without_the_flag_nothing_is_acknowledged():
    numbers = Numbers()
    numbers.see(Segment(SYN, 1000, 0, 0), 0, "first_packet")
    assert numbers.ack(Segment(SYN, 1000, 0, 0), 0) is None


def test_windows_are_said_of_the_sides_that_were_seen():
    windows = (Window(1001, 65001, 64000, 7), Window(0, 64000, 0, 0))
    assert say_windows(windows, (1000, None)) == "client sent up to 1, may send to 64,001"
    assert say_windows(windows, (None, None)) == ""
