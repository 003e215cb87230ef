"""`conntap conntrack ARGS`: the drop-in, by another name."""

from __future__ import annotations

import click

__all__ = ["conntrack"]


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": [], "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def conntrack(arguments: tuple[str, ...]) -> int:
    """Be the `conntrack` command: same options, same output (docs/conntrack.md)."""
    from conntap.dropin import main

    return main(["conntrack", *arguments])
