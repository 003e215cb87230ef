"""ClickHouse's engine reads the segments of a ledger as they are.

It comes as the package chdb, half a gigabyte, which `make setup` does not install: `pip install chdb`, then this runs.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from conntap.sinks.parquet import ParquetSink
from records import made

chdb = pytest.importorskip("chdb", reason="needs the program chdb")

QUERY = """
SELECT IPv4NumToString(assumeNotNull(out_addr)) AS outside, out_port, l4proto,
       toString(fromUnixTimestamp64Nano(assumeNotNull(start_ns))) AS start, orig_bytes
FROM file('{path}', Parquet) WHERE family = 2 AND kind = 0 ORDER BY start_ns, out_port
"""


def test_it_has_the_same_rows(tmp_path):
    sink = ParquetSink(f"parquet:{tmp_path}", str(tmp_path))
    sink.open()
    batches = made(bindings="nat")
    for batch in batches:
        sink.write(batch)
    sink.close()
    [path] = Path(tmp_path).glob("segments/*/*.parquet")
    rows = list(csv.reader(io.StringIO(str(chdb.query(QUERY.format(path=path), "CSV")))))
    ended = [row.flow for batch in batches for row in batch.events() if row.kind == "FLOW" and row.flow.family == 2]
    assert len(rows) == len(ended) > 0
    told = {
        (flow.reply.dst, flow.reply.dport, flow.l4proto)
        for flow in ended
        if flow.record.nat and "snat" in flow.record.nat
    }
    seen = {(row[0], int(row[1]) if row[1] != "\\N" else None, int(row[2])) for row in rows}
    assert {(str(address), port, protocol) for address, port, protocol in told} <= seen
