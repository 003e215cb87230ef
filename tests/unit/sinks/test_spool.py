from __future__ import annotations

import errno
import os

import pytest

from conntap.sinks.spool import Spool
from records import made, numbers


def taken(spool: Spool) -> list[int]:
    seen = []
    while spool:
        path, batches = spool.first()
        seen += numbers(list(batches))
        spool.drop(path)
    return seen


def test_what_goes_in_comes_out_in_order(tmp_path):
    batches = made(rounds=3)
    spool = Spool(tmp_path)
    for batch in batches:
        spool.put(batch)
    assert spool.last_seq == numbers(batches)[-1]
    assert taken(spool) == numbers(batches)
    assert spool.nbytes == 0
    assert not list(tmp_path.iterdir())


def test_another_run_finds_what_one_left(tmp_path):
    batches = made(rounds=2)
    first = Spool(tmp_path)
    for batch in batches:
        first.put(batch)
    first.close()
    second = Spool(tmp_path)
    assert second.last_seq == numbers(batches)[-1]
    assert second.nbytes > 0
    assert taken(second) == numbers(batches)


def test_a_torn_end_costs_the_torn_record_alone(tmp_path):
    batches = made(rounds=2)
    spool = Spool(tmp_path)
    for batch in batches:
        spool.put(batch)
    spool.close()
    [path] = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 10)
    assert taken(Spool(tmp_path)) == numbers(batches)[:-1]


def test_more_can_be_put_in_while_the_first_is_taken_out(tmp_path):
    one, *others = made(rounds=2)
    spool = Spool(tmp_path)
    spool.put(one)
    path, batches = spool.first()
    for batch in others:
        spool.put(batch)
    assert numbers(list(batches)) == numbers([one])
    spool.drop(path)
    assert taken(spool) == numbers(others)


def test_without_room_nothing_is_half_there(tmp_path, monkeypatch):
    one, other, *_ = made(rounds=2)
    spool = Spool(tmp_path)
    spool.put(one)
    real, writes = os.write, []

    def nearly_full(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        if len(writes) > 1:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(OSError, match="full"):
            spool.put(other)
    spool.put(other)
    assert taken(spool) == numbers([one, other])
