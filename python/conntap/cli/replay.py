"""`conntap replay`: what a recording or a packet capture holds, on any machine, without privilege."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import click

from conntap.cli.engine import engine_options, files_and_filter, make_setup, take_engine_options
from conntap.cli.options import output_options, stream_options

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from conntap import _core
    from conntap.captures import Capture
    from conntap.cli.io import IO
    from conntap.recording import Recording

__all__ = ["replay"]


@click.command(
    epilog="Examples: conntap replay ftp.pcapng --json 'dport 21' · "
    "conntap replay in.pcap --helper ftp --masquerade 203.0.113.1 -w out.pcap"
)
@click.argument("words", nargs=-1, required=True, metavar="FILE... [FILTER]...")
@output_options
@stream_options
@click.option("--write", metavar="FILE", help="Write the rows that match to a new recording instead.")
@click.option("-w", "--packets", metavar="FILE", help="Also write the packets as the gateway would send them.")
@click.option("--overwrite", is_flag=True, help="Replace those FILEs if they exist.")
@click.option("--drain", is_flag=True, help="Packets: let time go on behind the last one until all connections ended.")
@engine_options
@click.pass_obj
def replay(
    io: IO,
    words: tuple[str, ...],
    count: int | None,
    duration: float | None,
    summary: str | None,
    write: str | None,
    packets: str | None,
    overwrite: bool,
    drain: bool,
    **options: Any,
) -> None:
    """Show what FILE holds ("-" for stdin): a recording, or packets, of which the engine says what the kernel would.

    Several packet captures are read in order of time.
    """
    from conntap.captures import Capture
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.errors import RecordingError, UsageError
    from conntap.recording import RecordWriter

    setup = make_setup(**take_engine_options(options))
    files, where = files_and_filter(words, first=True)
    stream = Stream(io, count=count, duration=duration, summary=summary)
    opened = open_files(files, setup, drain=drain)
    if packets and not isinstance(opened, Capture):
        raise UsageError("-w writes packets, and a recording has none", hint="--write FILE writes its rows")
    try:
        with ExitStack() as stack:
            stack.enter_context(stream)
            sent = stack.enter_context(Sent(packets, overwrite=overwrite)) if packets else None
            batches = walk(opened, where, sent)
            stack.callback(batches.close)
            if write:
                file = stack.enter_context(RecordWriter(write, overwrite=overwrite, where=where))
                stream.finite(batches, after(file.write, sent))
            else:
                formatter = make_formatter(io, **options)
                stream.finite(batches, after(lambda batch: io.write(formatter.format(batch)), sent))
                stream.end(formatter)
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error  # the file's name was the mistake
    finally:
        for fault in opened.faults if stream.ended_by != "error" else []:
            named = "" if isinstance(opened, Capture) else f"{files[0]} "
            io.say(f"warning: {named}{fault}")
        stream.finish(opened.counters, sample=opened.sample)


def open_files(files: list[str], setup: Any, *, drain: bool = False) -> Recording | Capture:
    """Open what the command names.

    Raises:
        UsageError: a file cannot be opened, or is neither recording nor capture.
    """
    from conntap.errors import RecordingError, UsageError
    from conntap.recording import replay as open_replay

    try:
        return open_replay(*files, setup=setup, drain=drain)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error


def walk(opened: Recording | Capture, where: str, sent: Sent | None) -> Generator[_core.Batch]:
    """The batches; of a capture, with its packets written."""
    from conntap.captures import Capture

    if isinstance(opened, Capture):
        return cast("Generator[_core.Batch]", opened.batches(where, writer=sent and sent.writer))
    return cast("Generator[_core.Batch]", opened.batches(where))


def after(write: Callable[[_core.Batch], None], sent: Sent | None) -> Callable[[_core.Batch], None]:
    """Write the batch, then the packets that caused it."""
    if sent is None:
        return write

    def both(batch: _core.Batch) -> None:
        write(batch)
        sent.flush()

    return both


class Sent:
    """The file of packets that the gateway sends."""

    def __init__(self, path: str, *, overwrite: bool) -> None:
        import os

        from conntap import _core
        from conntap.errors import UsageError

        system = os.uname()
        self.writer = _core.PacketWriter(
            pcap=path.endswith((".pcap", ".cap")),
            hardware=system.machine,
            os=f"{system.sysname} {system.release}",
            comment="packets as the userspace engine sends them",
        )
        try:
            self._file = open(path, "wb" if overwrite else "xb")
        except FileExistsError:
            raise UsageError(f"{path} exists", hint="choose another name, or --overwrite") from None

    def __enter__(self) -> Sent:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write(self.writer.finish())
        self._file.close()

    def flush(self) -> None:
        """Hand on what has been written so far."""
        self._file.write(self.writer.take_bytes())
        self._file.flush()
