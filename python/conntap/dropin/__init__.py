"""The `conntrack` command, answered by conntap.

Command line, output, messages and exit status are those of conntrack-tools 1.4.9; `docs/conntrack.md` lists every
option with what is different and why. Starting up must cost little: no module on this path imports argparse, re,
enum, dataclasses or typing, and each command imports only what it needs.
"""

from __future__ import annotations

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command with the words `argv` (None: those of the process); return the exit status."""
    import sys

    from .program import run

    return run(sys.argv[0], sys.argv[1:] if argv is None else argv)
