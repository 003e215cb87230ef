"""From batches to bytes: the formatter that the options ask for, and what it must know of the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap import _core

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["make_formatter", "service_names"]


def make_formatter(
    io: IO,
    *,
    format_: str = "human",
    json_: bool = False,
    ascii: bool = False,
    color: bool | None = None,
    utc: bool = False,
    names: bool = False,
    table: bool = False,
) -> _core.Formatter:
    """Make the formatter for these options; `table` asks for columns with a heading instead of event lines."""
    io.ascii = io.ascii or ascii
    style = "json" if json_ else format_
    if style == "human" and table:
        style = "table"
    hosts = None
    if names:
        from conntap.names import HostNames

        hosts = HostNames().get
    return _core.Formatter(
        style,
        color=io.color if color is None else color,
        ascii=io.ascii,
        utc=utc,
        width=io.width,
        services=service_names() if style in ("human", "table") else None,
        hosts=hosts,
    )


def service_names() -> dict[tuple[int, int], str]:
    """(port, protocol number) → name, from the system's own list; empty where there is none."""
    protocols = {"tcp": 6, "udp": 17, "sctp": 132, "dccp": 33}
    found: dict[tuple[int, int], str] = {}
    try:
        with open("/etc/services", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                words = line.partition("#")[0].split()
                if len(words) < 2:
                    continue
                port, _, protocol = words[1].partition("/")
                if port.isdecimal() and protocol in protocols:
                    found.setdefault((int(port), protocols[protocol]), words[0])
    except OSError:
        pass
    return found
