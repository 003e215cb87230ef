"""`conntap replay`: what a recording or a packet capture holds, on any machine, without privilege."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import click

from conntap.cli.engine import (
    engine_options,
    files_and_filter,
    make_setup,
    refuse_engine_options,
    take_engine_options,
)
from conntap.cli.options import output_options, stream_options

if TYPE_CHECKING:
    from collections.abc import Generator

    from conntap import _core
    from conntap.captures import Capture
    from conntap.cli.io import IO
    from conntap.recording import Recording
    from conntap.sent import SentPackets

__all__ = ["replay"]

#: Translations that are told one by one.
SEEN_LIMIT = 50


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
@click.option("--both-sides", is_flag=True, help="Packets: the captures are the sides of one gateway; tell its NAT.")
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
    both_sides: bool,
    **options: Any,
) -> None:
    """Show what FILE holds ("-" for stdin): a recording, or packets, of which the engine says what the kernel would.

    Several packet captures are read in order of time.
    """
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.errors import RecordingError, UsageError
    from conntap.recording import RecordWriter
    from conntap.sent import SentPackets

    engine = take_engine_options(options)
    files, where = files_and_filter(words, first=True)
    check_places(files, write, packets)
    stream = Stream(io, count=count, duration=duration, summary=summary)
    try:
        opened = open_files(io, files, engine, drain=drain, both_sides=both_sides, packets=packets)
    except Exception:
        stream.finish({})  # a wrong file is an end, too
        raise
    try:
        with ExitStack() as stack:
            stack.enter_context(stream)
            sent = stack.enter_context(SentPackets(packets, overwrite=overwrite)) if packets else None
            batches = walk(opened, where, sent)
            stack.callback(batches.close)
            if write:
                file = stack.enter_context(RecordWriter(write, overwrite=overwrite, where=where))
                stream.finite(batches, file.write)
            else:
                formatter = make_formatter(io, **options)
                stream.finite(batches, lambda batch: io.write(formatter.format(batch)))
                stream.end(formatter)
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error  # the file's name was the mistake
    finally:
        for fault in opened.faults if stream.ended_by != "error" else []:
            io.say(f"warning: {fault}")
        tell_seen(io, opened)
        stream.finish(opened.counters, sample=opened.sample)


def check_places(files: list[str], write: str | None, packets: str | None) -> None:
    """Refuse to write where something is read, or two things to one place.

    Raises:
        UsageError: a file would be destroyed.
    """
    import os

    from conntap.errors import UsageError

    if packets == "-":
        raise UsageError("-w - : stdout has the rows", hint="name a file for the packets")

    def same(one: str, other: str) -> bool:
        if os.path.exists(one) and os.path.exists(other):
            return os.path.samefile(one, other)
        return os.path.realpath(one) == os.path.realpath(other)

    taken = [path for path in files if path != "-"]
    for path in (path for path in (write, packets) if path not in (None, "-")):
        if any(same(path, other) for other in taken):
            raise UsageError(f"{path} cannot be used twice", hint="choose another name")
        taken.append(path)


def open_files(
    io: IO, files: list[str], engine: dict[str, Any], *, drain: bool, both_sides: bool, packets: str | None
) -> Recording | Capture:
    """Open what the command names.

    Raises:
        UsageError: a file cannot be opened, is neither recording nor capture, or an option does not go with it.
    """
    from conntap.errors import RecordingError, UsageError
    from conntap.recording import Recording
    from conntap.recording import replay as open_replay

    setup = make_setup(io, engine) if any(engine.values()) else None
    try:
        opened = open_replay(*files, setup=setup, drain=drain, both_sides=both_sides)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error
    if isinstance(opened, Recording):
        refuse_engine_options(engine, f"packets, and {opened.path} is a recording")
        for option, given in (("-w", packets), ("--drain", drain), ("--both-sides", both_sides)):
            if given:
                raise click.UsageError(f"{option} goes with packets, and {opened.path} is a recording")
    return opened


def tell_seen(io: IO, opened: Recording | Capture) -> None:
    """Say what the gateway between two captures did, as far as a person reads it."""
    from conntap.captures import Capture

    if not isinstance(opened, Capture) or opened.seen is None:
        return
    from conntap.pairing import describe

    seen = opened.seen
    for path, reason in seen.faults:
        io.say(f"warning: {path} {reason}")
    for binding in seen.translated[:SEEN_LIMIT]:
        io.say(f"seen: {describe(binding)}")
    left = f"; {len(seen.translated) - SEEN_LIMIT:,} more" if len(seen.translated) > SEEN_LIMIT else ""
    untranslated = len(seen.bindings) - len(seen.translated)
    io.say(f"connections seen on both sides: {len(seen.translated):,} translated, {untranslated:,} not{left}")


def walk(opened: Recording | Capture, where: str, sent: SentPackets | None) -> Generator[_core.Batch]:
    """The batches; of a capture, with its packets written."""
    from conntap.recording import Recording

    if isinstance(opened, Recording):
        return cast("Generator[_core.Batch]", opened.batches(where))
    return cast("Generator[_core.Batch]", opened.batches(where, sent=sent))
