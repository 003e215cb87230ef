"""`conntap sql`: any question to a ledger, in DuckDB's SQL."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.asking import ledger_options, note_question, open_ledger, warn_withheld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.cli.io import IO

__all__ = ["sql", "write_csv", "write_json"]

ROWS_SHOWN = 1000

EPILOG = (
    "Example: conntap sql 'SELECT orig_src, sum(bytes) FROM flows GROUP BY ALL ORDER BY 2 DESC LIMIT 10' · "
    "conntap sql --init > init.sql; duckdb -init init.sql"
)


@click.command(epilog=EPILOG)
@click.argument("query", required=False)
@click.option("--json", "json_", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_", is_flag=True, help="Comma-separated values, names first.")
@click.option("--init", is_flag=True, help="Print the SQL that makes the views in any DuckDB, and ask nothing.")
@ledger_options(utc=False)
@click.pass_obj
def sql(
    io: IO,
    query: str | None,
    json_: bool,
    csv_: bool,
    init: bool,
    directory: str | None,
    case: str | None,
) -> None:
    """Ask a ledger in SQL: views flows (addresses as text), records (as they are on disk), gaps, segments, decisions.

    Without QUERY it is read from standard input. Times are in UTC.
    """
    if json_ and csv_:
        raise click.UsageError("--json or --csv, not both")
    ledger = open_ledger(directory)
    if init:
        io.write(ledger.init_sql().encode())
        return
    if query is None:
        if sys.stdin.isatty():
            raise click.UsageError("say what: conntap sql 'SELECT …', or give it on standard input")
        query = str(sys.stdin.read())
    if not query.strip().rstrip(";").strip():
        raise click.UsageError("the query is empty")
    result = ledger.sql(query)
    names, rows = result.fetch()
    warn_withheld(io, result)
    note_question(io, ledger, {"command": "sql", "query": query}, case=case, found=len(rows))
    if json_:
        write_json(io, names, rows)
    elif csv_:
        write_csv(io, names, rows)
    else:
        from conntap.cli.pictures import table

        numbers = frozenset(
            at
            for at in range(len(names))
            if rows and all(isinstance(row[at], (int, float, type(None))) for row in rows)
        )
        io.write(table(names, rows[:ROWS_SHOWN], width=io.width, right=numbers).encode())
        left = (
            f", {len(rows) - ROWS_SHOWN:,} of them not shown (--csv, --json show all)" if len(rows) > ROWS_SHOWN else ""
        )
        io.say(f"{len(rows):,} row{'s' if len(rows) != 1 else ''}{left}")


def write_json(io: IO, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """One object a line; times as ISO 8601 in UTC, bytes as hex; no nulls, as everywhere."""
    lines = (
        json.dumps(
            {name: value for name, value in zip(names, row) if value is not None}, default=plain, separators=(",", ":")
        )
        for row in rows
    )
    io.write("".join(f"{line}\n" for line in lines).encode())


def write_csv(io: IO, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Names first; nothing for null."""
    import csv
    from io import StringIO

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(
            [plain(value) if isinstance(value, bytes) or hasattr(value, "isoformat") else value for value in row]
        )
    io.write(text.getvalue().encode())


def plain(value: object) -> object:
    """What JSON has no form for."""
    if isinstance(value, bytes):
        return value.hex()
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat is not None else str(value)
