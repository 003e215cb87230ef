"""Equal lines are one kind; memory is bounded whatever comes."""

from __future__ import annotations

import struct

from conntap.doctor import sums as module
from conntap.doctor.nflog import Line
from conntap.doctor.sums import Sums


def packet(sport: int) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, bytes([10, 0, 0, 5]), bytes([203, 0, 113, 1]))
    return head + struct.pack(">HHIIBBHHH", sport, 80, 1, 2, 0x50, 2, 1000, 0, 0)


def line(words: str, sport: int = 1, *, came_by: int = 2) -> Line:
    return Line(f"nf_ct_proto_6: {words}", packet(sport), came_by=came_by)


def test_equal_lines_are_one_kind_with_its_connections() -> None:
    sums = Sums()
    for bound in (1_000, 2_000, 3_000):
        sums.take(line(f"SEQ is over upper bound {bound} (over the window of the receiver)", 7))
    sums.take(line("invalid new", 8))
    first, second = sums.kinds()
    assert (first.count, first.words) == (3, "SEQ is over upper bound N (over the window of the receiver)")
    assert [count for _, count in first.connections.most_common()] == [3]
    assert second.means.id == "tcp_new"
    assert sums.lines == 4


def test_lines_of_rules_are_counted_apart() -> None:
    sums = Sums()
    sums.take(Line("my rule: ", packet(1)))
    assert (sums.lines, sums.others, sums.kinds()) == (0, 1, [])


def test_what_this_machine_sent_itself_is_told() -> None:
    sums = Sums()
    sums.take(line("invalid new", came_by=0))
    sums.take(line("invalid new", came_by=3))
    [kind] = sums.kinds()
    assert (kind.count, kind.ours) == (2, 1)


def test_a_packet_that_cannot_be_read_still_counts() -> None:
    sums = Sums()
    sums.take(Line("nf_ct_proto_6: short packet", b"\x45"))
    [kind] = sums.kinds()
    assert (kind.protocol, kind.count, sums.unreadable) == ("?", 1, 1)


def test_too_many_connections_are_counted_together(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    sums = Sums()
    for sport in range(100):
        sums.take(line("invalid new", sport))
    [kind] = sums.kinds()
    assert (kind.count, len(kind.connections), kind.elsewhere) == (100, 10, 90)


def test_too_many_kinds_are_counted_together(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    sums = Sums()
    for letter in "abcdefghijklmnop":
        sums.take(line(f"words {letter * 5}"))
    assert len(sums.kinds()) == 11
    assert sum(kind.count for kind in sums.kinds()) == sums.lines == 16


def test_as_an_object() -> None:
    sums = Sums()
    sums.take(line("packet (index 0) in dir 0 ignored, state ESTABLISHED", 9))
    [kind] = sums.as_dict(5)["kinds"]
    assert (kind["id"], kind["invalid"], kind["protocol"], kind["connections_known"]) == (
        "tcp_ignored",
        False,
        "tcp",
        1,
    )
    assert kind["connections"][0] == {
        "src": "10.0.0.5", "sport": 9, "dst": "203.0.113.1", "dport": 80, "flags": "S", "count": 1,
    }  # fmt: skip
