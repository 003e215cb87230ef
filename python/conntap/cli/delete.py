"""`conntap delete`: delete the connections that a filter selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conntap.cli.options import filter_argument, netns_option

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["delete"]


@click.command(epilog="Example: conntap delete --dry-run src 10.0.0.7")
@filter_argument
@netns_option
@click.option("--all", "everything", is_flag=True, help="Delete the whole table (instead of a filter).")
@click.option("--expectations", is_flag=True, help="Delete expectations instead of connections.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N.")
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@click.pass_obj
def delete(
    io: IO,
    words: tuple[str, ...],
    netns: str | None,
    everything: bool,
    expectations: bool,
    limit: int | None,
    dry_run: bool,
) -> int:
    """Delete the connections that match FILTER. Exit 1 when there was none."""
    import conntap

    text = " ".join(words)
    if everything == bool(text):
        raise click.UsageError("say which: a filter, or --all for the whole table")
    if everything and limit:
        raise click.UsageError("--limit goes with a filter, not with --all")
    if expectations and limit and not dry_run:
        raise click.UsageError("--limit goes with connections, not with --expectations")
    with conntap.open(netns) as ct:
        if dry_run:
            from conntap.cli.output import make_formatter

            formatter, shown = make_formatter(io, table=True), 0
            table = ct.expectations(text) if expectations else ct.flows(text)
            for batch in table.batches():
                batch = batch if limit is None else batch.head(limit - shown)
                shown += len(batch)
                io.write(formatter.format(batch))
            io.write(formatter.finish())
            io.say(f"{shown:,} would be deleted")
            return 0 if shown else 1
        if expectations:
            deleted = ct.delete_expectations(text)
        elif everything:
            deleted = ct.count()
            ct.flush()
        else:
            deleted = ct.delete(text, limit=limit)
    io.say(f"{deleted:,} deleted")
    return 0 if deleted else 1
