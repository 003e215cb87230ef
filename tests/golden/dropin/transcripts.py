"""Transcripts of the original program: reading them, and masking what differs from run to run.

The format is described in tests/data/conntrack-cli/README.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Transcript", "masked", "read", "write"]

WHILE_IT_RUNS = "(while it runs) "
STOPPED = re.compile(r"   # stopped by SIG(\w+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One case: what to do, and what came out."""

    name: str
    volatile: str
    setup: str
    actions: str
    """Shell lines run while the command runs; empty where the command ends by itself."""
    command: str
    signal: str
    """What ends an event listener; empty where the command ends by itself."""
    exit: int
    stdout: str
    stderr: str


def read(path: Path) -> Transcript:
    """Read one file. Data stands behind its length in bytes, so it may hold anything."""
    rest = path.read_bytes()
    heads: dict[str, list[str]] = {}
    while not rest.startswith(b"stdout: "):
        line, _, rest = rest.partition(b"\n")
        key, _, value = line.decode().partition(": ")
        if not _ or not key.islower():  # a setup line of several lines
            key, value = "setup", line.decode()
        heads.setdefault(key, []).append(value)
    stdout, rest = _data(rest, b"stdout: ")
    stderr, rest = _data(rest, b"stderr: ")
    assert rest == b"end\n", path
    setup = heads.get("setup", [])
    command = "\n".join(heads["command"])
    stopped = STOPPED.search(command)
    return Transcript(
        name=heads["case"][0],
        volatile=heads["volatile"][0],
        setup="\n".join(line for line in setup if not line.startswith(WHILE_IT_RUNS)),
        actions="\n".join(line.removeprefix(WHILE_IT_RUNS) for line in setup if line.startswith(WHILE_IT_RUNS)),
        command=STOPPED.sub("", command),
        signal=stopped[1] if stopped else "",
        exit=int(heads["exit"][0]),
        stdout=stdout,
        stderr=stderr,
    )


def write(head: Path, status: int, stdout: str, stderr: str) -> bytes:
    """Return the bytes of a transcript with the head of another file."""
    lines = head.read_bytes().partition(b"exit: ")[0]
    parts = [b"exit: %d\n" % status]
    for name, text in ((b"stdout", stdout.encode()), (b"stderr", stderr.encode())):
        parts.append(b"%s: %d\n%s\n" % (name, len(text), text))
    return lines + b"".join(parts) + b"end\n"


def _data(rest: bytes, key: bytes) -> tuple[str, bytes]:
    head, _, rest = rest.partition(b"\n")
    length = int(head.removeprefix(key))
    assert rest[length : length + 1] == b"\n"
    return rest[:length].decode(), rest[length + 1 :]


# What differs from run to run, and what it becomes.
MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), mask)
    for pattern, mask in (
        (r"^conntrack v1\.4\.\d \((conntrack-tools|conntap [^)]*)\)", "conntrack BANNER"),
        (r"\bid=\d+", "id=N"),
        (r"<id>\d+</id>", "<id>N</id>"),
        (r"\bportid=\d+( progname=conntrack)?", "portid=N"),
        (r"delta-time=\d+", "delta-time=N"),
        (r"<deltatime>\d+<", "<deltatime>N<"),
        (r"\[(start|stop)=\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]", r"[\1=TIME]"),
        (r"<(start|stop)>\d{19}<", r"<\1>NS<"),
        (r"<when>(<(\w+)>\d+</\2>){7}</when>", "<when/>"),
        (r"^\[\d{8,}\.(?=.{6}\])\d+ *\]\t", "[TIME]\t"),
        (r"size has been set to \d+ bytes", "size has been set to N bytes"),
    )
)
TIMEOUT = re.compile(
    r"^((?:\[[^\]]*TIME\]\t)?(?:\[DESTROY\] | \[UPDATE\] |    \[NEW\] )?(?:ipv[46] +\d+ )?\w+ +\d+ )(\d+)(?= )"
    r"|^((?:\[[^\]]*TIME\]\t)?(?:\[DESTROY\] |    \[NEW\] )?)(\d+)(?= proto=)"
    r"|(-t )(\d+)|(<timeout>)(\d+)",
    re.MULTILINE,
)
CPU = re.compile(r"(=)\d+")
OVERRUN = re.compile(r"(?:WARNING: We have hit ENOBUFS!.*\n.*\n.*manpage\.\n)+")


def masked(text: str, case: Transcript | None = None) -> str:
    """Replace what may differ. Timeouts count down from round numbers: they are rounded up to the next ten.

    With the case that `text` is the data of, lines of listings are sorted, for the kernel's order is that of a hash.
    """
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    text = TIMEOUT.sub(_rounded, text)
    if "ENOBUFS" in text:
        # How many events fit into the buffer is the kernel's business.
        text = re.sub(r"\d+ flow events", "N flow events", OVERRUN.sub("WARNING: overrun\n", text))
    if any(line.startswith("cpu=") for line in text.splitlines()):
        # A line for each CPU: their number and values are the machine's.
        text = "".join(
            dict.fromkeys(re.sub(r"^cpu=\d+ *\t", "cpu=N\t", CPU.sub("=N", s)) for s in text.splitlines(True))
        )
    if case and case.volatile == "which events are lost":
        text = "".join(dict.fromkeys(re.sub(r"port=\d+", "port=N", text).splitlines(keepends=True)))
    if case and not case.signal and "2>&1" not in case.command:
        text = "".join(sorted(text.splitlines(keepends=True)))
    return text


def _rounded(match: re.Match[str]) -> str:
    text, number = (group for group in match.groups() if group is not None)
    return f"{text}{-(-int(number) // 10) * 10}"
