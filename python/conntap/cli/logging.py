"""Runs a logger for a command: signals, progress, the service manager, and the sums at the end."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from conntap.cli.engine import engine_options, make_setup, take_engine_options
from conntap.cli.progress import Progress, count_of
from conntap.errors import ConntapError, UsageError

if TYPE_CHECKING:
    from conntap.cli.io import IO
    from conntap.config import LogConfig
    from conntap.pipeline import Pipeline
    from conntap.sources import Source
    from conntap.systemd import Notifier
    from conntap.tracker import Setup

__all__ = ["run_logger"]

#: Seconds that sinks may take at the end; the rest is in the spool or the journal.
PATIENCE = 10.0


def run_logger(
    io: IO, settings: LogConfig, *, config: str | None, summary: str | None, duration: float | None, quiet: bool
) -> None:
    """Log until told to stop (ctrl+c, SIGTERM), or until the source has ended. SIGHUP reads *config* anew.

    Raises:
        UsageError: settings that cannot be.
        ConntapError: the source failed, or every sink has.
    """
    from conntap.logger import same_source
    from conntap.memory import give_back
    from conntap.systemd import Notifier

    give_back()
    deadline = None if duration is None else time.monotonic() + duration
    notifier = Notifier.of_process()
    source: Source | None = None
    with Signals() as signals:
        while True:
            pipeline = open_logger(io, settings, source, notifier)
            new: LogConfig | None = None
            kept = False
            try:
                work(io, pipeline, signals, notifier, deadline=deadline, quiet=quiet)
                if signals.take_reload():
                    notifier.reloading()
                    new = reread(io, config, settings)
                    kept = pipeline.source.live and same_source(settings, new)
                else:
                    notifier.stopping()
            finally:
                pipeline.stop(PATIENCE, keep_source=kept)
            finish(io, pipeline, summary)
            if new is None:
                return
            settings, source = new, pipeline.source if kept else None


class Signals:
    """What was asked for by signals since it was last looked at."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.reload = False
        self.hurry = threading.Event()
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> Signals:
        def end(_number: int, _frame: object) -> None:
            if self.stop.is_set() and not self.reload:
                raise KeyboardInterrupt
            self.reload = False
            self.stop.set()
            self.hurry.set()

        def again(_number: int, _frame: object) -> None:
            self.reload = True
            self.stop.set()

        for number, handler in ((signal.SIGINT, end), (signal.SIGTERM, end), (signal.SIGHUP, again)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before.append((number, signal.signal(number, handler)))
        return self

    def take_reload(self) -> bool:
        """Was it SIGHUP that stopped the work? Asked once: a signal from here on is for the work that follows."""
        if not self.reload:
            return False
        self.reload = False
        self.stop.clear()
        return True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)


def open_logger(io: IO, settings: LogConfig, source: Source | None, notifier: Notifier) -> Pipeline:
    """Make the logger, and say what the kernel will not tell it."""
    from conntap.logger import make_logger

    setup = setup_of(io, settings) if settings.source.kind in ("files", "interface") else None
    pipeline = make_logger(
        settings, setup=setup, source=source, say=lambda text: io.say(f"note: {text}"), alive=notifier.alive
    )
    # Behind the subscription: a log that may not begin changes nothing.
    if settings.source.kind == "kernel" and settings.settings != "ignore":
        look_at_knobs(io, settings)
    return pipeline


def setup_of(io: IO, settings: LogConfig) -> Setup | None:
    """The engine's setup out of words."""
    if not settings.source.engine:
        return None

    @click.command(add_help_option=False)
    @engine_options
    def engine(**_: object) -> None:
        """Parses; does nothing."""

    context = engine.make_context("engine", list(settings.source.engine))
    return make_setup(io, take_engine_options(dict(context.params)))


