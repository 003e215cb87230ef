"""What the fault tests have in common: a gateway of their own, a load of known flows, `conntap log`, and its books.

The truth comes from the kernel by a second listener that nothing disturbs: when each flow began and ended. A record
must say the same; a flow without one must have lived at a time of which a gap says that not all is known.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import conntap
from conntap.lab.conntrack import destroy_expired
from conntap.lab.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from conntap import _core

COMMAND: Final = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"
RULES: Final = "table inet track { chain out { type filter hook output priority 0; ct state new counter; }; }"
SETTINGS: Final = {
    "netfilter/nf_conntrack_acct": 1,
    "netfilter/nf_conntrack_timestamp": 1,
    "netfilter/nf_conntrack_udp_timeout": 1,
}
PORT: Final = 7
DEADLINE_SECONDS: Final = 30.0
#: The kernel stamps the event of a beginning a little after the beginning itself.
NEAR_NS: Final = 20_000_000


class Gateway:
    """A network namespace that tracks what it sends to itself, and what is done in it."""

    def __init__(self) -> None:
        self.host = Host("faults", first=None)
        self.host.run(["ip", "link", "set", "lo", "up"])
        self.host.run(["nft", "-f", "-"], input=RULES)
        self.host.sysctl(SETTINGS)
        self.loggers: list[Logger] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self.loggers:
            logger.kill()
        self.host.close()

    def log(self, *words: str, env: Mapping[str, str] | None = None) -> Logger:
        """Start `conntap log` here, as a person would."""
        logger = self.host.call(Logger, words, env)
        self.loggers.append(logger)
        return logger

    def alive(self) -> int:
        """How many flows the table holds; those that have run out are freed by the question."""
        return self.host.call(destroy_expired)

    def settle(self) -> None:
        """Wait until all flows have ended."""
        wait_until(lambda: self.alive() == 0, "no flow is left")


class Logger:
    """A running `conntap log`."""

    def __init__(self, words: tuple[str, ...], env: Mapping[str, str] | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "log", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as pipe:
            for line in pipe:
                self._lines.append(line.decode(errors="replace"))

    @property
    def said(self) -> str:
        """What it has said so far on stderr."""
        return "".join(self._lines)

    def wait_for(self, words: str) -> Self:
        """Wait until it says so."""
        wait_until(lambda: words in self.said or self.process.poll() is not None, f"'{words}' is said")
        assert words in self.said, self.said
        return self

    def ready(self) -> Self:
        """Wait until it has compared its flows with the table and goes on."""
        return self.wait_for("logging to")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def wait(self) -> int:
        """Wait for its end."""
        status = self.process.wait(DEADLINE_SECONDS)
        self._reader.join()
        return status

    def stop(self) -> str:
        """End it as a service manager does; what it said."""
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.said
        assert "Traceback" not in self.said
        return self.said


def wait_until(condition: Any, what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


@dataclass
class Life:
    """What the kernel said of a flow."""

    start_ns: int  # told by its end; by its beginning only when the kernel stamps events (Linux 6.14)
    stop_ns: int = 0


class Truth:
    """Listens beside the logger, with a buffer so large that nothing is lost."""

    def __init__(self, gateway: Gateway) -> None:
        self._batches: list[_core.Batch] = []
        self._stop = threading.Event()
        self._began = threading.Event()
        self._gateway = gateway
        self._work = gateway.host.start(self._listen)
        assert self._began.wait(DEADLINE_SECONDS)

    def _listen(self) -> dict[str, int]:
        with (
            conntap.open() as ct,
            ct.events("proto udp", updates=False, expectations=False, buffer_bytes=256 << 20) as events,
        ):
            self._began.set()
            while not self._stop.is_set():
                if (batch := events.receive(0.1)) is not None:
                    self._batches.append(batch)
            while (batch := events.receive(0)) is not None:
                self._batches.append(batch)
            return events.counters

    def lives(self) -> dict[str, Life]:
        """All flows by the address that they went to; no address is used twice."""
        self._stop.set()
        counters = self._work.result()
        assert counters["lost"] == 0, counters
        lives: dict[str, Life] = {}
        ended: set[str] = set()
        for batch in self._batches:
            for event in batch.events():
                flow = event.flow
                assert flow is not None
                assert event.kind in ("NEW", "DESTROY"), event.kind
                name = str(flow.original.dst)
                if event.kind == "NEW":  # two processors may tell it behind the end
                    lives.setdefault(name, Life(flow.event_ns or 0))
                else:
                    # An end that another listener had no room for comes to all of them again.
                    assert name not in ended or lives[name].start_ns == flow.start_ns, f"{name} is used twice"
                    if name in ended:
                        continue
                    ended.add(name)
                    lives[name] = Life(flow.start_ns, flow.stop_ns)
        assert ended == lives.keys(), "the kernel told an end of every flow"
        return lives


class Load:
    """Makes flows: a datagram each to an address of 127.0.0.0/8 that no other goes to, until stopped.

    Half of them end at once (a timeout of 0: they run out when the kernel next meets them), half after a second.
    """

    def __init__(self, gateway: Gateway, per_second: int, *, seed: int = 0, timeouts: tuple[int, ...] = (0, 1)) -> None:
        self.sent = 0
        self._stop = threading.Event()
        self._random = random.Random(seed)
        self._timeouts = timeouts
        self._gateway = gateway
        self._works = [gateway.host.start(self._send, per_second), gateway.host.start(self._sweep)]

    def _send(self, per_second: int) -> None:
        began = time.monotonic()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle,
            open("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "w", encoding="ascii") as timeout,
        ):
            while not self._stop.is_set():
                timeout.seek(0)  # elsewhere the kernel takes nothing
                timeout.write(f"{self._random.choice(self._timeouts)}\n")
                timeout.flush()
                due = int((time.monotonic() - began) * per_second)
                for number in range(self.sent, min(due, self.sent + 1000)):
                    handle.sendto(b"payload", (address(number), PORT))
                    self.sent = number + 1
                self._stop.wait(0.01)

    def _sweep(self) -> None:
        while not self._stop.wait(0.03):
            destroy_expired()

    def stop(self) -> int:
        """Stop, and wait until all flows have ended; how many there were."""
        self._stop.set()
        for work in self._works:
            work.result()
        self._gateway.settle()
        return self.sent


def close_books(gateway: Gateway, *words: str) -> str:
    """Run the logger until it holds no flow open: an end that nobody saw is waited for some seconds."""
    said = ""

    def none_is_open() -> bool:
        nonlocal said
        said = gateway.log(*words).ready().stop()
        return ", 0 open" in said

    wait_until(none_is_open, "no flow is held open")
    return said


def through(
    faults: Callable[[], None], gateway: Gateway, words: tuple[str, ...], file: Path, *, per_second: int, seed: int
) -> tuple[Books, int]:
    """Log under load while *faults* happen, end in order, and compare; the books, and how many ends they know."""
    gateway.log(*words).ready().stop()  # from here on the log has begun
    truth = Truth(gateway)
    load = Load(gateway, per_second, seed=seed)
    faults()
    last = gateway.log(*words).ready()
    load.stop()
    lives = truth.lives()
    said = last.stop() + close_books(gateway, *words)

    books = Books.of(file)
    books.check_numbers()
    known, unknown, unlisted = books.check_lives(lives)
    print(f"{len(lives)} flows: {known} recorded, {unknown} with an end between two times, {unlisted} in gaps; {said}")
    assert len(lives) == load.sent
    return books, known


def address(number: int) -> str:
    """The address of flow *number*."""
    number += 1 << 16
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def send(gateway: Gateway, numbers: Iterable[int], payload: bytes = b"payload") -> None:
    """Make these flows."""

    def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            for number in numbers:
                handle.sendto(payload, (address(number), PORT))

    gateway.host.call(work)


@dataclass
class Books:
    """What was recorded, in order."""

    records: list[dict[str, Any]]
    flows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    gaps: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> Books:
        """Read a file of `jsonl:`; every line is whole."""
        books = cls([json.loads(line) for line in path.read_bytes().splitlines()])
        for record in books.records:
            if record["kind"] == "GAP":
                books.gaps.append(record)
            elif record["kind"] == "FLOW" and record.get("protocol") == "udp":
                books.flows.setdefault(record["orig_dst"], []).append(record)
        return books

    def gaps_of(self, *causes: str) -> list[dict[str, Any]]:
        return [gap for gap in self.gaps if gap["gap_cause"] in causes]

    def check_numbers(self) -> None:
        """Each number once, without holes, in order; no record of a flow twice."""
        numbers = [record["seq"] for record in self.records]
        holes = [(a, b) for a, b in pairwise(numbers) if b != a + 1]
        assert numbers[:1] == [1], numbers[:1]
        assert not holes, f"numbers jump: {holes[:5]}"
        seen = [(r["kind"], r["flow_id"], r.get("record_no", 0)) for r in self.records if r["kind"] != "GAP"]
        assert len(seen) == len(set(seen)), f"twice: {[one for one in set(seen) if seen.count(one) > 1][:3]}"

    def check_lives(self, lives: Mapping[str, Life]) -> tuple[int, int, int]:
        """Every flow is recorded once and truly, or lived in a gap; how many: recorded, with unknown end, in gaps."""
        known = unknown = unlisted = 0
        bounds = [(g["gap_after_ns"], g["gap_before_ns"]) for g in self.gaps_of("restart", "overrun")]
        wrong: list[str] = []
        for name, life in lives.items():
            found = self.flows.get(name, [])
            if not found:
                unlisted += 1
                if not any(life.start_ns <= before and life.stop_ns >= after for after, before in bounds):
                    wrong.append(f"{name} {life} is neither recorded nor in a gap")
            elif len(found) > 1:
                wrong.append(f"{name} {life} is recorded {len(found)} times: {found}")
            elif abs(found[0]["start_ns"] - life.start_ns) > (0 if found[0]["start_from"] == "kernel" else NEAR_NS):
                wrong.append(f"{name} {life} began at another time: {found}")
            elif found[0]["end_reason"] != "unknown":
                known += 1
                if found[0]["stop_ns"] != life.stop_ns:
                    wrong.append(f"{name} {life} ended at another time: {found}")
            else:
                unknown += 1
                if not found[0]["stop_after_ns"] <= life.stop_ns <= found[0]["stop_ns"]:
                    wrong.append(f"{name} {life} did not end between these times: {found}")
        strangers = self.flows.keys() - lives.keys()
        assert not wrong, f"{len(wrong)} of {len(lives)}: " + "\n".join(wrong[:5])
        assert not strangers, f"recorded, but never made: {sorted(strangers)[:5]}"
        assert known + unknown + unlisted == len(lives)
        return known, unknown, unlisted
