"""`conntap replay`: what a recording holds, on any machine, without privilege."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from conntap.cli.options import filter_argument, output_options, stream_options

if TYPE_CHECKING:
    from collections.abc import Generator

    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["replay"]


@click.command(epilog="Example: conntap replay ftp.pcapng --json 'dport 21'")
@click.argument("path", metavar="FILE")
@filter_argument
@output_options
@stream_options
@click.option("--write", metavar="FILE", help="Write the rows that match to a new recording instead.")
@click.option("--overwrite", is_flag=True, help="Replace that FILE if it exists.")
@click.pass_obj
def replay(
    io: IO,
    path: str,
    words: tuple[str, ...],
    count: int | None,
    duration: float | None,
    summary: str | None,
    write: str | None,
    overwrite: bool,
    **output: Any,
) -> None:
    """Show what FILE holds ("-" for stdin)."""
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.errors import RecordingError, UsageError
    from conntap.recording import Recording, RecordWriter

    try:
        recording = Recording(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    stream = Stream(io, count=count, duration=duration, summary=summary)
    batches = cast("Generator[_core.Batch]", recording.batches(" ".join(words)))  # it can be closed
    try:
        with stream:
            if write:
                with RecordWriter(write, overwrite=overwrite, where=" ".join(words)) as file:
                    stream.finite(batches, file.write)
            else:
                formatter = make_formatter(io, **output)
                stream.finite(batches, lambda batch: io.write(formatter.format(batch)))
                stream.end(formatter)
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error  # the file's name was the mistake
    finally:
        batches.close()
        for fault in recording.faults if stream.ended_by != "error" else []:
            io.say(f"warning: {path} {fault}")
        stream.finish(recording.counters, sample=recording.sample)
