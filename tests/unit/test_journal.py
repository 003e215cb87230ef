from __future__ import annotations

import errno
import os

import pytest

from conntap import _core
from conntap.errors import ConntapError, UsageError
from conntap.journal import Epoch, Journal, open_rows, recover
from records import events, made, numbers

EPOCH = Epoch(seq=0, seed=(1, 2), bindings="all", grace_ns=0, where="", boot_id="b", began_ns=5, until_ns=5)


def journaled(tmp_path, batches):
    """Journal events from an empty ledger on; returns the journal, not closed, and the ledger that has them too."""
    journal, ledger = Journal(tmp_path / "journal"), EPOCH.ledger()
    journal.begin(EPOCH, open_rows(ledger))
    told = []
    for batch in batches:
        journal.write(batch)
        told.append(ledger.feed(batch))
    return journal, ledger, [batch for batch in told if len(batch)]


def rows(batches):
    return [message for batch in batches for message, _ in batch.messages()]


def test_what_was_journaled_gives_the_same_records_again(tmp_path):
    journal, ledger, told = journaled(tmp_path, events())
    found = recover(tmp_path / "journal")  # as after kill -9: nothing was closed
    journal.close()
    assert found is not None
    assert rows(found.records) == rows(told)
    assert (found.seq, found.faults) == (ledger.seq, [])
    assert sorted(rows(found.open)) == sorted(rows(open_rows(ledger)))


def test_an_empty_directory_has_nothing(tmp_path):
    assert recover(tmp_path) is None


def test_epochs_follow_each_other(tmp_path):
    journal, ledger, told = journaled(tmp_path, events())
    told.append(ledger.close_epoch())
    journal.write(told[-1])
    journal.begin(Epoch(**{**vars(EPOCH), "seq": ledger.seq}), open_rows(ledger))
    for batch in events():
        journal.write(batch)
        told.append(ledger.feed(batch))
    found = journal.recover()
    assert numbers(found.records) == numbers(told)
    first_seq = numbers(told)[0]
    journal.drop_before(first_seq)
    assert numbers(journal.recover().records) == numbers(told), "the first epoch has records that nobody has yet"
    journal.drop_before(ledger.seq)
    assert numbers(journal.recover().records) == [number for number in numbers(told) if number > found.last.seq]
    journal.close()


def test_finished_records_are_told_as_they_are(tmp_path):
    journal, ledger, told = journaled(tmp_path, events())
    more = made(ledger)
    for records in more:
        journal.write(records)
    found = journal.recover()
    assert numbers(found.records) == numbers(told + more)
    assert found.seq == ledger.seq
    journal.close()


def test_a_torn_end_is_no_fault_and_costs_one_row(tmp_path):
    journal, _, told = journaled(tmp_path, events())
    journal.close()
    [path] = (tmp_path / "journal").glob("*.events.pcapng")
    os.truncate(path, path.stat().st_size - 3)
    found = recover(tmp_path / "journal")
    assert found.faults == []
    assert numbers(found.records) in (numbers(told), numbers(told)[:-1])


def test_damage_is_told(tmp_path):
    journal, _, _ = journaled(tmp_path, events())
    journal.close()
    [path] = (tmp_path / "journal").glob("*.events.pcapng")
    data = bytearray(path.read_bytes())
    data[2000:2500] = bytes(500)
    path.write_bytes(data)
    assert recover(tmp_path / "journal").faults


def test_a_damaged_header_is_an_error_that_says_what_to_do(tmp_path):
    journal, _, _ = journaled(tmp_path, [])
    journal.close()
    [path] = (tmp_path / "journal").glob("*.json")
    path.write_text('{"format": 1')
    with pytest.raises(ConntapError, match="cannot be read") as caught:
        recover(tmp_path / "journal")
    assert "move it away" in caught.value.hint


def test_a_second_logger_is_refused_by_name(tmp_path):
    first = Journal(tmp_path / "journal")
    with pytest.raises(UsageError, match=f"process {os.getpid()} writes to"):
        Journal(tmp_path / "journal")
    first.close()
    Journal(tmp_path / "journal").close()


def test_without_room_no_half_batch_stays(tmp_path, monkeypatch):
    journal, _, told = journaled(tmp_path, events())
    real, writes = os.write, []

    def nearly_full(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        if len(writes) > 1:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(OSError, match="full"):
            journal.write(events()[0])
    stamp = _core.now_ns()
    journal.write(_core.Batch.gap("restart", stamp, stamp))
    found = journal.recover()
    assert found.faults == []
    assert numbers(found.records)[:-1] == numbers(told)
    journal.close()
