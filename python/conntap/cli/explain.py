"""`conntap explain`: the story of a connection, packet by packet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.engine import engine_options, files_and_filter, make_setup, take_engine_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.cli.io import IO
    from conntap.explain.listing import Choice
    from conntap.explain.story import Story
    from conntap.explain.style import Style

__all__ = ["explain"]


@click.command(
    epilog="Examples: conntap explain ftp.pcap 'dport 21' --helper ftp · "
    "conntap explain in.pcap 'host 10.0.0.5' --masquerade 203.0.113.1 --svg story.svg"
)
@click.argument("words", nargs=-1, required=True, metavar="FILE... [FILTER]...")
@click.option("--json", "json_", is_flag=True, help="One JSON object a step, then one with the sums.")
@click.option("--ladder", is_flag=True, help="Draw it: client, gateway, server, and arrows between them.")
@click.option("--svg", metavar="FILE", help="Write the drawing as a picture (of one connection).")
@click.option("--html", metavar="FILE", help="Write a page with the drawing, details and the table.")
@click.option("--overwrite", is_flag=True, help="Replace those FILEs if they exist.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
              help="Tell so many connections at most, each with its children.")  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Each packet has its line; otherwise ordinary ones are put together.")
@click.option("--events", is_flag=True, help="Below each packet the events as conntrack -E prints them.")
@click.option("--drain", is_flag=True, help="Let time go on behind the last packet until all connections ended.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.option("--color/--no-color", default=None, help="Colours (default: on a terminal, unless NO_COLOR is set).")
@engine_options
@click.pass_obj
def explain(
    io: IO,
    words: tuple[str, ...],
    json_: bool,
    ladder: bool,
    svg: str | None,
    html: str | None,
    overwrite: bool,
    limit: int,
    whole: bool,
    events: bool,
    drain: bool,
    ascii: bool,
    color: bool | None,
    **options: Any,
) -> None:
    """Tell the story of a connection in packet captures ("-" for stdin), packet by packet.

    A connection is told with its master and its children. Without FILTER the only one is told, and of several a list
    is shown.
    """
    from conntap.explain.ghosts import ghosts
    from conntap.explain.select import select
    from conntap.explain.style import Style
    from conntap.explain.tell import tell
    from conntap.explain.walk import Walk, spooled
    from conntap.filter import as_filter

    io.ascii = io.ascii or ascii
    style = Style(io.width, ascii=io.ascii, color=io.color if color is None else color)
    setup = make_setup(**take_engine_options(options))
    files, where = files_and_filter(words, first=True)
    refuse_existing(svg, html, overwrite=overwrite)
    with wrong_files(), spooled(files) as paths:
        wanted = as_filter(where)
        selection = select(Walk(paths, setup, names=files), wanted, limit=limit)
        families, found = selection.families, selection.found
        if not families:
            families = ghosts(Walk(paths, setup, names=files), wanted, limit=limit)
            found = len(families)
        if not families:
            raise nothing_found(files, where, selection.connections)
        if found > 1 and (not where or svg):
            choose(io, style, selection.choices(), files, svg=svg)
            return
        stories = tell(Walk(paths, setup, names=files), families, drain=drain)
    for fault in selection.faults:
        io.say(f"warning: {fault}")
    if svg:
        from conntap.explain.svg import picture

        write(io, svg, picture(stories[0], whole=whole), overwrite=overwrite)
    if html:
        from conntap.explain.html import page

        write(io, html, page(stories, source=" ".join([*files, where]).strip(), whole=whole), overwrite=overwrite)
    if not (svg or html) or json_ or ladder:
        show(io, stories, style, json_=json_, ladder=ladder, whole=whole, events=events)
    if found > len(stories):
        io.say(f"{found - len(stories):,} more match · --limit {found} tells all")
