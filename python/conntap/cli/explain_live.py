"""`conntap explain expectation [FILTER]` and `conntap explain flow FILTER`: stories from the live table."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import click

from conntap.cli.io import IN_ASCII

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conntap import _core
    from conntap.cli.io import IO
    from conntap.explain.live_table import Live, Told

__all__ = ["explain_live", "is_live"]

WORDS: Final = ("expectation", "expectations", "flow", "flows")
#: Columns of what a line is about.
LABEL: Final = 9
WIDEST: Final = 120


def is_live(words: tuple[str, ...]) -> bool:
    """Is the first word a table, and no file of that name there?"""
    return bool(words) and words[0] in WORDS and not os.path.exists(words[0])


def explain_live(io: IO, words: tuple[str, ...], *, netns: str | None, json_: bool, limit: int) -> None:
    """Read the tables and the gateway's rules, and tell."""
    import conntap

    where = " ".join(words[1:])
    flows = words[0].startswith("flow")
    if flows and not where:
        raise click.UsageError("say which: conntap explain flow FILTER; conntap list shows them")
    with conntap.open(netns) as ct:
        told, found = of_flows(ct, where, netns, limit) if flows else of_expectations(ct, where, netns, limit)
    for number, one in enumerate(told):
        if json_:
            io.write(json.dumps(one.data, separators=(",", ":")).encode() + b"\n")
            continue
        text = "".join(f"{line}\n" for line in lines_of(one, min(io.width or WIDEST, WIDEST)))
        text = ("\n" if number else "") + text
        io.write((text.translate(IN_ASCII) if io.ascii else text).encode())
    name = "connection" if flows else "expectation"
    if not found:
        io.say(f"no {name} {'matches' if where else 'waits'}")
    elif found > len(told):
        io.say(f"{found - len(told):,} more match · --limit {found} tells all")


def of_expectations(ct: Any, where: str, netns: str | None, limit: int) -> tuple[list[Told], int]:
    """Tell the first *limit*; and how many match."""
    from conntap.explain.live_expectation import tell_expectation
    from conntap.explain.live_table import masters_of

    rows = list(ct.expectations(where))
    live = tables(ct, netns, masters_of(ct, rows[:limit]), rows) if rows else None
    return [tell_expectation(row, live) for row in rows[:limit]] if live else [], len(rows)


def of_flows(ct: Any, where: str, netns: str | None, limit: int) -> tuple[list[Told], int]:
    """Tell the first *limit*; and how many match."""
    from conntap.explain.live_flow import tell_flow
    from conntap.explain.live_table import masters_of
    from conntap.explain.live_words import key_of

    rows: list[_core.Flow] = []
    found = 0
    for row in ct.flows(where):
        found += 1
        if len(rows) < limit:
            rows.append(row)
    if not rows:
        return [], 0
    # Masters are asked for; children are found among the related ones, which the kernel picks out of its table.
    near = masters_of(ct, [row for row in rows if row.master is not None])
    wanted = {key_of(row.original) for row in rows}
    for row in ct.flows("related"):
        if row.master is not None and key_of(row.master) in wanted:
            near[key_of(row.original)] = row
    live = tables(ct, netns, near, list(ct.expectations()))
    return [tell_flow(row, live) for row in rows], found


def tables(ct: Any, netns: str | None, flows: dict[tuple[object, ...], _core.Flow], rows: Iterable[Any]) -> Live:
    """What stories are told from; the rules are read once."""
    from conntap._core import now_ns
    from conntap.explain.live_table import Live, gateway_of
    from conntap.gateway.live import read_live

    read_at = now_ns()
    gateway, why_not = gateway_of(read_live(netns))
    names = [name.removeprefix("nf_conntrack_") for name in timeouts()]
    return Live(flows, tuple(rows), gateway, why_not, ct.settings(*names, "helper"), read_at)


def timeouts() -> list[str]:
    """Names of all timeouts that this kernel has."""
    try:
        return [name for name in os.listdir("/proc/sys/net/netfilter") if "timeout" in name]
    except OSError:
        return []


def lines_of(told: Told, wide: int) -> list[str]:
    """The head, then a line for each thing, broken to the width."""
    from conntap.explain.style import wrap

    lines = wrap(told.head, wide)
    for label, text in told.lines:
        first, *more = wrap(text, max(20, wide - LABEL - 2)) or [""]
        lines.append(f"  {label:<{LABEL}}{first}".rstrip())
        lines += [" " * (LABEL + 2) + line for line in more]
    return lines
