"""`conntap expect`: the connections that helpers have announced, told in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from conntap.cli.options import filter_argument, listen_options, netns_option, output_options, stream_options

if TYPE_CHECKING:
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


@click.command(epilog="Example: conntap expect --watch helper sip")
@filter_argument
@output_options
@stream_options
@listen_options
@netns_option
@click.option("--watch", "follow", is_flag=True, help="Follow announcements as they come and go.")
@click.pass_context
def expect(ctx: click.Context, words: tuple[str, ...], follow: bool, netns: str | None, **options: Any) -> None:
    """Show who may connect where because a helper announced it."""
    io: IO = ctx.obj
    text = " ".join(words)
    if follow:
        from conntap.cli.watch import listen

        listen(io, f"expectation and ({text})" if text else "expectation", netns=netns, **options)
        return
    for name, option in ONLY_WATCHING.items():
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} goes with --watch")
    show(io, text, netns, **{name: options[name] for name in ("format_", "json_", "ascii", "color", "utc", "names")})


def show(io: IO, where: str, netns: str | None, **output: Any) -> None:
    """Write the expectation table."""
    import conntap
    from conntap.cli.output import make_formatter

    formatter = make_formatter(io, table=True, **output)
    shown = anyone = 0
    with conntap.open(netns) as ct:
        for batch in ct.expectations(where).batches():
            shown += len(batch)
            anyone += sum(expectation.any_source for expectation in batch.expectations())
            io.write(formatter.format(batch))
        io.write(formatter.finish())
    if anyone:
        io.say(f"{anyone} of {shown} may be used by anyone (!): docs/expectations.md says what that means")
    else:
        io.say(f"{shown} expectation{'' if shown == 1 else 's'}")
