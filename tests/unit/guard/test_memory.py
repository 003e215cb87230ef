from __future__ import annotations

from conntap.guard import memory as module
from conntap.guard.decide import Decision
from conntap.guard.memory import Memory
from unit.guard.subjects import CLIENT, SERVER, STRANGER, anybody, subject

YES, NO = Decision(True, "line 1", ""), Decision(False, "line 2", "")


def test_what_is_open_is_counted_by_helper_and_host():
    memory = Memory()
    memory.note(subject(), YES)
    memory.note(subject(dport=50_001), YES)
    memory.note(subject(dport=50_002), NO)
    assert memory.count(subject(dport=50_003)) == 2
    assert memory.count(subject()) == 1  # itself left out
    assert memory.closed(subject())
    assert not memory.closed(subject())
    assert memory.count(subject(dport=50_003)) == 1


def test_the_newest_decision_that_a_packet_fits():
    memory = Memory()
    memory.note(subject(), YES)
    memory.note(anybody(), NO)
    assert memory.last(6, STRANGER, CLIENT, 50_000).decision is NO
    memory.note(subject(), YES)
    assert memory.last(6, SERVER, CLIENT, 50_000).decision is YES
    assert memory.last(6, SERVER, CLIENT, 50_001) is None
    assert memory.decided(anybody()) is NO


def test_no_flood_fills_it(monkeypatch):
    monkeypatch.setattr(module, "DESTINATIONS", 10)
    memory = Memory()
    for port in range(100):
        memory.note(subject(dport=port), NO)
    assert memory.forgotten == 90
    memory.clear()
    assert len(memory) == 0
