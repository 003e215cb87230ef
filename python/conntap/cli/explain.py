"""`conntap explain`: the story of a connection, packet by packet."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from conntap.cli.engine import (
    engine_options,
    files_and_filter,
    make_setup,
    refuse_engine_options,
    take_engine_options,
)
from conntap.cli.explain_live import explain_live, is_live
from conntap.cli.options import netns_option
from conntap.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from conntap.cli.io import IO
    from conntap.explain.select import Selection
    from conntap.explain.story import Story
    from conntap.explain.style import Style

__all__ = ["explain"]

#: Lines written at a time.
BLOCK: Final = 256


@click.command(
    epilog="Examples: conntap explain ftp.pcap 'dport 21' --helper ftp · "
    "conntap explain in.pcap 'host 10.0.0.5' --masquerade 203.0.113.1 --svg story.svg"
)
@click.argument("words", nargs=-1, required=True, metavar="FILE...|expectation|flow [FILTER]...")
@netns_option
@click.option("--json", "json_", is_flag=True, help="One JSON object a step (an expectation, a flow), then the sums.")
@click.option("--ladder", is_flag=True, help="Draw it: client, gateway, server, and arrows between them.")
@click.option("--svg", metavar="FILE", help="Write the drawing as a picture (of one connection).")
@click.option("--html", metavar="FILE", help="Write a page with the drawing, details and the table.")
@click.option("--overwrite", is_flag=True, help="Replace those FILEs if they exist.")
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
              help="Tell so many connections at most, each with its children.")  # fmt: skip
@click.option(
    "--all", "whole", is_flag=True, help="Each packet has its line; otherwise ordinary ones are put together."
)
@click.option("--events", is_flag=True, help="Below each packet the events as conntrack -E prints them.")
@click.option("--drain", is_flag=True, help="Let time go on behind the last packet until all connections ended.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.option("--color/--no-color", default=None, help="Colours (default: on a terminal, unless NO_COLOR is set).")
@engine_options
@click.pass_obj
def explain(
    io: IO,
    words: tuple[str, ...],
    netns: str | None,
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
    is shown. Instead of FILEs, `expectation` or `flow` tells of the kernel's tables: who assigned the helper, which
    master, which NAT, who may use it, which rule lets it in, until when.
    """
    if is_live(words):
        refuse_engine_options(take_engine_options(options), "packet captures")
        for option, given in {"--ladder": ladder, "--svg": svg, "--html": html, "--all": whole, "--events": events,
                              "--drain": drain}.items():  # fmt: skip
            if given:
                raise click.UsageError(f"{option} goes with packet captures")
        io.ascii = io.ascii or ascii
        explain_live(io, words, netns=netns, json_=json_, limit=limit)
        return
    if netns is not None:
        raise click.UsageError(
            "--netns goes with the kernel's tables: conntap explain expectation, conntap explain flow"
        )
    from conntap.explain.ghosts import ghosts
    from conntap.explain.select import select
    from conntap.explain.style import Style
    from conntap.explain.tell import tell
    from conntap.explain.walk import Walk, spooled
    from conntap.filter import as_filter

    io.ascii = io.ascii or ascii
    style = Style(io.width, ascii=io.ascii, color=io.color if color is None else color)
    setup = make_setup(io, take_engine_options(options))
    files, where = files_and_filter(words, first=True)
    check_places(files, svg, html, overwrite=overwrite)
    wanted = as_filter(where)
    with wrong_files(), spooled(files) as paths:
        selection = select(Walk(paths, setup, names=files), wanted, limit=limit)
        families, found = selection.families, selection.found
        if not families:
            families = ghosts(Walk(paths, setup, names=files), wanted, limit=limit)
            found = len(families)
        if not families:
            raise nothing_found(files, where, select(Walk(paths, setup, names=files), None, limit=3))
        several = found > 1 and not where
        if found > 1 and svg:
            hint = "a filter picks one: 'id N'; --html shows all"
            raise UsageError(f"{found:,} connections match, and a picture shows one", hint=hint)
        stories = [] if several else tell(Walk(paths, setup, names=files), families, drain=drain)
    for fault in selection.faults:
        io.say(f"warning: {fault}")
    if several:
        choose(io, selection, style, files, json_=json_)
        return
    for path, text in drawn(stories, svg, html, " ".join([*files, where]).strip(), whole=whole):
        write(io, path, text, overwrite=overwrite)
    if json_ or ladder or not (svg or html):
        show(io, stories, style, json_=json_, ladder=ladder, whole=whole, events=events)
    for hint in helper_hints(stories):
        io.say(hint)
    if found > len(stories):
        io.say(f"{found - len(stories):,} more connections match · --limit {found} tells all")


