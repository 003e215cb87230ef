"""The clock is set back an hour: of the logger's process only, by libfaketime; the machine's own is not touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.log.faults import Books, Truth, send, wait_until

if TYPE_CHECKING:
    from lab.log.faults import Gateway

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def test_set_back_an_hour(gateway: Gateway, tmp_path: Path) -> None:
    """A gap says so; every flow is recorded once, with the kernel's times."""
    if FAKETIME is None:
        pytest.skip("needs the program faketime (libfaketime.so.1)")
    file, offset = tmp_path / "records.jsonl", tmp_path / "offset"
    offset.write_text("+0\n")
    fake = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path))
    logger = gateway.log(*words, env=fake).ready()
    truth = Truth(gateway)
    send(gateway, range(100))
    wait_until(lambda: gateway.alive() == 0, "they are over")
    offset.write_text("-3600s\n")
    logger.wait_for("the clock was set back by 3600")
    send(gateway, range(100, 200))
    wait_until(lambda: gateway.alive() == 0, "they are over")
    logger.stop()

    books = Books.of(file)
    books.check_numbers()
    assert books.check_lives(truth.lives()) == (200, 0, 0)
    (gap,) = books.gaps_of("clock")
    assert 3590e9 < gap["gap_after_ns"] - gap["gap_before_ns"] < 3610e9
