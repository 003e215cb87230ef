"""A namespace of its own in which connections are tracked, and a doctor that logs in it."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from conntap.lab import Host
from golden.cli.running import COMMAND, DEADLINE
from golden.cli.stage import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SETTINGS = ("nf_conntrack_log_invalid", "nf_log/2", "nf_log/10")
RULES = """
table inet t {
    chain c {
        type filter hook prerouting priority filter; policy accept;
        ct state new;
    }
}
"""


def _settings() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in SETTINGS:
        with open(f"/proc/sys/net/netfilter/{name}", encoding="ascii") as file:
            found[name] = file.read().strip()
    return found


class Logging:
    """`conntap doctor --log-invalid … --json` in a namespace."""

    def __init__(self, host: Host, protocol: str, seconds: str, folder: Path) -> None:
        self.host = host
        words = ["doctor", "--log-invalid", protocol, seconds, "--json", "--netns", str(host.pid)]
        self._err = folder / "err"
        with self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *words], stdout=subprocess.PIPE, stderr=err, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self._err.read_text()

    def on(self) -> Logging:
        """Wait until it logs."""
        wait_for(lambda: self.process.poll() is not None or "logging INVALID" in self.said, "the log to be on")
        assert self.process.poll() is None, self.said
        return self

    def stop(self, number: int = signal.SIGINT) -> dict[str, Any]:
        """End it, and return what it found."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, self.said
        return json.loads(out)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)

    def close(self) -> None:
        """As a person would, so that it leaves no note behind."""
        if self.process.poll() is None:
            self.stop()


@pytest.fixture
def host(need: Callable[[str], str]) -> Iterator[Host]:
    """A host that tracks what it sends to itself."""
    need("nft")
    host = Host("doctor", first=None)
    try:
        host.run(["ip", "link", "set", "lo", "up"])
        host.run(["nft", "-f", "-"], input=RULES)
        yield host
    finally:
        host.close()


@pytest.fixture
def settings(host: Host) -> Callable[[], dict[str, str]]:
    """How the log is set."""
    return lambda: host.call(_settings)


@pytest.fixture
def begin(host: Host, tmp_path: Path) -> Iterator[Callable[..., Logging]]:
    """Start logging; it ends with the test at the latest."""
    started: list[Logging] = []

    def start(protocol: str = "tcp", seconds: str = "60s", *, where: Host = host) -> Logging:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Logging(where, protocol, seconds, folder))
        return started[-1].on()

    yield start
    for one in started:
        one.close()
