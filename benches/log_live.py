"""`conntap log --to parquet:` under a long flood: is all recorded, does memory stay, what does a flow cost?

The flood is that of `events`: UDP packets of new tuples into a link without carrier, entries live one second. It ends,
the table empties itself, the logger is told to stop: what was created must be in its books and in the segments.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from benches import data
from benches.flood import (
    DEADLINE_S,
    cpu_ns,
    drained,
    empty_table,
    entries,
    flood,
    listener_inode,
    prepare,
    socket_of,
    wait_for,
)
from benches.process import conntap
from conntap.store.manifest import Manifest

__all__ = ["measure"]

PAGE_KIB = 4


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """Flood it once."""
    prepare(acct=True)
    empty_table()
    with data.scratch() as folder:
        summary, ledger = folder / "summary.json", folder / "ledger"
        command = [conntap(), "log", "--to", f"parquet:{ledger}", "--state", str(ledger)]
        logger = subprocess.Popen(
            [*command, "--quiet", "--summary", str(summary)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            inode = wait_for(listener_inode, "the logger to subscribe")
            wait_for(lambda: drained(inode, logger.pid), "the logger to be idle")
            before = cpu_ns(logger.pid)
            with Samples(logger.pid, ledger / "journal") as samples:
                made = flood(plan["long_flood_seconds"], plan["long_flood_rate"], pinned=False)
            wait_for(lambda: entries() == 0, "the entries to expire")
            wait_for(lambda: drained(inode, logger.pid), "the logger to catch up")
            spent, dropped = cpu_ns(logger.pid) - before, socket_of(inode)["Drops"]
            logger.send_signal(signal.SIGTERM)
            logger.wait(DEADLINE_S)
        finally:
            logger.kill()
        told = json.loads(summary.read_text())
        segments = Manifest.read(ledger).segments.values()
        rows, size = sum(one.rows for one in segments), sum(one.bytes for one in segments)
    books = told["ledger"]
    return {
        "seconds": made["seconds"],
        "created": made["created"],
        "flows_a_second": made["flows_per_second"],
        "recorded": books["flows"],
        "in_segments": rows,
        "open": books["open"],
        "lost": books["lost"],
        "balanced": books["balanced"],
        "overruns": dropped,
        "stalls": told["stalls"],
        "cpu_us_a_flow": spent / 1000 / made["created"],
        "bytes_a_flow": size / max(1, rows),
        **samples.sums(),
    }


class Samples:
    """Looks at a process ten times a second, so that it sees each segment's publishing; at its journal once."""

    def __init__(self, pid: int, journal: Path) -> None:
        self._pid, self._journal = pid, journal
        self.resident: list[int] = []
        self.journal: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
            self.resident.append(pages * PAGE_KIB // 1024)
            if len(self.resident) % 10 == 0:
                self.journal.append(sum(size_of(path) for path in self._journal.rglob("*")))

    def sums(self) -> dict[str, Any]:
        """Greatest of each third, in MiB: a third holds several segments, whose making goes up and down."""
        third = max(1, len(self.resident) // 3)
        thirds = [max(self.resident[at : at + third]) for at in (0, third, len(self.resident) - third)]
        return {
            "resident_mib": self.resident[::10],
            "resident_thirds_mib": thirds,
            "growth": thirds[2] / max(1, thirds[1]),
            "journal_peak_mib": max(self.journal, default=0) / (1 << 20),
        }


def size_of(path: Path) -> int:
    """Bytes of a file that may have gone meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
