"""`conntap expect`: the connections that helpers have announced, told in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from conntap.cli.engine import engine_options, files_and_filter, refuse_engine_options, take_engine_options
from conntap.cli.options import listen_options, netns_option, output_options, stream_options
from conntap.cli.packets import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["expect"]

#: Options that mean nothing to a table.
ONLY_WATCHING = {
    "count": "--count",
    "duration": "--duration",
    "summary": "--summary",
    "reliable": "--reliable",
    "buffer_bytes": "--buffer",
}


@click.command(epilog="Examples: conntap expect --watch helper sip · conntap expect call.pcap --helper sip")
@click.argument("words", nargs=-1, metavar="[FILE]... [FILTER]...")
@output_options
@stream_options
@listen_options
@netns_option
@click.option("--watch", "follow", is_flag=True, help="Follow announcements as they come and go.")
@engine_options
@click.pass_context
def expect(ctx: click.Context, words: tuple[str, ...], follow: bool, netns: str | None, **options: Any) -> None:
    """Show who may connect where because a helper announced it; with a FILE of packets, behind its last one."""
    io: IO = ctx.obj
    engine = take_engine_options(options)
    files, text = files_and_filter(words)
    if follow and files:
        raise click.UsageError("--watch goes with the kernel's table: conntap replay FILE expectation")
    if not files:
        refuse_engine_options(engine, "a FILE of packets")
    if follow:
        from conntap.cli.watch import listen

        listen(io, f"expectation and ({text})" if text else "expectation", netns=netns, **options)
        return
    for name, option in ONLY_WATCHING.items():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} goes with --watch")
    if files and netns:
        raise click.UsageError("--netns goes with the kernel's table, not with a FILE")
    show(
        io,
        text,
        netns,
        files,
        engine,
        **{name: options[name] for name in ("format_", "json_", "ascii", "color", "utc", "names")},
    )


def show(io: IO, where: str, netns: str | None, files: list[str], engine: dict[str, Any], **output: Any) -> None:
    """Write the expectation table: the kernel's, or what packets leave behind."""
    from conntap.cli.output import make_formatter

    formatter = make_formatter(io, table=True, **output)
    shown = anyone = 0
    batches, behind = of_packets(io, where, files, engine) if files else (of_kernel(where, netns), "")
    for batch in batches:
        shown += len(batch)
        anyone += sum(expectation.any_source for expectation in batch.expectations())
        io.write(formatter.format(batch))
    io.write(formatter.finish())
    if anyone:
        io.say(f"{anyone} of {shown} may be used by anyone (!): docs/expectations.md says what that means")
    else:
        io.say(f"{shown} expectation{'' if shown == 1 else 's'}{behind}")


def of_kernel(where: str, netns: str | None) -> Iterator[_core.Batch]:
    """The kernel's table."""
    import conntap

    with conntap.open(netns) as ct:
        yield from ct.expectations(where).batches()


def of_packets(io: IO, where: str, files: list[str], engine: dict[str, Any]) -> tuple[list[_core.Batch], str]:
    """The table behind the last packet of captures, and what to say of it."""
    _, expectations = tables_of(io, files, engine, where)
    return [expectations.rows], f" behind {expectations.packets}"
