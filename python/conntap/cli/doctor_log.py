"""`conntap doctor --log-invalid`: the kernel's log of INVALID packets for a while, each line explained."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from conntap.cli.doctor_text import IN_ASCII, WIDEST, wrapped
from conntap.cli.stream import heeded

if TYPE_CHECKING:
    from collections.abc import Generator

    from conntap.cli.io import IO
    from conntap.doctor.sums import Kind, Sums

__all__ = ["log_invalid", "put_back", "wanted"]

#: Connections shown of each kind; in JSON more.
SHOWN, SHOWN_JSON = 3, 100
#: How long one wait lasts at most.
TICK: Final = 0.2
#: After the log is off lines that wait are still taken, until none came for so long: the kernel gathers them for 50 ms.
REST, DRAIN = 0.15, 10.0
ALL: Final = 255


def wanted(protocol: str, seconds: str) -> tuple[int, float]:
    """What `--log-invalid PROTOCOL TIME` asks for: the number that the kernel takes, and seconds."""
    from conntap.doctor.packet import PROTOCOLS
    from conntap.units import parse_duration

    if protocol == "all":
        number = ALL
    elif protocol.lower() in PROTOCOLS:
        number = PROTOCOLS[protocol.lower()]
    elif protocol.isdecimal() and 0 < int(protocol) < ALL:
        number = int(protocol)
    else:
        raise click.UsageError(f"'{protocol}' is no protocol: all, a number, {', '.join(PROTOCOLS)}")
    return number, parse_duration(seconds)


def log_invalid(io: IO, netns: str | None, protocol: int, seconds: float, *, json_: bool) -> None:
    """Turn it on, read it, put all back, tell."""
    from conntap.doctor.sums import Sums
    from conntap.doctor.switch import InvalidLog
    from conntap.kernel import Conntrack

    sums = Sums()
    # Signals are taken before anything is changed: whenever one comes, what was changed is put back.
    with stopping() as stop, Conntrack(netns) as ct, InvalidLog(netns, protocol) as on:
        before = ct.stats()
        log = on.log
        io.say(f"logging INVALID packets for {seconds:g} s (ctrl+c ends it earlier)")
        began = time.monotonic()
        deadline = began + seconds
        while not stop and (left := deadline - time.monotonic()) > 0:
            for line in log.receive(min(TICK, left)):
                sums.take(line)
        took = time.monotonic() - began
        on.off()
        ends = time.monotonic() + DRAIN
        until = time.monotonic() + REST
        while (left := min(until, ends) - time.monotonic()) > 0:
            lines = log.receive(left)
            for line in lines:
                sums.take(line)
            until = time.monotonic() + REST if lines else until
        lost, malformed = log.lost, log.malformed
        counted = counted_since(before, ct.stats())
    if json_:
        found: dict[str, Any] = {
            "seconds": round(took, 3),
            "lost": lost,
            "malformed": malformed,
            "invalid_counted": counted,
        }
        io.write(json.dumps({**found, **sums.as_dict(SHOWN_JSON)}, separators=(",", ":")).encode() + b"\n")
        return
    text_lines = told(sums, min(io.width or WIDEST, WIDEST))
    lost_text = f" · {lost:,} more could not be delivered" if lost else ""
    lost_text += f" · {malformed:,} unreadable" if malformed else ""
    rules = f" · {sums.others:,} lines of rules" if sums.others else ""
    told_of = f"{sums.lines:,} line{'s'[: sums.lines != 1]} in {took:.1f} s{lost_text}{rules}"
    all_of = f"the kernel counted {counted:,} INVALID packet{'s'[: counted != 1]} of any protocol"
    text_lines += wrapped(f"{told_of} · {all_of} · the log is off again", min(io.width or WIDEST, WIDEST), "", "  ")
    text = "".join(f"{line}\n" for line in text_lines)
    io.write((text.translate(IN_ASCII) if io.ascii else text).encode())


def counted_since(before: list[dict[str, int]], after: list[dict[str, int]]) -> int:
    """How many INVALID packets the kernel counted in between; its counters have 32 bits."""
    return sum((new["invalid"] - old["invalid"]) & 0xFFFF_FFFF for old, new in zip(before, after))


def put_back(io: IO, netns: str | None) -> None:
    """`--restore`."""
    from conntap.doctor.switch import restore

    note = restore(netns)
    if note is None:
        io.say("nothing to put back: no conntap doctor --log-invalid was killed in this namespace")
        return
    for name, text in note.before.items():
        if name in note.ours:
            io.say(f"net.netfilter.{name.replace('/', '.')} is {text} again")


@contextmanager
def stopping() -> Generator[list[int]]:
    """A list that is empty until ctrl+c, SIGTERM or a closed terminal comes."""
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        came.append(number)

    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if heeded(number)]
    before = [(number, signal.signal(number, stop)) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def told(sums: Sums, wide: int) -> list[str]:
    """A paragraph for each kind."""
    lines: list[str] = []
    for kind in sums.kinds():
        lines += paragraph(kind, wide)
    return lines


def paragraph(kind: Kind, wide: int) -> list[str]:
    """The kernel's words, what they mean, whose they were, what to do."""
    means = kind.means
    lines = wrapped(f"{kind.count:>6,} × {kind.protocol}: {kind.words}", wide, "", "         ")
    passes = " (let pass, not INVALID)" if means.passes else ""
    lines += wrapped(f"{means.says}{passes}", wide, "         ", "         ")
    if means.check:
        lines += wrapped(f"by:  {means.check}", wide, "         ", "              ")
    for one, count in kind.connections.most_common(SHOWN):
        flags = f" [{one.flags}]" if one.flags else ""
        lines += wrapped(f"{count:,} × {one}{flags}", wide, "         ", "           ")
    more = len(kind.connections) - SHOWN
    if more > 0 or kind.elsewhere:
        lines.append(f"         … and {max(more, 0):,}{' or more' if kind.elsewhere else ''} other connections")
    if kind.ours:
        lines.append(f"         {kind.ours:,} of them sent by this machine itself")
    return lines + wrapped(f"do:  {means.todo}", wide, "         ", "              ")
