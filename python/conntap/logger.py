"""A logger made of settings: which source, which sinks, where its journal lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from conntap.errors import RecordingError, UsageError
from conntap.filter import as_filter
from conntap.journal import Journal
from conntap.pipeline import Pipeline, Settings
from conntap.sinks.runner import FLUSH_SECONDS, Runner
from conntap.sinks.targets import make_sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.config import LogConfig
    from conntap.sources import Source
    from conntap.tracker import Setup

__all__ = ["make_logger", "same_source", "state_of"]


def state_of(config: LogConfig) -> Path | None:
    """Return the folder of journal and receipts: as said, else the first ledger's own, else systemd's; None for none.

    A source that can be read again needs none, and gets one only where it is said.
    """
    if config.state:
        return Path(config.state)
    source = config.source
    if source.kind == "files" or (source.collect and not any(place.startswith("ipfix://") for place in source.collect)):
        return None
    for sink in config.sinks:
        if sink.scheme == "parquet":
            return Path(sink.target.partition(":")[2])
    systemd = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(systemd) if systemd else None


def same_source(one: LogConfig, other: LogConfig) -> bool:
    """Do both take the same events from the same place, so that one can go on with the other's subscription?"""

    def taken(config: LogConfig) -> tuple[object, ...]:
        return config.source, config.filter, config.netns, config.reliable, config.buffer_bytes

    return taken(one) == taken(other)


def make_logger(
    config: LogConfig,
    *,
    setup: Setup | None = None,
    source: Source | None = None,
    say: Callable[[str], None],
    alive: Callable[[], None] = lambda: None,
) -> Pipeline:
    """Put a logger together, up to the open source; nothing is written before `start`.

    Args:
        config: the settings.
        setup: what the userspace engine is told, for files and interfaces.
        source: that of a logger that just stopped, to go on with; None to open it.
        say: hears what a person should know.
        alive: called now and then while something holds the logger up.

    Raises:
        UsageError: settings that do not go together, a file that cannot be read, another logger at work.
        PrivilegeError: the source needs a capability.
    """
    if not config.sinks:
        raise UsageError("a log needs a place to go to", hint="--to parquet:/var/lib/conntap, or --to jsonl:-")
    state = state_of(config)
    journal = Journal(state / "journal") if state is not None else None
    try:
        runners = [
            Runner(
                sink := make_sink(spec, config.privacy, config.retention),
                where=as_filter(spec.filter),
                # What a sink of its own keeps needs no spool beside the journal.
                state=state / "sinks" if state is not None and not sink.keeps else None,
                spool_bytes=spec.spool_bytes,
                flush_seconds=float("inf") if sink.keeps and journal is not None else FLUSH_SECONDS,
            )
            for spec in config.sinks
        ]
        opened = source or open_source(config, setup, say)
    except BaseException:
        if journal is not None:
            journal.close()
        raise
    settings = Settings(
        bindings=config.bindings,
        interim_seconds=config.interim_seconds,
        where=config.filter,
        sync_seconds=config.sync_ms / 1000,
        seed_text=f"{os.uname().nodename} {config.netns or ''} {config.source.interface or ''}",
    )
    return Pipeline(opened, runners, settings, journal=journal, continued=source is not None, say=say, alive=alive)


def open_source(config: LogConfig, setup: Setup | None, say: Callable[[str], None]) -> Source:
    """Open what connections come from; from here on nothing that happens is missed without being counted."""
    from conntap.sources import FileSource, InterfaceSource, KernelSource

    where = as_filter(config.filter)
    kind = config.source.kind
    if kind == "files":
        from conntap.recording import replay

        try:
            return FileSource(replay(*config.source.files, setup=setup, drain=False), where)
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from error
        except RecordingError as error:
            raise UsageError(str(error), hint=error.hint) from error
    if kind == "interface":
        from conntap.interface import Interface

        packets = Interface(config.source.interface or "any", setup, netns=config.netns)
        return InterfaceSource(packets, where, went_down=lambda: say("the interface went down; waiting for it"))
    if kind == "collect":
        from conntap.collector import open_collector

        return open_collector(config.source.collect, where or "")
    from conntap.kernel import Conntrack

    return KernelSource(Conntrack(config.netns), where, reliable=config.reliable, buffer_bytes=config.buffer_bytes)
