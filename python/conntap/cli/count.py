"""`conntap count`: how many connections, of all or of those that a filter selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conntap.cli.options import filter_argument, netns_option

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["count"]


@click.command(epilog="Example: conntap count udp and not replied")
@filter_argument
@netns_option
@click.option("--json", "json_", is_flag=True, help="As a JSON object, with the limit.")
@click.pass_obj
def count(io: IO, words: tuple[str, ...], netns: str | None, json_: bool) -> None:
    """Count connections: the kernel's own number, or those that match FILTER."""
    import conntap

    text = " ".join(words)
    with conntap.open(netns) as ct:
        number = ct.flows(text).count() if text else ct.count()
        limit = ct.limit() if json_ else None
    io.write((f'{{"count": {number}, "limit": {limit or "null"}}}\n' if json_ else f"{number}\n").encode())
