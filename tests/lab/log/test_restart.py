"""Restarts, a flush, a second logger: what the records and gaps say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.lab.conntrack import flush
from lab.log.faults import Books, Truth, close_books, send, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines() if file.exists() else []


def test_flows_that_ended_while_nobody_listened_end_between_two_times(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path), "--bindings", "all")
    gateway.host.sysctl({"netfilter/nf_conntrack_udp_timeout": 600})
    truth = Truth(gateway)
    logger = gateway.log(*words).ready()
    send(gateway, range(100))
    wait_until(lambda: len(lines(file)) >= 100, "all beginnings are recorded", 60)
    logger.kill()
    gateway.host.call(flush)
    gateway.host.sysctl({"netfilter/nf_conntrack_udp_timeout": 600})
    send(gateway, range(100, 150))
    logger = gateway.log(*words).ready()
    gateway.host.call(flush)  # these were found alive: their end is seen
    logger.stop()
    close_books(gateway, *words)

    books = Books.of(file)
    books.check_numbers()
    known, unknown, unlisted = books.check_lives(truth.lives())
    assert (known, unknown, unlisted) == (50, 100, 0)
    began = {r["orig_dst"]: r["flow_id"] for r in books.records if r["kind"] == "BINDING"}
    assert all(record["flow_id"] == began[name] for name, (record,) in books.flows.items())


def test_thirty_thousand_short_flows_within_one_restart(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path))
    gateway.log(*words).ready().stop()
    truth = Truth(gateway)
    send(gateway, range(30_000))
    gateway.settle()
    close_books(gateway, *words)
    books = Books.of(file)
    books.check_numbers()
    lives = truth.lives()
    assert len(lives) == 30_000
    assert books.check_lives(lives) == (0, 0, 30_000)
    gap = books.gaps_of("restart")[0]
    assert all(gap["gap_after_ns"] <= life.start_ns and life.stop_ns <= gap["gap_before_ns"] for life in lives.values())


def test_a_flush_is_told_beside_the_flows_that_it_ended(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    words = ("udp", "--to", f"jsonl:{file}", "--state", str(tmp_path))
    gateway.host.sysctl({"netfilter/nf_conntrack_udp_timeout": 600})
    truth = Truth(gateway)
    logger = gateway.log(*words).ready()
    send(gateway, range(1000))
    gateway.host.call(flush)
    logger.stop()
    books = Books.of(file)
    books.check_numbers()
    assert books.check_lives(truth.lives()) == (1000, 0, 0)
    assert {record["end_reason"] for (record,) in books.flows.values()} == {"forced_end"}
    assert [gap["gap_ended"] for gap in books.gaps_of("flush")] == [1000]


def test_a_second_logger_on_one_ledger_refuses_and_names_the_first(gateway: Gateway, tmp_path: Path) -> None:
    words = ("udp", "--to", f"jsonl:{tmp_path}/records.jsonl", "--state", str(tmp_path))
    first = gateway.log(*words).ready()
    second = gateway.log(*words)
    assert second.wait() == 2
    assert f"process {first.pid} writes to {tmp_path}" in second.said
    first.stop()
