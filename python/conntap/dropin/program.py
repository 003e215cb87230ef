"""The program around a command: streams, signals, exit status."""

from __future__ import annotations

from . import signals
from .messages import COMPATIBLE, Stop, version
from .output import Output, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .plan import Plan

__all__ = ["run"]


def run(program: str, words: list[str]) -> int:
    """Run one command line, `program` being the name it was called by; return the exit status."""
    signals.defaults()
    output = Output(1)
    try:
        try:
            return _act(program, words, output)
        except Stop as stop:
            warn(stop.text)
            return stop.status
        finally:
            # Like stdio, short data appears behind the summary when both streams share a pipe.
            output.flush()
    except Stop as stop:
        warn(stop.text)
        return stop.status


def _act(program: str, words: list[str], output: Output) -> int:
    if len(words) > 1 and words[0] in ("-R", "--load-file"):
        from .loadfile import load

        return load(program, words[1], output)
    from .parse import parse

    plan = parse([program, *words], warn)
    if plan.command in ("", "h"):
        _help(program, plan, output)
        return 0
    if plan.command == "V":
        output.write(f"conntrack v{COMPATIBLE} (conntap {version()})\n".encode())
        return 0
    from .commands import carry_out

    return carry_out(plan, output)


def _help(program: str, plan: Plan, output: Output) -> None:
    from os import fsencode

    from .usage import protocol_usage, usage

    output.write(fsencode(usage(program)))
    if plan.protonum is not None:
        output.write(protocol_usage(plan.protocol, plan.protonum).encode())
