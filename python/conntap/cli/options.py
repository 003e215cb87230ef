"""Options that several commands share, each defined once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from conntap.errors import UsageError
from conntap.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Duration", "filter_argument", "netns_option", "output_options", "stream_options"]

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")


class Duration(click.ParamType[float]):
    """Seconds, said as `10`, `10s`, `500ms`, `2m`, `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return value if isinstance(value, float) else said(self, parse_duration, value, param, ctx)


class Size(click.ParamType[int]):
    """Bytes, said as `8388608`, `8M`, `1G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else said(self, parse_size, value, param, ctx)


def said(
    kind: click.ParamType[T],
    parse: Callable[[str], T],
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> T:
    """What an option's text means; its fault is told as click tells faults."""
    try:
        return parse(str(value))
    except UsageError as error:
        kind.fail(str(error), param, ctx)


def filter_argument(command: F) -> F:
    """FILTER…: all words together are one filter."""
    return click.argument("words", nargs=-1, metavar="[FILTER]...")(command)


def netns_option(command: F) -> F:
    """--netns: another network namespace."""
    return click.option(
        "--netns", metavar="NS", help="Another network namespace: a name (ip netns), a path, or a pid."
    )(command)


def output_options(command: F) -> F:
    """How rows look."""
    for option in (
        click.option("--ascii", is_flag=True, help="Only ASCII signs."),
        click.option(
            "--color/--no-color", default=None, help="Colours (default: on a terminal, unless NO_COLOR is set)."
        ),
        click.option("--utc", is_flag=True, help="Times in UTC."),
        click.option("--names", is_flag=True, help="Names of hosts, looked up in the background and kept."),
        click.option(
            "--format",
            "format_",
            type=click.Choice(["human", "json", "conntrack", "xml"]),
            default="human",
            show_default=True,
            help="conntrack and xml are what the conntrack command prints.",
        ),
        click.option("--json", "json_", is_flag=True, help="One JSON object a line (same as --format json)."),
    ):
        command = option(command)
    return command


def stream_options(command: F) -> F:
    """When a stream ends, and what it leaves behind."""
    for option in (
        click.option("--summary", metavar="FILE", help="Write the counters as JSON to FILE at the end."),
        click.option("--duration", type=Duration(), metavar="TIME", help="Stop after this time (10s, 5m)."),
        click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N events."),
    ):
        command = option(command)
    return command


def listen_options(command: F) -> F:
    """How events are received."""
    for option in (
        click.option(
            "--reliable", is_flag=True, help="Let the kernel deliver again what did not fit (see docs/commands.md)."
        ),
        click.option(
            "--buffer",
            "buffer_bytes",
            type=Size(),
            default="128M",
            show_default=True,
            metavar="SIZE",
            help="Receive buffer to ask the kernel for.",
        ),
    ):
        command = option(command)
    return command
