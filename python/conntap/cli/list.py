"""`conntap list`: the connections that the kernel holds now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.engine import engine_options, files_and_filter, refuse_engine_options, take_engine_options
from conntap.cli.options import netns_option, output_options
from conntap.cli.packets import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["list_"]

#: What --sort understands → the value of a flow, None sorts last.
SORT_KEYS = ("bytes", "packets", "age", "timeout")


@click.command("list", epilog="Examples: conntap list 'dport 443' --sort bytes --top 5 · conntap list office.pcap nat")
@click.argument("words", nargs=-1, metavar="[FILE]... [FILTER]...")
@output_options
@netns_option
@click.option(
    "--sort", type=click.Choice(SORT_KEYS), help="Largest first. Reads the whole table before the first line."
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N rows.")
@click.option("--zero", is_flag=True, help="Set all counters to zero as they are read (no FILTER).")
@engine_options
@click.pass_obj
def list_(
    io: IO,
    words: tuple[str, ...],
    netns: str | None,
    sort: str | None,
    top: int | None,
    zero: bool,
    **output: Any,
) -> None:
    """Show the connections that the kernel holds now; with a FILE of packets, those that it would hold behind them."""
    import conntap
    from conntap.cli.output import make_formatter

    engine = take_engine_options(output)
    formatter = make_formatter(io, table=True, **output)
    files, where = files_and_filter(words)
    if files:
        if netns or zero:
            raise click.UsageError(f"{'--netns' if netns else '--zero'} goes with the kernel's table, not with a FILE")
        show_packets(io, formatter, files, where, engine, sort=sort, top=top)
        return
    refuse_engine_options(engine, "a FILE of packets")
    with conntap.open(netns) as ct:
        flows = ct.flows(where, zero=zero)
        shown, total, limit = 0, ct.count(), ct.limit()
        # Even an empty table costs the kernel a walk over its whole hash (13 ms for 262,144 buckets).
        if not total:
            batches: Iterator[_core.Batch] = iter(())
        else:
            batches = flows.batches() if sort is None else iter([largest(flows.batches(), sort, top)])
        for batch in batches:
            if top is not None:
                batch = batch.head(top - shown)
            io.write(formatter.format(batch))
            shown += len(batch)
            if shown == top:
                break
        io.write(formatter.finish())
        if flows.interrupted:
            io.say("warning: the kernel says that the table changed while it was read; entries may be missing")
    line = f"{shown:,} of {total:,} entries"
    if limit:
        line += f" (table {100 * total / limit:.0f} % of {limit:,})"
    io.say(line)


def show_packets(
    io: IO,
    formatter: _core.Formatter,
    files: list[str],
    where: str,
    engine: dict[str, Any],
    *,
    sort: str | None,
    top: int | None,
) -> None:
    """Write the flow table that packets leave behind."""
    flows, _ = tables_of(io, files, engine, where)
    shown = flows.rows
    if sort is not None:
        shown = largest([shown], sort, top)
    elif top is not None:
        shown = shown.head(top)
    io.write(formatter.format(shown))
    io.write(formatter.finish())
    io.say(f"{len(shown):,} of {flows.total:,} entries behind {flows.packets}")


def largest(batches: Any, key: str, top: int | None) -> _core.Batch:
    """Return the `top` rows with the largest `key`, in that order."""
    import heapq

    from conntap import _core

    def value(row: _core.Flow) -> int:
        counters = (row.original_counters, row.reply_counters)
        if key == "bytes":
            return sum(side.bytes or 0 for side in counters if side)
        if key == "packets":
            return sum(side.packets or 0 for side in counters if side)
        if key == "age":
            return -(row.start_ns or 1 << 63)
        return row.timeout or 0

    rows = (flow for batch in batches for flow in batch.flows())
    found = heapq.nlargest(top, rows, key=value) if top else sorted(rows, key=value, reverse=True)
    return _core.Batch.of([(flow.message(), flow.received_ns) for flow in found])
