"""Files of messages (RFC 5655) are read to their end, or it is said why not."""

from __future__ import annotations

import gzip

import pytest

from conntap import _core
from conntap.collector import Collector
from conntap.errors import RecordingError
from exported import ends, messages, records, tiny


def read(path) -> tuple[_core.Batch, Collector]:
    with Collector(f"ipfix:{path}") as collector:
        return _core.Batch.concat(list(collector.batches())), collector


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_gives_the_records_that_were_written(tmp_path, pack):
    path = tmp_path / "flows.ipfix"
    path.write_bytes(pack(b"".join(messages(records()))))
    batch, collector = read(path)
    assert ends(batch) == ends(records())
    assert (collector.ended, collector.faults, collector.live) == (True, [], False)


def test_rows_have_the_messages_own_time_and_the_files_name(tmp_path):
    path = tmp_path / "flows.ipfix"
    path.write_bytes(tiny(0, 1))
    batch, _ = read(path)
    (event,) = batch.events()
    assert event.received_ns % 1_000_000_000 == 0
    assert event.flow.record.exporter == str(path)


def test_a_file_that_is_cut_says_so_and_leaves_a_gap(tmp_path):
    path = tmp_path / "flows.ipfix"
    path.write_bytes(tiny(0, 1) + tiny(1, 2)[:-1])
    batch, collector = read(path)
    assert dict(batch.kinds()) == {"FLOW": 1, "GAP": 1}
    assert collector.faults == [f"{path}: ends within a message"]


def test_rubbish_behind_good_messages_is_told(tmp_path):
    path = tmp_path / "flows.ipfix"
    path.write_bytes(tiny(0, 1) + b"rubbish and more of it")
    batch, collector = read(path)
    assert dict(batch.kinds()) == {"FLOW": 1, "GAP": 1}
    assert "version" in collector.faults[0]


@pytest.mark.parametrize(("content", "fault"), [(b"", "is empty"), (b"text", "holds no IPFIX")])
def test_what_is_no_such_file_is_refused_at_once(tmp_path, content, fault):
    path = tmp_path / "flows.ipfix"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=fault):
        Collector(f"ipfix:{path}")
