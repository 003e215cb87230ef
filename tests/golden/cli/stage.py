"""A stage for commands: fixed width, zone and services, and a kernel whose tables never change."""

from __future__ import annotations

import contextlib
import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conntap import _core
from conntap.cli.io import IO
from conntap.cli.main import run
from conntap.errors import UsageError
from conntap.filter import as_filter
from conntap.recording import Recording
from conntap.streams import Expectations, Flows

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).resolve().parents[2] / "data"
HERE = Path(__file__).resolve().parent
SAMPLES = DATA / "recordings/samples.pcapng"
FTP = HERE.parents[2] / "python/conntap/lab/data/ftp.pcapng"

#: What stands for /etc/services, which differs from machine to machine.
SERVICES = {(21, 6): "ftp", (80, 6): "http", (53, 17): "domain"}
#: In dump_tcp_nat.bin (kernel 6.18): when the flow began. Made two hours ago, so that its age is the same every day.
STARTED_NS = 1795472770606546637
HOURS_AGO = 2


class Terminal(io.BytesIO):
    """Standard output that survives the command."""

    def close(self) -> None:
        """The test reads it afterwards."""


@dataclass
class Played:
    """What a command line wrote and how it ended."""

    out: str
    err: str
    status: int


def play(arguments: list[str], *, width: int = 0, color: bool = False, ascii: bool = False) -> Played:
    """Run a command line as on a terminal of *width* columns, or piped with 0."""
    out, err = Terminal(), io.StringIO()
    stage = IO(out=out, err=err, is_tty=width > 0, width=width, color=color, ascii=ascii)
    with contextlib.redirect_stdout(io.TextIOWrapper(Terminal())) as help_text:  # click writes --help there
        status = run(arguments, stage)
    help_text.flush()
    return Played((help_text.buffer.getvalue() + out.getvalue()).decode(), err.getvalue(), status)


def transcript(played: Played, command: str) -> str:
    """The golden text: the command, stdout, stderr and the status, escape sequences made visible."""
    parts = [f"$ {command}\n", played.out]
    if played.err:
        parts += ["--- stderr\n", played.err]
    parts.append(f"--- exit {played.status}\n")
    text = "".join(parts).replace("\x1b", "␛").replace(f"{DATA.parent.parent}/", "")
    # What differs from run to run: how long it took, and in rows of a table the time.
    if re.match(r'{"kind":"(EXP_)?ENTRY"', played.out):
        text = re.sub(r'("(?:start|received)_ns":)\d+', r"\1…", text)
    return re.sub(r"(\d event[s]? in )\d+ s", r"\1… s", text)


class Dump:
    """One reading of a table that lies in memory."""

    def __init__(self, batch: _core.Batch, where: _core.Filter | None, *, interrupted: bool) -> None:
        rows = [event for event in batch.events() if where is None or where.matches(event)]
        self.interrupted = interrupted
        self.counters = {"rows": len(rows), "filtered_here": len(batch) - len(rows)}
        self.batch = _core.Batch.of([(row.message(), row.received_ns) for row in rows])

    def __iter__(self) -> Iterator[_core.Batch]:
        yield self.batch


def messages(name: str) -> list[tuple[bytes, int]]:
    """The messages of a sample datagram, received now."""
    data = (DATA / f"ctnetlink/{name}.bin").read_bytes()
    now = _core.now_ns()
    started = now - HOURS_AGO * 3_600_000_000_000 - 60_000_000_000
    data = data.replace(STARTED_NS.to_bytes(8, "big"), started.to_bytes(8, "big"))
    found: list[tuple[bytes, int]] = []
    while len(data) >= 16:
        length = int.from_bytes(data[:4], "little")
        found.append((data[:length], now))
        data = data[(length + 3) & ~3 :]
    return found


class Listening:
    """Stands for `Conntrack.events()`: the rows of a recording, then silence."""

    def __init__(self, where: str) -> None:
        self._batches = Recording(FTP).batches(as_filter(where) or "")
        self.counters = {"received": 17, "rows": 17, "lost": 0, "gaps": 0, "filtered_here": 0}
        self.sample = None
        self.listener = self

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def receive(self, _timeout_ms: int) -> _core.Batch | None:
        return next(self._batches, None)


@dataclass
class Kernel:
    """Stands for `conntap.open()`: two flows and an expectation from real dumps, events from a recording."""

    flow_names: tuple[str, ...] = ("dump_tcp_nat", "dump_dying")
    expectation_names: tuple[str, ...] = ("dump_exp_ftp",)
    interrupted: bool = False
    events_mode: int = 1
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _rows(self, names: tuple[str, ...]) -> _core.Batch:
        return _core.Batch.of([message for name in names for message in messages(name)])

    def _table(self, names: tuple[str, ...], where: str) -> Any:
        compiled = as_filter(where)
        if compiled is not None and compiled.uses_event_kinds:
            raise UsageError("a table has no events: 'new', 'update' and 'destroy' select nothing here")
        return lambda: Dump(self._rows(names), compiled, interrupted=self.interrupted)

    def flows(self, where: str = "", *, zero: bool = False) -> Flows:
        if zero:
            self.asked.append("zero")
        return Flows(self._table(self.flow_names, where))

    def expectations(self, where: str = "") -> Expectations:
        return Expectations(self._table(self.expectation_names, where))

    def events(self, where: str = "", **_options: object) -> Listening:
        return Listening(where)

    def count(self) -> int:
        return len(self._rows(self.flow_names))

    def limit(self) -> int:
        return 262_144

    def settings(self, *_names: str) -> dict[str, int]:
        return {"count": self.count(), "max": self.limit(), "events": self.events_mode}

    def stats(self) -> list[dict[str, int]]:
        return [{"cpu": cpu, "found": 7 + cpu, "invalid": 1_234, "insert_failed": 0, "drop": 2} for cpu in range(2)]

    def expectation_stats(self) -> list[dict[str, int]]:
        return [{"cpu": cpu, "expect_new": 3, "expect_create": 5, "expect_delete": 4} for cpu in range(2)]

    def delete(self, where: str, *, limit: int | None = None) -> int:
        found = self.flows(where).count()
        self.asked.append(f"delete {where}")
        return found if limit is None else min(found, limit)

    def delete_expectations(self, where: str = "") -> int:
        self.asked.append(f"delete expectations {where}")
        return self.expectations(where).count()

    def flush(self) -> None:
        self.asked.append("flush")


def wait_for(condition: Any, what: str, *, seconds: float = 20.0) -> Any:
    """The first true value of *condition*, or a failed test that says what did not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)  # waits: between two looks
    raise AssertionError(f"{what}: not within {seconds:.0f} s")
