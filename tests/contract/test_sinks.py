"""What every sink must do, whichever it is: docs/components.md."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest

import conntap
from conntap import _core
from conntap.helpers.assign import assign
from conntap.nat import snat
from conntap.recording import RecordWriter
from conntap.tracker import COUNTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conntap import Batch


@dataclass(frozen=True)
class Case:
    name: str
    write: Callable[[list[Batch], Path], bytes]


def formatter(style: str, **options: object) -> Case:
    def write(batches: list[Batch], _tmp: Path) -> bytes:
        text = _core.Formatter(style, **options)
        return b"".join(text.format(batch) for batch in batches)

    return Case(style, write)


def record(batches: list[Batch], tmp: Path) -> bytes:
    path = tmp / f"{len(list(tmp.iterdir()))}.pcapng"
    with RecordWriter(path) as writer:
        for batch in batches:
            writer.write(batch)
    recording = conntap.replay(path)
    return b"".join(message for batch in recording.batches() for message, _ in batch.messages())


SINKS = [
    formatter("human", utc=True),
    formatter("json"),
    formatter("conntrack"),
    formatter("xml"),
    formatter("save"),
    Case("recording", record),
]


@pytest.fixture
def whole(timed, gap) -> Batch:
    return conntap.Batch.of([*timed[:5], (gap, timed[5][1]), *timed[5:]])


@pytest.fixture
def pieces(timed, gap) -> list[Batch]:
    rows = [*timed[:5], (gap, timed[5][1]), *timed[5:]]
    return [conntap.Batch.of([row]) for row in rows]


@pytest.mark.parametrize("case", SINKS, ids=attrgetter("name"))
class TestSink:
    def test_every_kind_is_taken(self, case, whole, tmp_path):
        assert case.write([whole], tmp_path)

    def test_an_empty_batch_writes_nothing(self, case, whole, tmp_path):
        empty = conntap.Batch.of([])
        assert case.write([empty, whole, empty], tmp_path) == case.write([whole], tmp_path)

    def test_cutting_into_batches_changes_nothing(self, case, whole, pieces, tmp_path):
        assert case.write(pieces, tmp_path) == case.write([whole], tmp_path)

    def test_the_batch_is_left_alone(self, case, whole, tmp_path):
        before = whole.messages()
        case.write([whole], tmp_path)
        assert whole.messages() == before


def frame(source: object) -> list[dict[str, object]]:
    import polars as pl

    return pl.DataFrame(source).to_dicts()


def relation(source: object) -> list[tuple[object, ...]]:
    import duckdb

    return duckdb.sql("select * from source").fetchall()


def table(source: object) -> list[dict[str, object]]:
    import pyarrow as pa

    return pa.table(source).to_pylist()


#: What takes a source as it is, by its Arrow stream.
COLUMNS = [frame, relation, table]


@pytest.fixture
def packets(data) -> conntap.Capture:
    """Flows, expectations, NAT and ends, said by the engine."""
    setup = conntap.Setup(helpers=assign("ftp"), nat=(snat("src 10.0.1.0/24 to 10.0.2.1"),), settings=COUNTED.settings)
    return conntap.replay(data / "pcap/nat_ftp_active.pcap", setup=setup, drain=True)


@pytest.fixture
def said_by_the_kernel(packets, tmp_path) -> conntap.Recording:
    """The same messages as the kernel would have sent them: sinks know recordings."""
    path = tmp_path / "events.pcapng"
    with RecordWriter(path) as writer:
        for batch in packets.batches():
            writer.write(batch)
    return conntap.replay(path)


@pytest.mark.parametrize("sink", [*SINKS, *COLUMNS], ids=lambda sink: getattr(sink, "name", None) or sink.__name__)
def test_packets_are_written_as_the_kernels_events_are(sink, packets, said_by_the_kernel, tmp_path_factory):
    """Every sink and format works unchanged on packets."""
    if isinstance(sink, Case):
        tmp = tmp_path_factory.mktemp("out")
        written, wanted = (sink.write(list(source.batches()), tmp) for source in (packets, said_by_the_kernel))
    else:
        written, wanted = sink(packets), sink(said_by_the_kernel)
        assert len(written) == sum(1 for _ in packets)
    assert written
    assert written == wanted


def test_every_row_is_a_line_of_json(whole):
    import json

    lines = _core.Formatter("json").format(whole).decode().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == [event.kind for event in whole.events()]


def test_what_was_written_can_be_read_before_close(whole, tmp_path):
    """A crash after `write` loses nothing of it."""
    writer = RecordWriter(tmp_path / "running.pcapng")
    writer.write(whole)
    rows = [row for batch in conntap.replay(tmp_path / "running.pcapng").batches() for row in batch.messages()]
    assert rows == whole.messages()
    writer.close()


def test_closing_twice_is_allowed(whole, tmp_path):
    writer = RecordWriter(tmp_path / "twice.pcapng")
    writer.write(whole)
    writer.close()
    size = (tmp_path / "twice.pcapng").stat().st_size
    writer.close()
    assert (tmp_path / "twice.pcapng").stat().st_size == size


def test_a_recording_is_not_overwritten_by_accident(tmp_path):
    (tmp_path / "kept.pcapng").write_bytes(b"mine")
    with pytest.raises(conntap.errors.UsageError, match=r"kept\.pcapng exists"):
        RecordWriter(tmp_path / "kept.pcapng")
    assert (tmp_path / "kept.pcapng").read_bytes() == b"mine"


def test_the_spec_names_tests_that_exist(root):
    """Every line of docs/components.md is held by a test of this folder."""
    import re

    named = re.findall(r"`(test_\w+)`", (root / "docs/components.md").read_text())
    code = "".join(path.read_text() for path in (root / "tests/contract").glob("test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in code] == []