def look_at_knobs(io: IO, settings: LogConfig) -> None:
    """Check the kernel's settings that a log depends on, or set them."""
    from conntap.knobs import check, fix

    findings = check(settings.netns)
    if settings.settings == "fix":
        findings = fix(settings.netns, findings)
    for finding in findings:
        if not finding.ok:
            io.say(f"note: {finding}")


def work(
    io: IO, pipeline: Pipeline, signals: Signals, notifier: Notifier, *, deadline: float | None, quiet: bool
) -> None:
    """Run until there is a reason to stop."""
    progress = Progress()
    shown = not quiet and sys.stderr.isatty() and not notifier
    try:
        signals.hurry = pipeline.hurry
        pipeline.start()
        targets = ", ".join(runner.sink.target for runner in pipeline.runners)
        notifier.ready(f"logging to {targets}")
        if not quiet and pipeline.source.live:
            io.say(f"logging to {targets}; ctrl+c ends it")
        while not signals.stop.is_set():
            if not pipeline.step(0.2):
                break
            notifier.alive()
            if deadline is not None and time.monotonic() >= deadline:
                break
            if progress.due():
                line = progress.line(pipeline, ascii=io.ascii)
                notifier.status(line)
                if shown:
                    print(f"\r\x1b[K{line}", end="", file=io.err, flush=True)
    finally:
        if shown:
            print("\r\x1b[K", end="", file=io.err, flush=True)


def reread(io: IO, config: str | None, settings: LogConfig) -> LogConfig:
    """The settings anew; faulty ones are told, and the old ones stay."""
    from conntap.config import read_file

    if config is None:
        return settings  # SIGHUP then only opens everything anew, files that were rotated away among it
    try:
        return read_file(config)
    except UsageError as error:
        io.say(f"conntap: {error}: the settings stay as they were")
        return settings


def finish(io: IO, pipeline: Pipeline, summary: str | None) -> None:
    """Tell the sums: one line on stderr, all of them in the summary file."""
    counters = pipeline.ledger.counters
    document = {
        "ledger": {**counters, "seq": pipeline.ledger.seq, "balanced": pipeline.ledger.balanced},
        "source": pipeline.source.counters,
        "sinks": {
            runner.sink.target: {**runner.counters, **runner.sink.counters, "receipt": runner.receipt}
            for runner in pipeline.runners
        },
        "reconciled": pipeline.progress.reconciled,
        "stalls": pipeline.progress.stalls,
    }
    if summary:
        try:
            with open(summary, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=2)
                file.write("\n")
        except OSError as error:
            raise UsageError(f"--summary {summary}: {error.strerror}") from error
    io.say(sums(pipeline, counters))
    pipeline.check()
    if pipeline.journal is None and count_of(pipeline.runners, "not_sent") + count_of(pipeline.runners, "left"):
        raise ConntapError("records were lost: their sink could not take them", hint="--state DIR keeps them on disk")
    if not pipeline.ledger.balanced:
        raise ConntapError("the books do not balance", hint="this is a bug: please report it with --summary's file")


def sums(pipeline: Pipeline, counters: dict[str, int]) -> str:
    """The line."""
    parts = [f"{counters['flows']:,} flows recorded, {counters['open']:,} open"]
    for name, words in (
        ("bindings", "bindings"),
        ("interims", "interim records"),
        ("passed_on", "records passed on"),
        ("gaps", "gaps"),
        ("missed_ends", "ends not seen"),
        ("duplicates", "ends told twice"),
    ):
        if counters[name]:
            parts.append(f"{counters[name]:,} {words}")
    parts.append(f"lost {counters['lost']:,}" if counters["lost"] else "nothing lost")
    waiting = count_of(pipeline.runners, "not_sent") + count_of(pipeline.runners, "left")
    if waiting:
        where = "in the journal" if pipeline.journal is not None else "LOST"
        parts.append(f"{waiting:,} not sent ({where})")
    spooled = sum(runner.spooled_bytes for runner in pipeline.runners)
    if spooled:
        parts.append(f"{spooled / 1e6:.1f} MB wait on disk for their receiver")
    return " · ".join(parts)
