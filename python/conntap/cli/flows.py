"""`conntap flows`: connections of a ledger, listed or summed up, with pictures where a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.asking import ledger_options, note_question, open_ledger
from conntap.cli.options import Duration, filter_argument

if TYPE_CHECKING:
    from conntap.cli.io import IO
    from conntap.store.query import Ledger

__all__ = ["flows"]

#: What --sum adds up → its expression. Records add up by what they tell anew; a flow counts once.
SUMS = {"bytes": "bytes", "packets": "packets", "flows": "CASE WHEN kind IN ('FLOW', 'OPEN') THEN 1 ELSE 0 END"}
#: What a list shows: name → column.
SHOWN = (
    "strftime(start_ns, '%Y-%m-%d %H:%M:%S') AS start", "round(duration, 1) AS seconds", "protocol",
    "orig_src", "coalesce(orig_sport, orig_icmp_id) AS port",
    "CASE WHEN nat IN ('snat', 'snat,dnat') THEN reply_dst END AS outside",
    "CASE WHEN nat IN ('snat', 'snat,dnat') THEN coalesce(reply_dport, reply_icmp_id) END AS outside_port",
    "orig_dst", "orig_dport", "CASE WHEN nat IN ('dnat', 'snat,dnat') THEN reply_src END AS server",
    "orig_bytes AS up", "reply_bytes AS down", "coalesce(end_reason, lower(kind)) AS ended",
)  # fmt: skip
BUCKETS = 24
BAR = 24

EPILOG = (
    "Examples: conntap flows 'tcp and dport 443' --from -1h --by orig_src --top 10 · "
    "conntap flows --every 5m --sum flows · conntap flows nat --from 08:00 --to 09:00 --parquet morning.parquet"
)


@click.command(epilog=EPILOG)
@filter_argument
@click.option("--from", "first", metavar="TIME", help="Of connections that lived at this time or later.")
@click.option("--to", "last", metavar="TIME", help="… at this time or before.")
@click.option("--by", metavar="COLUMN,…", help="One line for each value of these columns (docs/query.md).")
@click.option(
    "--sum", "what", type=click.Choice(list(SUMS)), help="What is added up. [default: bytes, with --every flows]"
)
@click.option("--every", type=Duration(), metavar="TIME", help="One line for each stretch of this length.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the N largest. [default with --by: 20]")
@click.option("--json", "json_", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_", is_flag=True, help="Comma-separated values, names first.")
@click.option("--parquet", metavar="FILE", help="Write all columns to a Parquet FILE instead.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@ledger_options
@click.pass_obj
def flows(io: IO, words: tuple[str, ...], **options: Any) -> None:
    """Show connections of a ledger that FILTER wants, or sums of them."""
    from conntap._core import now_ns
    from conntap.store.times import to_ns

    io.ascii = io.ascii or options["ascii"]
    utc: bool = options["utc"]
    if sum(bool(options[name]) for name in ("json_", "csv_", "parquet")) > 1:
        raise click.UsageError("--json, --csv or --parquet, one of them")
    now = now_ns()
    within = tuple(
        None if text is None else to_ns(text, now_ns=now, utc=utc) for text in (options["first"], options["last"])
    )
    where = " ".join(words)
    ledger = open_ledger(options["directory"])
    ask = Asking(io, ledger, where, (within[0], within[1]), utc=utc)
    if options["parquet"]:
        if options["by"] or options["every"]:
            raise click.UsageError("--parquet writes connections: without --by and --every")
        ledger.flows(where, between=ask.within).write_parquet(options["parquet"])
        found = -1
    elif options["by"]:
        found = ask.by(
            options["by"].split(","), options["what"] or "bytes", options["top"] or 20, options["every"], options
        )
    elif options["every"]:
        found = ask.every(options["every"], options["what"] or "flows", options)
    else:
        found = ask.listing(options["what"] or "bytes", options["top"], options)
    asked = {"command": "flows", "filter": where, "from_ns": within[0], "to_ns": within[1], "by": options["by"]}
    note_question(io, ledger, asked, case=options["case"], found=found)


class Asking:
    """One command line's question."""

    def __init__(self, io: IO, ledger: Ledger, where: str, within: tuple[int | None, int | None], *, utc: bool) -> None:
        self.io = io
        self.ledger = ledger
        self.where = where
        self.within = within
        self.utc = utc

    def fetch(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        return self.ledger.select(query, self.where, between=self.within).fetch()

    def write(self, names: list[str], rows: list[tuple[Any, ...]], options: dict[str, Any]) -> bool:
        """For programs; False where people read."""
        from conntap.cli.sql import write_csv, write_json

        if options["json_"]:
            write_json(self.io, names, rows)
        elif options["csv_"]:
            write_csv(self.io, names, rows)
        return options["json_"] or options["csv_"]

    def bounds(self) -> tuple[int, int]:
        """The time that is asked for, or else that of all that is found."""
        low, high = self.within
        if low is None or high is None:
            _, rows = self.fetch("SELECT min(epoch_ns(last_ns)), max(epoch_ns(last_ns)) FROM flows")
            found = rows[0]
            low = (found[0] or 0) if low is None else low
            high = (found[1] or 0) if high is None else high
        return low, max(high, low + 1)

    def listing(self, what: str, top: int | None, options: dict[str, Any]) -> int:
        """Connections one by one, in order of their beginning or the largest first."""
        order = f"{SUMS[what]} DESC NULLS LAST" if top else "start_ns"
        limit = f" LIMIT {top}" if top else ""
        if options["json_"] or options["csv_"]:
            times = ", ".join(f"epoch_ns({name}) AS {name}" for name in ("start_ns", "stop_ns", "stop_after_ns"))
            query = f"SELECT * EXCLUDE (last_ns) REPLACE ({times}) FROM flows ORDER BY {order}{limit}"
            names, rows = self.fetch(query)
            self.write(names, rows, options)
            return len(rows)
        from conntap.cli.pictures import table

        start = "" if self.utc else ""
        names, rows = self.fetch(f"SELECT {', '.join(SHOWN)}{start} FROM flows ORDER BY {order}{limit}")
        right = frozenset(
            at
            for at, name in enumerate(names)
            if name in ("seconds", "port", "outside_port", "orig_dport", "up", "down")
        )
        self.io.write(table([name.upper() for name in names], rows, width=self.io.width, right=right).encode())
        self.io.say(f"{len(rows):,} record{'s' if len(rows) != 1 else ''}, times in UTC")
        return len(rows)

    def by(self, by: list[str], what: str, top: int, every: float | None, options: dict[str, Any]) -> int:
        """One line for each value, the largest first, with its share, a bar and its course."""
        from conntap.cli.pictures import bar, human, sparkline, table

        columns = list(self.ledger.known_columns(name.strip() for name in by))
        listed = ", ".join(columns)
        low, high = self.bounds()
        step = round(every * 1e9) if every else max(1, -(-(high - low) // BUCKETS))
        query = (
            f"SELECT {listed}, sum(v)::BIGINT AS {what}, list(struct_pack(at := bucket, v := v)) AS course, "
            f"sum(sum(v)) OVER ()::BIGINT AS everything FROM "
            f"(SELECT {listed}, greatest(0, (epoch_ns(last_ns) - {low}) // {step}) AS bucket, "
            f"sum({SUMS[what]})::BIGINT AS v FROM flows GROUP BY ALL) GROUP BY {listed} "
            f"ORDER BY {what} DESC NULLS LAST, {listed} LIMIT {top}"
        )
        names, rows = self.fetch(query)
        if self.write(names[: len(columns) + 1], [row[: len(columns) + 1] for row in rows], options):
            return len(rows)
        most = max((row[len(columns)] or 0 for row in rows), default=0)
        shown: list[list[object]] = []
        for row in rows:
            *values, total, course, everything = row
            total = total or 0
            line = [*values, human(total), f"{100 * total / everything:.0f} %" if everything else ""]
            if self.io.is_tty:
                heights = [0.0] * max(1, min(BUCKETS * 4, -(-(high - low) // step)))
                for point in course:
                    heights[min(len(heights) - 1, int(point["at"]))] += point["v"] or 0
                line += [bar(total, most, BAR, ascii=self.io.ascii), sparkline(heights, ascii=self.io.ascii)]
            shown.append(line)
        heads = [*(name.upper() for name in columns), what.upper(), "SHARE", *(["", ""] if self.io.is_tty else [])]
        self.io.write(
            table(heads, shown, width=self.io.width, right=frozenset({len(columns), len(columns) + 1})).encode()
        )
        return len(rows)

    def every(self, every: float, what: str, options: dict[str, Any]) -> int:
        """One line for each stretch of time."""
        from conntap.cli.pictures import bar, human, table
        from conntap.store.times import show

        step = max(1, round(every * 1e9))
        query = (
            f"SELECT (epoch_ns(last_ns) // {step}) * {step} AS from_ns, sum({SUMS[what]})::BIGINT AS {what} "
            "FROM flows GROUP BY 1 ORDER BY 1"
        )
        names, found = self.fetch(query)
        values = {at: value or 0 for at, value in found if at is not None}
        if values:  # stretches of which there is nothing are lines, too
            first, last = min(values), max(values)
            if (last - first) // step > 100_000:
                raise click.UsageError(
                    f"--every {every:g}s makes more than 100,000 lines; say more, or --from and --to"
                )
            values = {at: values.get(at, 0) for at in range(first, last + step, step)}
        rows = [(at, value) for at, value in values.items()]
        if self.write(names, rows, options):
            return len(rows)
        most = max(values.values(), default=0)
        shown = [
            [
                show(at, utc=self.utc)[:19],
                human(value),
                *([bar(value, most, BAR * 2, ascii=self.io.ascii)] if self.io.is_tty else []),
            ]
            for at, value in rows
        ]
        heads = ["FROM", what.upper(), *([""] if self.io.is_tty else [])]
        self.io.write(table(heads, shown, width=self.io.width, right=frozenset({1})).encode())
        return len(rows)
