"""`conntap collect`: what other exporters send, IPFIX and NetFlow v9, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.log import log_options
from conntap.cli.options import output_options, stream_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.cli.io import IO
    from conntap.collector import Collector

__all__ = ["collect"]

#: Options whose value has another name.
OPTION_OF = {"hash_key_file": "hash-inside"}


@click.command(
    epilog="Examples: conntap collect ipfix://0.0.0.0:4739 --json · conntap collect ipfix:flows.ipfix 'dport 443'"
)
@click.argument("words", nargs=-1, metavar="PLACE... [FILTER]...")
@log_options
@output_options
@stream_options
@click.pass_obj
def collect(
    io: IO,
    words: tuple[str, ...],
    count: int | None,
    duration: float | None,
    summary: str | None,
    **options: Any,
) -> None:
    """Show, or with --to log, what exporters send (IPFIX, NetFlow v9) or a file of IPFIX messages holds.

    PLACE is ipfix://HOST:PORT for UDP, with ?transport=tcp or tls behind it for these, or ipfix:FILE
    (docs/collect.md).
    """
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.collector import open_collector

    logged, output = take_log_options(options)
    if logged["to"] or logged["config"]:
        if count is not None:
            raise click.UsageError("--count goes with rows on stdout, not with a log")
        log_collected(io, words, logged, duration=duration, summary=summary)
        return
    refuse_log_options(logged)
    places, where = places_and_filter(words)
    formatter = make_formatter(io, **output)
    stream = Stream(io, count=count, duration=duration, summary=summary)
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


def take_log_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part what says where records go from how they look."""
    look = {"ascii", "color", "utc", "names", "format_", "json_"}
    return (
        {name: value for name, value in options.items() if name not in look},
        {name: value for name, value in options.items() if name in look},
    )


def refuse_log_options(options: dict[str, Any]) -> None:
    """What only a log has is not passed over in silence.

    Raises:
        click.UsageError: one of its options is said, and no log was asked for.
    """
    for name, value in options.items():
        if value:
            raise click.UsageError(f"--{OPTION_OF.get(name, name.replace('_', '-'))} goes with --to")


def log_collected(
    io: IO, words: Sequence[str], options: dict[str, Any], *, duration: float | None, summary: str | None
) -> None:
    """Log instead of showing."""
    from conntap.cli.log import common_settings
    from conntap.cli.logging import run_logger
    from conntap.config import from_options, read_file

    config, quiet = options["config"], options["quiet"]
    if config is not None:
        if words or options["to"]:
            raise click.UsageError("PLACE, FILTER and --to go into the file that --config names")
        settings = read_file(config)
    else:
        places, where = places_and_filter(words)
        settings = from_options(collect=places, filter=where, **common_settings(options))
    run_logger(io, settings, config=config, duration=duration, summary=summary, quiet=quiet)


def places_and_filter(words: Sequence[str]) -> tuple[list[str], str]:
    """Part the places, which come first, from the filter."""
    number = next((at for at, word in enumerate(words) if not word.startswith("ipfix:")), len(words))
    if not words:
        raise click.UsageError("no place where records come in: say ipfix://0.0.0.0:4739")
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