@contextmanager
def wrong_files() -> Generator[None]:
    """A file that cannot be read was the mistake of who named it."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error


def nothing_found(files: list[str], where: str, there: Selection) -> UsageError:
    """The error where no connection matches: it says which there are."""
    from conntap.explain.listing import choices

    name = " ".join(files)
    if not there.families:
        counters = there.counters
        counted = f"{counters.get('packets', 0):,} packets, {counters.get('invalid', 0):,} of them invalid"
        return UsageError(f"{name} holds no connection ({counted})", hint=f"conntap replay {name}")
    said = "; ".join(f"{choice} (id {choice.id})" for choice in choices(there.families))
    more = f"; … {there.found:,} in all" if there.found > len(there.families) else ""
    return UsageError(f"no connection matches '{where}'", hint=f"there {_are(there.found)}: {said}{more}")


def helper_hints(stories: list[Story]) -> list[str]:
    """Where a connection goes to a helper's port and carries none, that may be why nothing was expected."""
    from conntap.explain.protocols import PROTOCOLS
    from conntap.helpers.registry import well_known

    ports = {(PROTOCOLS[l4proto], port): names[0] for (l4proto, port), names in well_known().items()}
    roots = [story.root for story in stories if story.root.flow_id is not None and not story.root.helper]
    found = {ports.get((root.protocol, root.original.dport or 0)) for root in roots} - {None}
    return [
        f"hint: no helper reads these packets; --helper {name} tells what it would announce"
        for name in sorted(map(str, found))
    ]


def _are(number: int) -> str:
    return "is one" if number == 1 else f"are {number:,}"


def check_places(files: list[str], *places: str | None, overwrite: bool) -> None:
    """Refuse to write over what is read, or over what is there.

    Raises:
        UsageError: a file would be destroyed.
    """
    read = {os.path.realpath(file) for file in files if file != "-"}
    for place in filter(None, places):
        if os.path.realpath(place) in read:
            raise UsageError(f"{place} cannot be read and written at once", hint="choose another name")
        if place != "-" and os.path.exists(place) and not overwrite:
            raise UsageError(f"{place} exists", hint="choose another name, or --overwrite")


def drawn(
    stories: list[Story], svg: str | None, html: str | None, source: str, *, whole: bool
) -> Iterator[tuple[str, str]]:
    """The files that are asked for: (name, text)."""
    if svg:
        from conntap.explain.svg import picture

        yield svg, picture(stories[0], whole=whole)
    if html:
        from conntap.explain.html import page

        yield html, page(stories, source=source, whole=whole)


def write(io: IO, place: str, text: str, *, overwrite: bool) -> None:
    """Write a file, "-" to stdout.

    Raises:
        UsageError: it cannot be written.
    """
    if place == "-":
        io.write(text.encode())
        return
    try:
        with open(place, "w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}") from error
    io.say(f"wrote {place}")


def choose(io: IO, selection: Selection, style: Style, files: list[str], *, json_: bool) -> None:
    """Show which connections there are."""
    from conntap.explain.listing import json_choices, list_choices

    command = " ".join(["conntap explain", *files])
    emit(io, json_choices(selection) if json_ else list_choices(selection, style, command=command))


def show(io: IO, stories: list[Story], style: Style, *, json_: bool, ladder: bool, whole: bool, events: bool) -> None:
    """Write the stories one after the other."""
    from conntap.explain.as_json import json_lines
    from conntap.explain.ladder_text import ladder_lines
    from conntap.explain.text import table

    for number, story in enumerate(stories, start=1):
        if json_:
            emit(io, json_lines(story, number))
            continue
        if number > 1:
            io.write(b"\n")
        emit(io, ladder_lines(story, style, whole=whole) if ladder else table(story, style, whole=whole, events=events))


def emit(io: IO, lines: Iterable[str]) -> None:
    """Write lines, some hundred at a time."""
    waiting: list[str] = []
    for line in lines:
        waiting.append(f"{line}\n")
        if len(waiting) == BLOCK:
            io.write("".join(waiting).encode())
            waiting.clear()
    io.write("".join(waiting).encode())
