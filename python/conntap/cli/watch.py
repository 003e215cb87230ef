"""`conntap watch`: connections and expectations as they begin, change and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from conntap.cli.engine import engine_options, refuse_engine_options, take_engine_options
from conntap.cli.options import filter_argument, listen_options, netns_option, output_options, stream_options
from conntap.cli.packets import listen_interface

if TYPE_CHECKING:
    from conntap.cli.io import IO
    from conntap.kernel import Conntrack

__all__ = ["watch"]


@click.command(epilog="Example: conntap watch 'new, destroy and tcp and dport 443 and not src 10.0.0.0/8'")
@filter_argument
@output_options
@stream_options
@listen_options
@netns_option
@click.option("-i", "--interface", metavar="NAME", help='Track this interface\'s packets here instead ("any": all).')
@click.option("--promiscuous", is_flag=True, help="With -i: also what is addressed to others.")
@engine_options
@click.option("--explain", is_flag=True, help="Say what the kernel filters and what is filtered here, and stop.")
@click.pass_context
def watch(
    ctx: click.Context,
    words: tuple[str, ...],
    explain: bool,
    interface: str | None,
    promiscuous: bool,
    **options: Any,
) -> None:
    """See connections and expectations as they begin (+), change (~) and end (-).

    FILTER selects: see docs/filter.md.
    """
    from conntap.filter import Filter

    io: IO = ctx.obj
    text = " ".join(words)
    if explain:
        io.write(Filter(text).explain().rstrip().encode() + b"\n")
        return
    engine = take_engine_options(options)
    if interface is not None:
        for name, option in (("reliable", "--reliable"), ("buffer_bytes", "--buffer")):
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"{option} goes with the kernel's events, not with -i")
            del options[name]
        listen_interface(io, text, interface=interface, promiscuous=promiscuous, engine=engine, **options)
        return
    if promiscuous:
        raise click.UsageError("--promiscuous goes with -i")
    refuse_engine_options(engine, "-i")
    listen(io, text, **options)


def listen(
    io: IO,
    where: str,
    *,
    netns: str | None,
    reliable: bool,
    buffer_bytes: int,
    count: int | None,
    duration: float | None,
    summary: str | None,
    **output: Any,
) -> None:
    """Stream live events that match `where` to `io`, until told to stop."""
    import conntap
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream

    formatter = make_formatter(io, **output)
    stream = Stream(io, count=count, duration=duration, summary=summary, reliable=reliable)
    with (
        stream,
        conntap.open(netns) as ct,
        ct.events(where, reliable=reliable, buffer_bytes=buffer_bytes) as events,
    ):
        tell_blind_spots(io, ct)
        listener = events.listener
        try:
            stream.live(listener.receive, lambda batch: io.write(formatter.format(batch)))
            stream.end(formatter)
        finally:
            stream.finish(events.counters, sample=listener.sample)


def tell_blind_spots(io: IO, ct: Conntrack) -> None:
    """Say which entries will never report: those made while nobody listened (nf_conntrack_events = 2)."""
    if not io.is_tty:
        return
    settings = ct.settings("events", "count")
    if settings.get("events") == 0:
        io.say("note: nf_conntrack_events is 0: the kernel makes no events; sysctl net.netfilter.nf_conntrack_events=1")
    elif settings.get("events") == 2 and settings.get("count"):
        io.say(
            f"note: {settings['count']:,} connections were there before; those that began while nobody listened"
            " never report again (nf_conntrack_events=2); conntap list shows them"
        )
