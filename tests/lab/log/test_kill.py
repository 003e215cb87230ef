"""`kill -9` at any moment, many times, under load: every flow is recorded once, or lived in a gap."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from lab.log.faults import through

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kills", "per_second", "options"),
    [(50, 3000, ()), (20, 2000, ("--bindings", "all", "--interim", "1s"))],
    ids=["flows", "flows with bindings and interim records"],
)
def test_kill_at_random_moments(
    gateway: Gateway, tmp_path: Path, kills: int, per_second: int, options: tuple[str, ...]
) -> None:
    """Some die before they listen, some while they compare with the table, some at work."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    moments = [round(dice.uniform(0.05, 1.6), 3) for _ in range(kills)]
    print(f"seed {seed}, seconds from start to kill: {moments}")
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path), *options)

    def kills_at_moments() -> None:
        for moment in moments:
            logger = gateway.log(*words)
            time.sleep(moment)  # waits: the moment of the kill is the case
            logger.kill()

    books, known = through(kills_at_moments, gateway, words, file, per_second=per_second, seed=seed)
    assert known > 0
    assert len(books.gaps_of("restart")) >= kills // 4
