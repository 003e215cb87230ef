"""A receive buffer that is far too small, and a logger that cannot run for moments."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from lab.log.faults import Books, Load, Truth, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


@pytest.mark.slow
@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "--no-reliable"])
def test_a_buffer_of_64_kib(gateway: Gateway, tmp_path: Path, reliable: bool) -> None:
    """Reliable: every end is recorded, late. Otherwise losses are gaps: who is not recorded lived in one."""
    file = tmp_path / "records.jsonl"
    more = () if reliable else ("--no-reliable",)
    logger = gateway.log("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path), "--buffer", "64K", *more).ready()
    truth = Truth(gateway)
    load = Load(gateway, 2000)
    for _ in range(6):
        time.sleep(random.uniform(0.1, 0.3))  # waits: it works
        logger.signal(signal.SIGSTOP)
        time.sleep(random.uniform(0.3, 0.8))  # waits: it does not, and the kernel goes on
        logger.signal(signal.SIGCONT)
    made = load.stop()
    wait_until(lambda: file.read_text().count('"overrun"') > 0, "a loss is told")
    lives = truth.lives()
    time.sleep(6.5)  # waits: ends that were not seen are waited for so long, then told
    said = logger.stop()

    books = Books.of(file)
    books.check_numbers()
    known, unknown, unlisted = books.check_lives(lives)
    lost = sum(gap.get("lost", 0) for gap in books.gaps_of("overrun"))
    print(f"{made} flows: {known} recorded, {unknown} between two times, {unlisted} in gaps, lost {lost}: {said}")
    assert known + unknown + unlisted == made
    assert books.gaps_of("overrun")
    if reliable:
        assert (unknown, unlisted) == (0, 0)
    else:
        assert unlisted > 0
