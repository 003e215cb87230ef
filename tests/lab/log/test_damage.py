"""A segment of the ledger is damaged on the disk: it is found and named, and the rest is readable."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from lab.log.faults import COMMAND, send, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


def conntap(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_a_damaged_segment(gateway: Gateway, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    words = ("udp", "--to", f"parquet:{ledger}")
    for part in range(2):  # a segment or more of each run
        logger = gateway.log(*words).ready()
        send(gateway, range(part * 50, part * 50 + 50))
        wait_until(lambda: gateway.alive() == 0, "they are over")
        assert "50 flows recorded" in logger.stop()
    whole = conntap("ledger", "verify", str(ledger))
    assert whole.returncode == 0, whole.stdout + whole.stderr

    segments = sorted((ledger / "segments").rglob("*.parquet"))
    assert len(segments) > 1
    bad = segments[0]
    data = bytearray(bad.read_bytes())
    data[len(data) // 2] ^= 0xFF
    bad.write_bytes(data)
    found = conntap("ledger", "verify", str(ledger))
    assert found.returncode == 1
    assert bad.name in found.stdout + found.stderr
