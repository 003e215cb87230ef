"""Packets where a command otherwise reads the kernel: tables of captures, events of an interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conntap import _core
    from conntap.cli.io import IO

__all__ = ["listen_interface", "tables_of"]


def tables_of(files: list[str], engine: dict[str, Any]) -> tuple[_core.Batch, _core.Batch, list[str]]:
    """Flow and expectation table behind the last packet of captures, and what could not be read.

    Raises:
        UsageError: a file cannot be read, or holds no packets.
    """
    from conntap.captures import Capture
    from conntap.cli.engine import make_setup
    from conntap.cli.replay import open_files
    from conntap.errors import UsageError

    opened = open_files(files, make_setup(**engine))
    if not isinstance(opened, Capture):
        raise UsageError(f"{files[0]} is a recording of events, not of packets", hint=f"conntap replay {files[0]}")
    flows, expectations = opened.tables()
    return flows, expectations, opened.faults


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
    from conntap.captures import Interface
    from conntap.cli.engine import make_setup
    from conntap.cli.output import make_formatter
    from conntap.cli.stream import Stream

    formatter = make_formatter(io, **output)
    stream = Stream(io, count=count, duration=duration, summary=summary)
    with stream, Interface(interface, make_setup(**engine), promiscuous=promiscuous, netns=netns) as packets:
        try:
            stream.live(
                lambda timeout: packets.receive(timeout, where), lambda batch: io.write(formatter.format(batch))
            )
            stream.end(formatter)
        finally:
            stream.finish(packets.counters)
