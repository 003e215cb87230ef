"""`who` in a cold process on many NAT records: `python -m benches.ledger_who [DIR] [--records 100000000]`.

The ledger is made once, column by column in DuckDB, in the columns and the order that `_core.SegmentBuilder` gives a
segment of translations alone, 10 million records a segment as after compaction, and kept in DIR.

The generator: a carrier's gateway, 10,000 connections a second of 200,000 subscribers (drawn evenly) behind 1,024
addresses (a subscriber keeps one), outside ports drawn evenly from 1024 to 65535, half of them the port inside;
70 % TCP, 29 % UDP, 1 % ICMP; lives of up to 10 s (75 %), 3 min (20 %), 1 h (4.9 %), 12 h (0.1 %); times in nanoseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from benches import data
from benches.figures import spread as figure
from conntap.store.manifest import SegmentEntry, Writer

SEGMENT = 10_000_000
RATE = 10_000
#: 2026-11-02 00:00 UTC.
BEGIN = 1_793_577_600_000_000_000
FIRST_ADDRESS = 0xCB007000  # 203.0.112.0
#: Splits a row's number into draws that do not depend on each other.
DRAW = "(hash(i * 64 + {n}) % {most})"

CODE = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"


def rows(first: int, last: int) -> str:
    draw = lambda n, most: DRAW.format(n=n, most=most)  # noqa: E731
    life = (
        f"CASE WHEN {draw(1, 1000)} < 750 THEN {draw(2, 10_000_000_000)} WHEN {draw(1, 1000)} < 950 "
        f"THEN {draw(2, 180_000_000_000)} WHEN {draw(1, 1000)} < 999 THEN {draw(2, 3_600_000_000_000)} "
        f"ELSE {draw(2, 43_200_000_000_000)} END"
    )
    host = draw(3, 200_000)
    # A segment holds what ended in its time: a life lies before its end.
    return f"""
    SELECT 0::UTINYINT AS kind, 1::UTINYINT AS nat, 2::UTINYINT AS family,
      (CASE WHEN {draw(4, 100)} < 70 THEN 6 WHEN {draw(4, 100)} < 99 THEN 17 ELSE 1 END)::UTINYINT AS l4proto,
      ({FIRST_ADDRESS} + {host} % 1024)::UINTEGER AS out_addr, NULL::BLOB AS out_addr6,
      (1024 + {draw(5, 64_512)})::USMALLINT AS out_port,
      (1681915904 + {host})::UINTEGER AS in_addr, NULL::BLOB AS in_addr6,
      (CASE WHEN {draw(6, 2)} = 1 THEN 1024 + {draw(7, 64_512)} END)::USMALLINT AS in_port,
      NULL::UINTEGER AS dst_addr, NULL::BLOB AS dst_addr6, NULL::USMALLINT AS dst_port,
      NULL::UINTEGER AS dnat_addr, NULL::BLOB AS dnat_addr6, NULL::USMALLINT AS dnat_port,
      ({BEGIN} + i * {1_000_000_000 // RATE} + {draw(8, 100_000)}::BIGINT - ({life})::BIGINT)::BIGINT AS start_ns,
      ({life})::BIGINT AS duration_ns, NULL::BIGINT AS stop_after_ns,
      1::UTINYINT AS start_from, 1::UTINYINT AS stop_from, NULL::USMALLINT AS zone,
      NULL::VARCHAR AS exporter, NULL::UINTEGER AS domain
    FROM range({first}, {last}) t(i) ORDER BY out_addr, out_port, l4proto, start_ns"""


def make(directory: Path, records: int) -> None:
    """Write the ledger; what is there already stays."""
    import duckdb
    from arro3.io import write_parquet

    from conntap.store import segment

    folder = directory / "segments/2026-11-02"
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    for number, first in enumerate(range(0, records, SEGMENT)):
        path = folder / f"{number:04}.parquet"
        note = path.with_suffix(".json")
        if not note.exists():
            began = time.monotonic()
            database = duckdb.connect(config={"threads": "1", "memory_limit": "4GB"})
            database.execute(f"CREATE TABLE t AS {rows(first, min(first + SEGMENT, records))}")
            # As compaction writes them.
            write_parquet(database.sql("SELECT * FROM t"), str(path), **segment.settings(3))
            least, most, count = database.sql(
                "SELECT min(start_ns), max(start_ns + duration_ns), count(*) FROM t"
            ).fetchall()[0]
            database.close()
            told = {
                "path": str(path.relative_to(directory)), "rows": count, "size": path.stat().st_size,
                "min_start_ns": least, "max_stop_ns": most, "min_out_addr": FIRST_ADDRESS,
                "max_out_addr": FIRST_ADDRESS + 1023, "ipv6": False, "dnat": 0, "nat_only": True,
                "last_seq": first + count,
            }  # fmt: skip
            note.write_text(json.dumps(told))
            print(
                f"{path}: {path.stat().st_size / count:.2f} bytes a record, {time.monotonic() - began:.0f} s",
                flush=True,
            )
        lines.append(json.loads(note.read_text()))
    (directory / "manifest.jsonl").unlink(missing_ok=True)
    manifest = Writer(directory, at_ns=BEGIN)
    manifest.append({"type": "session", "event": "start", "at_ns": BEGIN})
    for line in lines:
        known = {one.name for one in fields(SegmentEntry)}
        entry = {key: value for key, value in line.items() if key in known}
        manifest.segment(SegmentEntry(line["path"], cls="nat", level=2, bytes=line["size"], **entry), at_ns=BEGIN)
    manifest.close()


def forget(directory: Path) -> str:
    """Drop the page cache: of the whole machine if we may, else of the ledger's files."""
    subprocess.run(["sync"], check=True)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        for path in directory.rglob("*.parquet"):
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        return "posix_fadvise(DONTNEED) on the ledger's files"
    return "drop_caches"


def run(*words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True)
    return (time.perf_counter() - began) * 1e3, done


def spread(values: list[float]) -> str:
    values = sorted(values)
    return f"median {values[len(values) // 2]:.0f} ms, {values[0]:.0f} to {values[-1]:.0f}"


def measure(directory: Path, records: int, rounds: int) -> dict[str, Any]:
    """Ask for flows that are there, in a new process each time; milliseconds, those of `--help` beside."""
    import duckdb

    draw = random.Random(7)
    columns = rows(0, records).partition("FROM range")[0]
    drawn = [draw.randrange(records) for _ in range(rounds)]
    picks = duckdb.sql(
        f"SELECT out_addr, out_port, l4proto, start_ns + duration_ns // 2 FROM "
        f"({columns} FROM (SELECT unnest({drawn})::BIGINT AS i))"
    ).fetchall()
    run("--help")
    help_ = [run("--help")[0] for _ in range(rounds)]
    print(f"conntap --help, warm: {spread(help_)}")
    base = sorted(help_)[len(help_) // 2]
    figures: dict[str, Any] = {"records": records, "help_ms": figure(help_), "questions": {}}

    def ask(address: int, port: int, protocol: int, moment: int) -> tuple[float, subprocess.CompletedProcess[str]]:
        where = f"{'.'.join(str(byte) for byte in address.to_bytes(4, 'big'))}:{port}"
        when = f"{moment // 1_000_000_000}.{moment % 1_000_000_000:09}"
        return run("who", where, str(protocol), "--at", when, "--ledger", str(directory), "--json")

    def table(name: str, questions: list[tuple[int, int, int, int]], *, cold: str = "") -> None:
        took: list[float] = []
        for question in questions:
            if cold == "machine":
                forget(directory)
                run("--help")  # the interpreter and click are no part of the question
            elif cold == "files":
                for path in directory.rglob("*.parquet"):
                    descriptor = os.open(path, os.O_RDONLY)
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(descriptor)
            cost, done = ask(*question)
            answer = json.loads(done.stdout)
            if "there" in name:
                assert any(found["sure"] for found in answer["candidates"]), (question, answer)
            took.append(cost)
        figures["questions"][name] = {"ms": figure(took), "beyond_ms": figure([one - base for one in took])}
        print(f"who, {name}: {spread(took)}; beyond --help: {sorted(took)[len(took) // 2] - base:.0f} ms")

    table("there, page cache warm", picks)
    late = [(a, p, n, BEGIN + (records - draw.randrange(1, 1000)) * (1_000_000_000 // RATE)) for a, p, n, _ in picks]
    table("at the end of the ledger, page cache warm", late)
    subprocess.run(["sync"], check=True)
    table("there, the ledger's files cold (posix_fadvise)", picks, cold="files")
    print(f"the whole machine's page cache dropped by: {forget(directory)}")
    table("there, the whole page cache cold but for `--help`", picks, cold="machine")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path, nargs="?", default=data.folder() / "who")
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--make", action="store_true", help="only make the ledger")
    options = parser.parse_args()
    make(options.directory, options.records)
    if not options.make:
        measure(options.directory, options.records, options.rounds)


if __name__ == "__main__":
    main()
