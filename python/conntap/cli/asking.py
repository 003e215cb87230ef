"""What the commands that ask a ledger share: which ledger, which times, and the note of who asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.cli.io import IO
    from conntap.store.query import Ledger, Result

__all__ = ["ledger_options", "note_question", "open_ledger", "warn_withheld"]

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT = "/var/lib/conntap"


def ledger_options(*, utc: bool = True) -> Callable[[F], F]:
    """--ledger, --case, and --utc where times are given or shown."""
    options = (
        *([click.option("--utc", is_flag=True, help="Times in UTC, both those given and those shown.")] if utc else []),
        click.option("--case", metavar="ID", help="What the question is for; noted in DIR/queries.jsonl."),
        click.option(
            "--ledger",
            "directory",
            metavar="DIR",
            help=f"The ledger (default: $CONNTAP_LEDGER, or {DEFAULT}).",
        ),
    )

    def add(command: F) -> F:
        for option in options:
            command = option(command)
        return command

    return add


def open_ledger(directory: str | None) -> Ledger:
    """Open the ledger that is meant.

    Raises:
        UsageError: there is none.
    """
    from conntap.store.query import Ledger

    return Ledger(directory or os.environ.get("CONNTAP_LEDGER") or DEFAULT)


def warn_withheld(io: IO, result: Result) -> None:
    """Say what the answer leaves out of what is in no segment yet."""
    if result.withheld:
        io.say(f"warning: {result.withheld}")


def note_question(io: IO, ledger: Ledger, question: dict[str, Any], *, case: str | None, found: int) -> None:
    """Note who asked what; with --case it must work, and a directory that others own needs none.

    Raises:
        ConntapError: --case was given and nothing can be noted.
    """
    from conntap._core import now_ns
    from conntap.errors import ConntapError
    from conntap.store.query_log import note

    try:
        noted = note(ledger.path, now_ns=now_ns(), question=question, case=case, found=found)
    except OSError as error:
        io.say(f"warning: the question could not be noted: {error.filename}: {error.strerror}")
        noted = False
    if not noted and case is not None:
        raise ConntapError(
            f"case {case} cannot be noted: {ledger.path} is not writable", hint="ask as a user who may write there"
        )
