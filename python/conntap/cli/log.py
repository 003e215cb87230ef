"""`conntap log`: every connection and NAT mapping, to wherever it is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from conntap.cli.engine import OPTIONS as ENGINE_OPTIONS
from conntap.cli.engine import engine_options, files_and_filter, take_engine_options
from conntap.cli.options import Duration, netns_option

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["common_settings", "log", "log_options"]


def log_options(command: Any) -> Any:
    """What every command that logs has: where to, and what not."""
    for option in (
        click.option("--quiet", is_flag=True, help="No line of progress."),
        click.option("--keep", multiple=True, metavar="KIND=AGE", help="Keep flows=30d, nat=180d …; all=SIZE."),
        click.option(
            "--hash-inside", "hash_key_file", metavar="KEYFILE", help="Inside addresses as a hash with that key."
        ),
        click.option(
            "--truncate-inside", metavar="BITS4/BITS6", help="Keep so many bits of inside addresses, as in 24/56."
        ),
        click.option("--no-destination", is_flag=True, help="Leave out whom inside hosts talked to."),
        click.option("--sync", metavar="TIME", help="Make the journal durable this often (200ms)."),
        click.option("--state", metavar="DIR", help="Folder of the journal (default: that of the first parquet:)."),
        click.option("--config", metavar="FILE", help="Take the settings from a TOML file (conntap config example)."),
        click.option(
            "--to", multiple=True, metavar="TARGET",
            help="Where records go: parquet:DIR, ipfix://HOST:PORT, ipfix:FILE, jsonl:FILE, csv:FILE, syslog:// "
            "(docs/sinks.md). Several may be said.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command(
    epilog="Examples: conntap log --to parquet:/var/lib/conntap nat · "
    "conntap log capture.pcap --masquerade 203.0.113.1 --to jsonl:-"
)
@click.argument("words", nargs=-1, metavar="[FILE]... [FILTER]...")
@log_options
@click.option("--summary", metavar="FILE", help="Write the counters as JSON to FILE at the end.")
@click.option("--duration", type=Duration(), metavar="TIME", help="Stop after this time (10s, 5m).")
@click.option(
    "--bindings", type=click.Choice(["none", "nat", "all"]), default="none", show_default=True,
    help="Of which connections a record is made already when they begin.",
)  # fmt: skip
@click.option("--interim", metavar="TIME", help="Tell connections that go on, this often (30m).")
@click.option("--fix", is_flag=True, help="Set nf_conntrack_acct, _timestamp and _events as a log needs them.")
@click.option("--no-reliable", is_flag=True, help="Ends that do not fit are lost, and counted, not sent again.")
@click.option("--buffer", metavar="SIZE", help="Receive buffer to ask the kernel for (128M).")
@netns_option
@click.option("-i", "--interface", metavar="NAME", help='Log what this interface\'s packets make ("any": all).')
@engine_options
@click.pass_obj
def log(io: IO, words: tuple[str, ...], config: str | None, **options: Any) -> None:
    """Record every connection of this gateway, or of FILE (a recording, or packets), until told to stop.

    A live log survives crashes: what was received is in a journal, what nobody saw is a gap that is recorded too.
    """
    from conntap.cli.logging import run_logger
    from conntap.config import from_options, read_file

    running = {name: options.pop(name) for name in ("summary", "duration", "quiet")}
    engine = take_engine_options(options)
    files, where = files_and_filter(words)
    if config is not None:
        refuse_beside_config(words, options, engine)
        settings = read_file(config)
    else:
        settings = from_options(
            filter=where,
            bindings=options["bindings"],
            interim=options["interim"],
            files=files,
            interface=options["interface"],
            engine=engine_words(engine),
            netns=options["netns"],
            reliable=not options["no_reliable"],
            buffer=options["buffer"],
            settings="fix" if options["fix"] else "check",
            **common_settings(options),
        )
    run_logger(io, settings, config=config, **running)


def common_settings(options: dict[str, Any]) -> dict[str, Any]:
    """What `log_options` added, as `from_options` takes it."""
    names = ("to", "state", "sync", "no_destination", "truncate_inside", "hash_key_file", "keep")
    return {name: options[name] for name in names}


def refuse_beside_config(words: tuple[str, ...], options: dict[str, Any], engine: dict[str, Any]) -> None:
    """A file says all, or nothing: two places for one setting are one too many.

    Raises:
        click.UsageError: something is said beside the file.
    """
    said = [name for name, value in {**options, **engine}.items() if value and value != "none"]
    if words or said:
        what = "FILTER" if words else f"--{said[0].replace('_', '-')}"
        raise click.UsageError(f"{what} goes into the file that --config names")


def engine_words(engine: dict[str, Any]) -> list[str]:
    """The engine's options as they were typed."""
    words: list[str] = []
    for name, option in ENGINE_OPTIONS.items():
        value = engine[name]
        if value is True:
            words.append(option)
        elif isinstance(value, str):
            words += [option, value]
        elif value:
            words += [word for one in value for word in (option, one)]
    return words
