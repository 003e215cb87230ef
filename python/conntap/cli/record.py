"""`conntap record`: the kernel's messages in a file that Wireshark opens and `conntap replay` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conntap.cli.options import filter_argument, listen_options, netns_option, stream_options

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["record"]


@click.command(epilog="Example: conntap record ftp.pcapng --duration 1m tcp")
@click.argument("path", metavar="FILE")
@filter_argument
@stream_options
@listen_options
@netns_option
@click.option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@click.option("--table", "with_table", is_flag=True, help="Begin with the flows and expectations that there are.")
@click.pass_obj
def record(
    io: IO,
    path: str,
    words: tuple[str, ...],
    netns: str | None,
    reliable: bool,
    buffer_bytes: int,
    count: int | None,
    duration: float | None,
    summary: str | None,
    overwrite: bool,
    with_table: bool,
) -> None:
    """Write events to FILE ("-" for stdout) until ctrl+c."""
    import conntap
    from conntap.cli.stream import Stream
    from conntap.recording import RecordWriter

    if path == "-" and io.is_tty:
        raise click.UsageError(
            "a recording is no text for a terminal: name a file, or send it on, as in … record - | …"
        )
    text = " ".join(words)
    stream = Stream(io, count=count, duration=duration, summary=summary, reliable=reliable)
    with (
        stream,
        conntap.open(netns) as ct,
        ct.events(text, reliable=reliable, buffer_bytes=buffer_bytes) as events,
    ):
        listener = events.listener
        description = f"netns {netns}" if netns else ""
        try:
            with RecordWriter(path, overwrite=overwrite, where=text, description=description) as file:
                if path != "-":
                    io.say(f"recording to {path}; ctrl+c ends it")
                if with_table:
                    for table in (ct.flows(text), ct.expectations(text)):
                        for batch in table.batches():
                            file.write(batch)
                stream.live(listener.receive, file.write)
                file.close(events.counters)
        finally:
            stream.finish(events.counters, sample=listener.sample)
