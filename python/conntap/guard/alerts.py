"""Alerts: what was not allowed, told to files, syslog, webhooks and programs, without holding the guard up.

A thread hands them on; what waits is bounded, and what does not fit or is not taken is counted.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.guard.metrics import Metrics
    from conntap.guard.policy import Actions

__all__ = ["Alerts"]

#: Alerts that may wait.
MOST: Final = 1_000
#: Facility daemon, severity warning (RFC 5424).
PRIORITY: Final = 3 * 8 + 4
LOG: Final = "/dev/log"


class Alerts:
    """Hands alerts on to all targets of a policy."""

    def __init__(self, actions: Actions, metrics: Metrics) -> None:
        """Begin.

        Raises:
            UsageError: a file cannot be written.
        """
        self._actions = actions
        self._metrics = metrics
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST)
        for target in actions.alert:
            if target.startswith("jsonl:/"):
                try:
                    open(target.removeprefix("jsonl:"), "a", encoding="utf-8").close()
                except OSError as error:
                    raise UsageError(f"{target}: {error.strerror}") from error
        self._pool = ThreadPoolExecutor(actions.at_once, thread_name_prefix="alert")
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def send(self, told: dict[str, Any]) -> None:
        """Hand one on; counted as dropped where too many wait."""
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._metrics.add("alerts_dropped")

    def close(self) -> None:
        """Hand on what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            for target in self._actions.alert:
                if target.startswith("http"):
                    self._pool.submit(self._counted, self._post, target, told)
                else:
                    self._counted(self._write if target.startswith("jsonl:") else self._syslog, target, told)
            if self._actions.command:
                self._pool.submit(self._counted, self._start, "", told)

    def _counted(self, send: Any, target: str, told: dict[str, Any]) -> None:
        try:
            send(target, told)
        except (OSError, ValueError, subprocess.SubprocessError):
            self._metrics.add("alerts_failed")
        else:
            self._metrics.add("alerts")

    def _write(self, target: str, told: dict[str, Any]) -> None:
        line = json.dumps(told, separators=(",", ":")) + "\n"
        if target == "jsonl:-":
            sys.stdout.write(line)
            sys.stdout.flush()
            return
        with open(target.removeprefix("jsonl:"), "a", encoding="utf-8") as file:
            file.write(line)

    def _syslog(self, target: str, told: dict[str, Any]) -> None:
        path = target.removeprefix("syslog:").removeprefix("//") or LOG
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(self._actions.timeout_seconds)
            log.connect(path)
            log.send(f"<{PRIORITY}>conntap-guard[{os.getpid()}]: {json.dumps(told, separators=(',', ':'))}".encode())

    def _post(self, target: str, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        # The policy's reader lets nothing but http and https through.
        request = Request(target, body, {"Content-Type": "application/json", "User-Agent": "conntap"})
        with urlopen(request, timeout=self._actions.timeout_seconds):
            pass

    def _start(self, _: str, told: dict[str, Any]) -> None:
        subprocess.run(
            list(self._actions.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | environment(told),
            timeout=self._actions.timeout_seconds,
            check=True,
        )


def environment(told: Mapping[str, Any]) -> dict[str, str]:
    """`CONNTAP_HELPER`, `CONNTAP_DST` … of an alert: no shell ever sees them."""
    return {f"CONNTAP_{name.upper()}": str(value) for name, value in told.items()}
