"""`conntap doctor`: the kernel's knobs and counters, whether they are fine on this machine, and what to do.

Exit: 0 all is fine, 1 there is something to do (or it failed), 2 wrong usage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from conntap.cli.options import netns_option
from conntap.doctor.model import GROUPS

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["doctor"]

FINE, TODO = 0, 1

EPILOG = "Exit: 0 all is fine, 1 there is something to do. Example: conntap doctor --only table --only losses --all"


@click.command(epilog=EPILOG)
@netns_option
@click.option("--all", "whole", is_flag=True, help="Also what is fine, in full.")
@click.option(
    "--only", multiple=True, type=click.Choice(list(GROUPS)), metavar="GROUP", help="Only this group (may be repeated)."
)
@click.option(
    "--log-invalid", nargs=2, metavar="PROTOCOL TIME",
    help="Log INVALID packets for a while, and explain each line: all, tcp, udp … and 10s, 5m.",
)  # fmt: skip
@click.option("--restore", is_flag=True, help="Put back what a killed --log-invalid left changed.")
@click.option("--ascii", is_flag=True, help="Only ASCII signs.")
@click.option("--color/--no-color", default=None, help="Colours (default: on a terminal, unless NO_COLOR is set).")
@click.option("--json", "json_", is_flag=True, help="As one JSON object.")
@click.pass_obj
def doctor(
    io: IO,
    netns: str | None,
    whole: bool,
    only: tuple[str, ...],
    log_invalid: tuple[str, str] | None,
    restore: bool,
    ascii: bool,
    color: bool | None,
    json_: bool,
) -> int:
    """Look at the kernel's connection tracking: settings, counters, listeners, modules.

    For each: what it is, its value, whether that is fine on this machine and why, and what to do.
    """
    io.ascii = io.ascii or ascii
    if log_invalid is not None or restore:
        from conntap.cli import doctor_log

        if whole or only:
            raise click.UsageError(
                "--all and --only go with the whole examination, not with --log-invalid or --restore"
            )

        if restore:
            doctor_log.put_back(io, netns)
        if log_invalid is not None:
            protocol, seconds = doctor_log.wanted(*log_invalid)
            doctor_log.log_invalid(io, netns, protocol, seconds, json_=json_)
        return FINE
    from conntap.cli.doctor_text import as_dict, show
    from conntap.doctor.look import look
    from conntap.doctor.reading import read

    report = look(read(netns))
    if only:
        report = report.only(frozenset(only))
    if json_:
        import json

        io.write(json.dumps(as_dict(report), separators=(",", ":")).encode() + b"\n")
    else:
        io.write(show(report, width=io.width, ascii=io.ascii, color=io.color if color is None else color, whole=whole))
    return TODO if report.todo else FINE
