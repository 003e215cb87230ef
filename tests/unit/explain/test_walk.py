"""One walk over captures: parts, faults, names."""

from __future__ import annotations

import gzip
import io
import os
import sys

import pytest

from conntap import _core
from conntap.errors import RecordingError, UsageError
from conntap.explain.walk import Walk, spooled
from conntap.tracker import COUNTED
from explained import FTP, ROOT, SAMPLES, setup


def walked(*paths: str, names: tuple[str, ...] = (), drain: bool = False) -> tuple[Walk, int, int]:
    walk = Walk([str(path) for path in paths], COUNTED, names=names)
    parts = list(walk.parts(_core.Trace(None), drain=drain))
    return walk, sum(len(part.packets) for part in parts), sum(len(part.events) for part in parts)


def test_every_packet_and_every_event_comes_once():
    walk, packets, events = walked(SAMPLES / "tcp_reopen.pcap")
    assert (packets, events) == (16, 17)
    assert walk.counters["packets"] == 16
    assert len(walk.flows) == 1


def test_the_table_is_that_behind_the_last_packet_also_when_time_goes_on():
    walk, _, events = walked(SAMPLES / "tcp_reopen.pcap", drain=True)
    assert events == 18
    assert len(walk.flows) == 1


def test_only_where_the_gateway_translates_packets_are_kept_as_they_leave():
    for outside, kept in (("", 0), ("203.0.113.1", 30)):
        walk = Walk([str(FTP)], setup("ftp", outside=outside))
        assert sum(len(part.sent) for part in walk.parts(_core.Trace(None))) == kept


def test_a_recording_is_refused_with_the_command_that_reads_it():
    with pytest.raises(RecordingError, match="is a recording of events") as caught:
        walked(ROOT / "python/conntap/lab/data/ftp.pcapng", names=("mine",))
    assert caught.value.hint == "conntap replay mine"


def test_a_file_that_is_no_capture_is_named_as_the_user_named_it(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    with pytest.raises(RecordingError, match=r"holiday\.jpg is neither"):
        walked(tmp_path / "x", names=("holiday.jpg",))


def test_a_capture_that_breaks_off_is_told_as_far_as_it_goes(tmp_path):
    (tmp_path / "cut.pcap").write_bytes((SAMPLES / "tcp_reopen.pcap").read_bytes()[:-7])
    walk, packets, _ = walked(tmp_path / "cut.pcap", names=("cut.pcap",))
    assert packets == 15
    assert [fault.partition(" ")[0] for fault in walk.faults] == ["cut.pcap"]


def test_damage_to_a_compressed_capture_is_told(tmp_path):
    file = tmp_path / "cut.pcap.gz"
    file.write_bytes(gzip.compress((SAMPLES / "tcp_reopen.pcap").read_bytes())[:-4])
    walk, packets, _ = walked(file)
    assert packets == 16
    assert [fault.partition(" ")[2] for fault in walk.faults] == ["is damaged gzip: it ends too early"]


def test_standard_input_and_pipes_are_copied_so_that_they_can_be_read_twice(monkeypatch, tmp_path):
    data = (SAMPLES / "tcp_reopen.pcap").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    pipe = f"/dev/fd/{reading}"
    with spooled(["-", pipe, SAMPLES / "sctp.pcap"]) as names:
        assert names[2] == str(SAMPLES / "sctp.pcap")
        for _ in range(2):
            assert walked(*names[:2])[1] == 32
        copies = names[:2]
    os.close(reading)
    assert not any(os.path.exists(copy) for copy in copies)


def test_standard_input_cannot_be_named_twice():
    with pytest.raises(UsageError, match="only once"), spooled(["-", "-"]):
        pass
