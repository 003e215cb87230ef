"""What is made of batches, whoever reads them."""

from __future__ import annotations

import pytest

from conntap import _core
from conntap.captures import Capture
from conntap.rows import Rows
from pcap_samples import SAMPLES


class Kept(Rows):
    def __init__(self, batches: list[_core.Batch]) -> None:
        self.kept = batches
        self.asked: list[object] = []

    def batches(self, where=""):
        self.asked.append(where)
        return iter(self.kept)


@pytest.fixture(scope="module")
def batches() -> list[_core.Batch]:
    return list(Capture([SAMPLES["tcp_basic"].path]).batches())


def test_events_come_in_the_order_of_their_batches(batches):
    rows = Kept([*batches, *batches])
    once = [event for batch in batches for event in batch.events()]
    assert once
    assert list(rows) == list(rows.events()) == once + once


def test_columns_hold_every_row(batches):
    rows = Kept(batches)
    assert rows.arrow("tcp").num_rows == sum(map(len, batches)) > 0
    assert rows.asked == ["tcp"]
    assert rows.__arrow_c_stream__() is not None


def test_whoever_has_no_batches_says_so():
    with pytest.raises(NotImplementedError):
        list(Rows())
