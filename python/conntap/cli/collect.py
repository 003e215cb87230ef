"""`conntap collect`: what other exporters send, IPFIX and NetFlow v9, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.log import log_options
from conntap.cli.options import output_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.cli.io import IO
    from conntap.collector import Collector

__all__ = ["collect"]

#: Options of a log, which rows on stdout have not.
LOG_ONLY = ("state", "sync", "no_destination", "truncate_inside", "hash_key_file", "keep")
OPTION_OF = {"hash_key_file": "hash-inside"}


@click.command(
    epilog="Examples: conntap collect ipfix://0.0.0.0:4739 --to parquet:/var/lib/conntap · "
    "conntap collect ipfix:flows.ipfix --json 'dport 443'"
)
@click.argument("words", nargs=-1, required=True, metavar="PLACE... [FILTER]...")
@log_options
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Without --to: stop after N records.")
@output_options
@click.pass_obj
def collect(io: IO, words: tuple[str, ...], to: tuple[str, ...], **options: Any) -> None:
    """Show or record what exporters send (IPFIX, NetFlow v9), or what a file of IPFIX messages holds.

    PLACE is ipfix://HOST:PORT for UDP, with ?transport=tcp or tls behind it for these, or ipfix:FILE
    (docs/collect.md). With --to it is a log like that of conntap log.
    """
    places, where = places_and_filter(words)
    refuse_options(options, to)
    running = {name: options.pop(name) for name in ("summary", "duration", "quiet")}
    if to:
        from conntap.cli.logging import run_logger
        from conntap.config import from_options

        log = {name: options[name] for name in LOG_ONLY}
        run_logger(io, from_options(to=to, filter=where, collect=places, **log), config=None, **running)
    else:
        show(io, places, where, running, {name: value for name, value in options.items() if name not in LOG_ONLY})


def refuse_options(options: dict[str, Any], to: tuple[str, ...]) -> None:
    """Each option goes with one of both: a log, or rows on stdout.

    Raises:
        click.UsageError: one does not go with what was asked for.
    """
    if options.pop("config") is not None:
        raise click.UsageError('--config: say collect = ["ipfix://…"] in the file, and conntap log --config FILE')
    if to and options["count"] is not None:
        raise click.UsageError("--count goes with rows on stdout, not with --to")
    if not to:
        for name in ("quiet", *LOG_ONLY):
            if options[name]:
                raise click.UsageError(f"--{OPTION_OF.get(name, name.replace('_', '-'))} goes with --to")


def show(io: IO, places: Sequence[str], where: str, running: dict[str, Any], options: dict[str, Any]) -> None:
    """Write what comes as rows, until told to stop."""
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.collector import open_collector
    from conntap.units import parse_duration

    duration = None if running["duration"] is None else parse_duration(running["duration"])
    count = options.pop("count")
    formatter = make_formatter(io, **options)
    stream = Stream(io, count=count, duration=duration, summary=running["summary"])
    with stream, open_collector(places, where) as collector:
        tell_places(io, collector)
        try:
            if collector.live:
                stream.live(
                    lambda timeout: collector.receive(timeout / 1000), lambda batch: io.write(formatter.format(batch))
                )
            else:
                stream.finite(collector.batches(), lambda batch: io.write(formatter.format(batch)))
            stream.end(formatter)
        finally:
            for fault in collector.faults if stream.ended_by != "error" else []:
                io.say(f"warning: {fault}")
            stream.finish(collector.counters, sample=collector.sample)


def places_and_filter(words: Sequence[str]) -> tuple[list[str], str]:
    """Part the places, which come first, from the filter."""
    number = next((at for at, word in enumerate(words) if not word.startswith("ipfix:")), len(words))
    if not number:
        raise click.UsageError(f"'{words[0]}' is no place where records come in: say ipfix://0.0.0.0:4739")
    return list(words[:number]), " ".join(words[number:])


def tell_places(io: IO, collector: Collector) -> None:
    """Say where it listens, with a buffer that is smaller than was asked for."""
    from conntap.collector.datagrams import Datagrams

    for opened in collector.sockets:
        host, port = opened.address
        io.say(f"listening at {f'[{host}]' if ':' in host else host}:{port}, {opened.place.transport}; ctrl+c ends it")
        if isinstance(opened, Datagrams) and opened.buffer_bytes < opened.place.buffer_bytes:
            io.say(
                f"note: the kernel gave a buffer of {opened.buffer_bytes >> 10:,} KiB only:"
                f" sysctl net.core.rmem_max={opened.place.buffer_bytes}, or run it with CAP_NET_ADMIN"
            )
