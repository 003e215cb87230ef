"""Every library that speaks the Arrow PyCapsule protocol reads the same rows, batches and tables alike."""

from __future__ import annotations

import gc
import ipaddress
import json
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import conntap
from conftest import udp
from conntap import _core


@pytest.fixture
def recording(data):
    return conntap.replay(data / "recordings/samples.pcapng")


@pytest.fixture
def expected(recording):
    """The rows as JSON has them: another way through the core."""
    return [json.loads(event.json()) for event in recording]


def as_json_has_it(name, value):
    if value is None:
        return None
    if name.endswith(("_src", "_dst")):
        address = ipaddress.IPv6Address(value)
        return str(address.ipv4_mapped or address)
    return value


def test_pyarrow_reads_every_field_as_json_has_it(recording, expected):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(recording.arrow())
    assert table.num_rows == len(expected)
    for row, want in zip(table.to_pylist(), expected, strict=True):
        for name, value in row.items():
            if name == "labels":
                assert (value is None) == ("labels" not in want)
            elif name.endswith("_ns"):
                assert (value is None) == (name not in want)
            elif name == "unknown":
                assert value is None
            else:
                assert as_json_has_it(name, value) == want.get(name), name


def test_times_keep_their_nanoseconds(recording, expected):
    pyarrow = pytest.importorskip("pyarrow")
    column = pyarrow.table(recording.arrow())["received_ns"]
    assert column.cast("int64").to_pylist() == [row["received_ns"] for row in expected]
    assert str(column.type) == "timestamp[ns, tz=UTC]"


def test_one_batch_is_a_record_batch(recording, expected):
    pyarrow = pytest.importorskip("pyarrow")
    [batch] = list(recording.batches())
    assert pyarrow.record_batch(batch).column("kind").to_pylist() == [row["kind"] for row in expected]


def test_polars_reads_it(recording, expected):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(recording.arrow())
    assert frame["kind"].to_list() == [row["kind"] for row in expected]
    assert frame["orig_dport"].to_list() == [row.get("orig_dport") for row in expected]


def test_pandas_reads_it(recording, expected):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = (
        pandas.DataFrame.from_arrow(recording.arrow())
        if hasattr(pandas.DataFrame, "from_arrow")
        else (__import__("pyarrow").table(recording.arrow()).to_pandas())
    )
    assert frame["kind"].tolist() == [row["kind"] for row in expected]


def test_duckdb_reads_it_by_its_name(recording, expected):
    duckdb = pytest.importorskip("duckdb")
    table = recording.arrow()
    assert table.num_rows == len(expected)
    rows = duckdb.sql(
        "select kind, count(*) from table group by kind order by kind".replace("table", '"table"')
    ).fetchall()
    kinds = [row["kind"] for row in expected]
    assert rows == sorted((kind, kinds.count(kind)) for kind in set(kinds))


@pytest.mark.lab
def test_a_live_table_streams_without_pyarrow_in_between(ct):
    polars = pytest.importorskip("polars")
    for sport in range(1, 101):
        ct.create(**udp(sport, mark=sport))
    frame = polars.DataFrame(ct.flows("mark < 51"))
    assert sorted(frame["orig_sport"].to_list()) == list(range(1, 51))
    assert frame["start_ns"].null_count() == 0


@pytest.mark.lab
def test_an_empty_table_has_all_columns(ct):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(ct.flows())
    assert table.num_rows == 0
    assert {"kind", "orig_src", "tcp_state", "unknown"} <= set(table.column_names)


@pytest.mark.lab
def test_an_entry_costs_at_most_250_bytes(ct):
    for sport in range(1, 2001):
        ct.create(**udp(sport))
    table = ct.flows().arrow()
    assert table.nbytes / table.num_rows <= 250


def datagram(data, received_ns):
    """41 rows of a dump, received at *received_ns*."""
    return ((data / "ctnetlink/datagram_dump_first.bin").read_bytes(), received_ns)


def test_small_batches_become_one_record_batch(data):
    pyarrow = pytest.importorskip("pyarrow")
    builder = _core.ColumnsBuilder()
    for received_ns in range(20):
        builder.append(conntap.Batch.of([datagram(data, received_ns)]))
    [batch] = pyarrow.table(builder.finish()).to_batches()
    assert batch.column("received_ns").cast("int64").to_pylist() == [at for at in range(20) for _ in range(41)]


def test_no_row_is_lost_or_moved_where_a_record_batch_ends(data):
    pyarrow = pytest.importorskip("pyarrow")
    builder = _core.ColumnsBuilder()
    whole = [
        conntap.Batch.of([datagram(data, at) for at in range(first, first + 100)]) for first in range(0, 4000, 100)
    ]
    for batch in whole:
        builder.append(batch)
    table = pyarrow.table(builder.finish())
    table.validate(full=True)
    assert len(table.to_batches()) == 3  # at most 65,536 rows and the last batch each
    assert table["received_ns"].cast("int64").to_pylist() == [at for at in range(4000) for _ in range(41)]
    one = pyarrow.record_batch(whole[0])["orig_src"].to_pylist()
    assert table["orig_src"].to_pylist() == one * 40


def test_a_builder_is_empty_after_its_table_was_taken(data):
    builder = _core.ColumnsBuilder()
    builder.append(conntap.Batch.of([datagram(data, 1)]))
    first = builder.finish()
    assert (len(first), len(builder.finish())) == (41, 0)


def test_a_table_can_be_read_again_and_outlives_its_owner(recording, expected):
    pyarrow = pytest.importorskip("pyarrow")
    table = recording.arrow()
    first, second = pyarrow.table(table), pyarrow.table(table)
    del table, recording
    gc.collect()
    assert first.equals(second)
    assert first["kind"].to_pylist() == [row["kind"] for row in expected]


def test_capsules_that_nobody_reads_are_released(data):
    batch = conntap.Batch.of([datagram(data, 1)] * 100)
    builder = _core.ColumnsBuilder()
    builder.append(batch)
    table = builder.finish()
    for _ in range(200):  # 200 × 0.8 MB would show
        batch.__arrow_c_array__()
        table.__arrow_c_stream__()
        table.__arrow_c_schema__()
    before = resident_bytes()
    for _ in range(400):
        batch.__arrow_c_array__()
        table.__arrow_c_stream__()
    assert resident_bytes() - before < 64 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_threads_may_fill_one_builder(data):
    builder = _core.ColumnsBuilder()
    batch = conntap.Batch.of([datagram(data, 1)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: builder.append(batch), range(800)))
    assert len(builder.finish()) == 800 * 41
