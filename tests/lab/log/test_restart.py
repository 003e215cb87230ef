"""Flows that end, or live and end, while no logger runs; and ends by a flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conntap.lab.conntrack import flush
from lab.log.faults import Books, Truth, send, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.log.faults import Gateway

TIMEOUT = "netfilter/nf_conntrack_udp_timeout"


def has(file: Path, word: str, count: int) -> Callable[[], bool]:
    """So many records say this word."""
    return lambda: file.exists() and file.read_text().count(f'"{word}"') >= count


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
def test_flows_that_began_before_and_ended_in_between(gateway: Gateway, tmp_path: Path, how: str) -> None:
    """Their ends lie between two times; flows that live on keep their id and beginning."""
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path), "--bindings", "all")
    first = gateway.log(*words).ready()
    truth = Truth(gateway)
    gateway.host.sysctl({TIMEOUT: 600})
    send(gateway, range(100))  # these live on
    gateway.host.sysctl({TIMEOUT: 1})
    send(gateway, range(100, 200))  # these end while nobody listens
    wait_until(has(file, "BINDING", 200), "all beginnings are recorded")
    first.kill() if how == "kill -9" else first.stop()
    wait_until(lambda: gateway.alive() == 100, "the short ones are over")
    send(gateway, range(200, 300))  # nobody ever hears of these
    wait_until(lambda: gateway.alive() == 100, "the short ones are over")
    last = gateway.log(*words).ready()
    gateway.host.call(flush)
    wait_until(has(file, "unknown", 100), "the unseen ends are told")
    last.stop()

    books = Books.of(file)
    books.check_numbers()
    assert books.check_lives(truth.lives()) == (100, 100, 100)
    begun = {record["orig_dst"]: record for record in books.records if record["kind"] == "BINDING"}
    for name, (record,) in books.flows.items():
        assert record["flow_id"] == begun[name]["flow_id"]
    (gap,) = books.gaps_of("restart")
    (compared,) = [gap for gap in books.gaps_of("reconcile") if gap["gap_ended"]]
    assert compared["gap_ended"] == 100
    unknown = [record for (record,) in books.flows.values() if record["end_reason"] == "unknown"]
    assert all(record["stop_ns"] <= gap["gap_before_ns"] + 1_000_000_000 for record in unknown)


@pytest.mark.slow
def test_thirty_thousand_flows_within_one_restart(gateway: Gateway, tmp_path: Path) -> None:
    """Three thousand began before; all others lie in the gap, and no record is made up."""
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path))
    first = gateway.log(*words).ready()
    truth = Truth(gateway)
    send(gateway, range(3000))
    first.stop()
    for start in range(3000, 33_000, 5000):
        send(gateway, range(start, start + 5000))
    gateway.settle()
    last = gateway.log(*words).ready()
    wait_until(has(file, "FLOW", 3000), "the unseen ends are told")
    said = last.stop()

    books = Books.of(file)
    books.check_numbers()
    known, unknown, unlisted = books.check_lives(truth.lives())
    assert known + unknown + unlisted == 33_000
    assert known + unknown == 3000, said
    assert len(books.gaps_of("restart")) == 1


@pytest.mark.slow
def test_a_flush_is_told(gateway: Gateway, tmp_path: Path) -> None:
    """`conntrack -F`: every flow ends by force, and a record beside them says what it was."""
    file = tmp_path / "records.jsonl"
    logger = gateway.log("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path), "--bindings", "all").ready()
    truth = Truth(gateway)
    gateway.host.sysctl({TIMEOUT: 600})
    send(gateway, range(500))
    wait_until(has(file, "BINDING", 500), "all beginnings are recorded")
    gateway.host.call(flush)
    wait_until(has(file, "flush", 1), "the flush is told")
    logger.stop()

    books = Books.of(file)
    books.check_numbers()
    assert books.check_lives(truth.lives()) == (500, 0, 0)
    assert {record["end_reason"] for (record,) in books.flows.values()} == {"forced_end"}
    (gap,) = books.gaps_of("flush")
    assert gap["gap_ended"] == 500
    assert not books.gaps_of("overrun", "restart")
