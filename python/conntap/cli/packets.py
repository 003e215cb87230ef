"""Packets where a command otherwise reads the kernel: tables of captures, events of an interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conntap import _core
    from conntap.cli.io import IO
    from conntap.interface import Interface

__all__ = ["Table", "listen_interface", "tables_of"]


def tables_of(io: IO, files: list[str], engine: dict[str, Any], where: str) -> tuple[Table, Table]:
    """Flow and expectation table behind the last packet of captures; what could not be read is told.

    Raises:
        UsageError: a file cannot be read, or holds no packets.
    """
    from conntap.captures import Capture
    from conntap.cli.engine import make_setup
    from conntap.cli.stream import told
    from conntap.errors import RecordingError, UsageError
    from conntap.filter import as_filter

    wanted = as_filter(where)
    if wanted is not None and wanted.uses_event_kinds:
        raise UsageError("a table has no events: 'new', 'update' and 'destroy' select nothing here")
    setup = make_setup(io, engine)
    try:
        capture = Capture(files, setup)
        flows, expectations = capture.tables()
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    except RecordingError as error:
        raise UsageError(str(error), hint=error.hint) from error
    for fault in capture.faults:
        io.say(f"warning: {fault}")
    packets = f"{capture.counters['packets']:,} packets{told(capture.counters)}"
    return Table(flows, wanted, packets), Table(expectations, wanted, packets)


class Table:
    """A table of the engine.

    Attributes:
        total: how many entries it has.
        rows: those that are asked for.
        packets: how many made it, and what was wrong with them, in words.
    """

    def __init__(self, rows: _core.Batch, wanted: _core.Filter | None, packets: str) -> None:
        self.total = len(rows)
        self.packets = packets
        self.rows = rows if wanted is None else rows.filter(wanted)


def listen_interface(
    io: IO,
    where: str,
    *,
    interface: str,
    promiscuous: bool,
    netns: str | None,
    engine: dict[str, Any],
    count: int | None,
    duration: float | None,
    summary: str | None,
    **output: Any,
) -> None:
    """Stream what the engine says of an interface's packets, until told to stop."""
    from conntap.cli.engine import make_setup
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream
    from conntap.filter import as_filter
    from conntap.interface import Interface

    wanted = as_filter(where) or ""
    formatter = make_formatter(io, **output)
    setup = make_setup(io, engine)
    stream = Stream(io, count=count, duration=duration, summary=summary)
    with stream, Interface(interface, setup, promiscuous=promiscuous, netns=netns) as packets:
        try:
            stream.live(
                lambda timeout_ms: receive(io, packets, timeout_ms, wanted),
                lambda batch: io.write(formatter.format(batch)),
            )
            stream.end(formatter)
        finally:
            stream.finish(packets.counters)


def receive(io: IO, packets: Interface, timeout_ms: int, wanted: _core.Filter | str) -> _core.Batch | None:
    """Wait for events; say so where the interface goes down."""
    before = packets.downs
    batch = packets.receive(timeout_ms / 1000, wanted)
    if packets.downs > before:
        io.say("note: the interface went down; waiting for it to come up")
    return batch
