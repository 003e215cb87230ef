"""How long `conntap doctor` takes as a whole process: an empty namespace, many listeners, many processes."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benches.figures import spread

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["measure"]

COMMAND = [
    sys.executable,
    "-c",
    "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))",
    "doctor",
]
NETLINK_NETFILTER = 12
#: Groups of connections and expectations.
ALL_GROUPS = 0b111111


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Wall milliseconds of each case; must be run in namespaces of its own."""
    rounds = plan["doctor_rounds"]
    found: dict[str, Any] = {"empty": timed([], rounds), "empty, --all --json": timed(["--all", "--json"], rounds)}
    with listening(plan["doctor_listeners"]):
        found["100 listeners"] = timed([], rounds)
        with processes(plan["doctor_processes"]):
            found["100 listeners, 300 more processes"] = timed([], rounds)
    return found


def timed(words: list[str], rounds: int) -> dict[str, float]:
    """Run it again and again; the first run warmed the files up."""
    runs: list[float] = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        done = subprocess.run([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        runs.append((time.perf_counter() - begun) * 1e3)
        if done.returncode not in (0, 1):
            raise SystemExit(f"bench: conntap doctor failed:\n{done.stderr.decode()}")
    return spread(runs[1:])


@contextlib.contextmanager
def listening(number: int) -> Generator[None]:
    """So many sockets that listen to events."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            handle = stack.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER))
            handle.bind((0, ALL_GROUPS))
        yield


@contextlib.contextmanager
def processes(number: int) -> Generator[None]:
    """So many that do nothing."""
    running = [subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.communicate()
