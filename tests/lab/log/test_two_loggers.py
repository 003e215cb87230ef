"""A ledger has one logger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.log.faults import Books, send, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


@pytest.mark.parametrize("target", ["jsonl:{}/records.jsonl", "parquet:{}/ledger"])
def test_the_second_refuses(gateway: Gateway, tmp_path: Path, target: str) -> None:
    """It names the first, which goes on; when that is dead, however it died, another may come."""
    words = ["udp", "--to", target.format(tmp_path)]
    if target.startswith("jsonl"):
        words += ["--state", str(tmp_path)]
    first = gateway.log(*words).ready()
    second = gateway.log(*words)
    assert second.wait() == 2, second.said
    assert f"process {first.pid} writes to" in second.said
    send(gateway, range(10))
    gateway.settle()
    first.kill()
    gateway.log(*words).ready().stop()


def test_two_loggers_with_one_file(gateway: Gateway, tmp_path: Path) -> None:
    """Each has a state of its own, but one file: the first one's records stay whole."""
    file = tmp_path / "records.jsonl"
    first = gateway.log("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path / "one")).ready()
    second = gateway.log("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path / "two"))
    assert second.wait() != 0
    assert "another conntap writes to it" in second.said
    send(gateway, range(10))
    gateway.settle()
    wait_until(lambda: file.read_text().count('"FLOW"') == 10, "all are recorded")
    first.stop()
    Books.of(file).check_numbers()
