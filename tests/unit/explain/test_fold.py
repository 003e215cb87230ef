"""Runs of ordinary packets in one line."""

from __future__ import annotations

from conntap.explain.fold import Fold, fold, telling
from conntap.explain.story import Packet
from explained import CLIENT, step


def data(number: int, size: int, direction: str = "original", **fields):
    packet = Packet(l4proto=6, ends=CLIENT, payload_length=size, payload=b"\0" * min(size, 256))
    return step(number, packet=packet, direction=direction, **fields)


def test_ordinary_packets_in_a_row_become_one_line():
    folded = list(fold([step(1, verdict="NEW"), step(2), step(3), step(4, state="FIN_WAIT")]))
    assert [len(item.steps) if isinstance(item, Fold) else item.number for item in folded] == [1, 2, 4]


def test_a_single_one_stays_unless_it_is_asked_for():
    assert not any(isinstance(item, Fold) for item in fold([step(1)]))
    assert [isinstance(item, Fold) for item in fold([step(1)], at_least=1)] == [True]


def test_a_run_is_of_one_connection():
    folded = list(fold([step(1), step(2), step(3, connection="B"), step(4, connection="B")]))
    assert [item.first.connection for item in folded if isinstance(item, Fold)] == ["A", "B"]


def test_text_is_worth_a_line():
    assert telling(step(packet=Packet(l4proto=6, ends=CLIENT, payload_length=9, payload=b"220 ready")))
    assert not telling(data(1, 9))


def test_a_line_says_how_many_packets_and_bytes_went_which_way():
    run = Fold((data(1, 1000), data(2, 460), step(3, direction="reply")))
    assert run.words() == "3 packets: → 2 (1,460 B), ← 1"
    assert run.words(arrows=(">", "<")) == "3 packets: > 2 (1,460 B), < 1"
