"""`conntap config`: check the logger's settings, show what holds, print an example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conntap.cli.io import IO

__all__ = ["config"]


@click.group(epilog="Example: conntap config example > log.toml && conntap config check log.toml")
def config() -> None:
    """Check the logger's settings, or print an example (docs/log-config.md)."""


@config.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.pass_obj
def check(io: IO, files: tuple[str, ...]) -> int:
    """Check configuration files.

    All that is wrong is listed, each with its line.

    Exit: 0 all are right, 1 something is wrong, 2 a file cannot be read.
    """
    from conntap.config import ConfigError, read_file

    code = 0
    for path in files:
        try:
            read = read_file(path)
        except ConfigError as error:
            io.write("".join(f"{fault}\n" for fault in error.faults).encode())
            code = 1
        else:
            count = len(read.sinks)
            io.say(f"{path}: right; from {source_of(read.source.kind)} to {count} sink{'s' * (count != 1)}")
    return code


@config.command()
@click.argument("file", metavar="FILE")
@click.pass_obj
def show(io: IO, file: str) -> None:
    """Show what holds, defaults included, as TOML."""
    from conntap.config import read_file, write

    io.write(write(read_file(file)).encode())


@config.command()
@click.pass_obj
def example(io: IO) -> None:
    """Print a configuration that can be used.

    It has every key, with a comment on each.
    """
    from conntap.config import example

    io.write(example().encode())


def source_of(kind: str) -> str:
    """A kind of source in words."""
    return {"kernel": "the kernel", "interface": "an interface", "collect": "other exporters"}.get(kind, kind)
