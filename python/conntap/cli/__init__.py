"""Commands, one a file. `start` is the entry point: it decides what to load before anything heavy is."""

from __future__ import annotations

__all__ = ["start"]


def start() -> int:
    """Run the command line; called through a link named conntrack, be that command."""
    import sys

    if sys.argv[0].rpartition("/")[2] == "conntrack":
        from conntap.dropin import main as conntrack

        return conntrack()
    import gc

    gc.disable()  # start-up makes thousands of objects and no garbage: collecting takes 2 of 60 ms
    from conntap.cli.main import main

    gc.enable()
    return main()
