"""How fast events become a ledger on disk, and how many bytes a record takes there.

    python -m benches.ledger_write [--flows N] [--keep DIR]

Each part is timed by the process's CPU time, on one core where the system lets us choose: events → records (Ledger),
records → columns (SegmentBuilder), sorting, Parquet with fsync and manifest.
Then all is merged as the logger does, and measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any

from benches.ledger_flows import DESTROY, NEW, Shape, chunks, messages
from conntap import _core
from conntap.lock import Lock
from conntap.sinks.parquet import ParquetSink
from conntap.store.compact import merge
from conntap.store.manifest import Manifest, Writer

__all__ = ["measure"]


def measure(shape: Shape, directory: str, *, news: bool = True) -> dict[str, Any]:
    """Write both kinds of ledger from the same events, and merge them."""
    ledger = _core.Ledger(seed=(1, 2))
    sinks = {
        kind: ParquetSink("parquet:", os.path.join(directory, kind), nat_only=kind == "nat", compact=False)
        for kind in ("flows", "nat")
    }
    for sink in sinks.values():
        sink.open()
    spent: dict[str, float] = dict.fromkeys(("ledger", "flows", "nat"), 0.0)
    records = 0
    for chunk in chunks(shape):
        batches = [_core.Batch.of(messages(chunk, what)) for what in ((NEW, DESTROY) if news else (DESTROY,))]
        began = time.process_time()
        made = [ledger.feed(batch) for batch in batches]
        spent["ledger"] += time.process_time() - began
        records += sum(map(len, made))
        for kind, sink in sinks.items():
            began = time.process_time()
            for batch in made:
                sink.write(batch)
            join()  # what is published beside counts as well
            spent[kind] += time.process_time() - began
    for kind, sink in sinks.items():
        began = time.process_time()
        sink.flush()
        spent[kind] += time.process_time() - began
        sink.close()
    figures: dict[str, Any] = {"flows": shape.flows, "records": records, "seconds": spent}
    for kind in sinks:
        figures[kind] = {
            "flows_a_second": shape.flows / (spent["ledger"] + spent[kind]),
            "bytes_a_record": size(os.path.join(directory, kind)),
        }
        began = time.process_time()
        merge_all(os.path.join(directory, kind))
        figures[kind]["merged_bytes_a_record"] = size(os.path.join(directory, kind))
        figures[kind]["merge_rows_a_cpu_second"] = records / (time.process_time() - began)
    return figures


def join() -> None:
    """Wait for whoever publishes."""
    for thread in threading.enumerate():
        if thread.name == "ledger segment":
            thread.join()


def size(directory: str) -> float:
    """Bytes a row in segments that count."""
    segments = Manifest.read(directory).segments.values()
    return sum(one.bytes for one in segments) / sum(one.rows for one in segments)


def merge_all(directory: str) -> None:
    """Make one segment of all."""
    with Lock(directory):
        manifest = Writer(directory, at_ns=_core.now_ns())
        merge(directory, manifest, list(manifest.state.segments.values()), level=2, now_ns=_core.now_ns())
        manifest.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=10_000_000)
    parser.add_argument(
        "--destroy-only", action="store_true", help="no NEW events, as on a gateway that logs ends alone"
    )
    parser.add_argument("--keep", help="leave the ledgers in this directory")
    chosen = parser.parse_args()
    with suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    directory = chosen.keep or tempfile.mkdtemp(prefix="conntap-ledger-")
    try:
        print(json.dumps(measure(Shape(flows=chosen.flows), directory, news=not chosen.destroy_only), indent=2))
    finally:
        if not chosen.keep:
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
