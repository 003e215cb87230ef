"""What `who`, `flows` and `sql` say: byte for byte, on a small ledger."""

from __future__ import annotations

import json

import pytest

from conntap import _core
from conntap.store import query
from golden.cli.stage import play, transcript
from golden.cli.test_output import compare
from ledgers import START, UDP, Connection, held, records_of, write_ledger

OUT, WEB = ("203.0.113.7", 50510), ("198.51.100.77", 443)
DAY = "2026-11-02"

CASES = {
    "who-found": f"who 203.0.113.7:50510 tcp --at {DAY}T14:00:05Z --utc",
    "who-ambiguous": f"who 203.0.113.7:6000 tcp --at {DAY}T14:00:05Z --utc",
    "who-nobody": f"who 203.0.113.7:1 --at {DAY}T14:10:00Z --utc",
    "who-gap": f"who 203.0.113.7:50510 --at {DAY}T14:01:45Z --utc",
    "who-open": f"who 203.0.113.7:80 --at {DAY}T14:00:30Z --utc",
    "who-ipv6": f"who [2001:db8:1::1]:50510 --between {DAY}T14:00:00Z {DAY}T14:01:00Z --utc --skew 5s",
    "who-before": f"who 203.0.113.7:1 --at {DAY}T01:00:00Z --utc",
    "who-no-time": "who 203.0.113.7",
    "who-no-address": f"who example.org --at {DAY}T01:00:00Z",
    "flows-list": "flows ip --utc",
    "flows-by": "flows --by orig_src --sum bytes",
    "flows-every": "flows --every 10s --utc",
    "flows-refused": "flows timeout > 5",
    "sql": "sql SELECT_orig_src,_bytes_FROM_flows_ORDER_BY_ALL_LIMIT_3",
    "sql-wrong": "sql SELECT_nonsense_FROM_gaps --csv",
}


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    records, opened = records_of(
        [
            Connection(("10.0.0.5", 40000), WEB, outside=OUT),
            Connection(("10.0.0.6", 1), WEB, outside=("203.0.113.7", 6000)),
            Connection(("10.0.0.7", 2), ("198.51.100.78", 443), outside=("203.0.113.7", 6000), start=2, stop=25),
            Connection(("10.0.0.6", 53), ("198.51.100.53", 53), outside=("203.0.113.7", 1053), proto=UDP, bytes=9000),
            Connection(("192.0.2.9", 1234), ("203.0.113.7", 80), server=("10.0.0.8", 8080), stop=None),
            Connection(("fd00::5", 40000), ("2001:db8::77", 443), outside=("2001:db8:1::1", 50510)),
        ],
        batches=[_core.Batch.gap("overrun", START + 100_000_000_000, START + 110_000_000_000, 5)],
    )
    write_ledger(tmp_path, records)
    monkeypatch.setenv("CONNTAP_LEDGER", str(tmp_path))
    monkeypatch.setattr(query, "of_journal", lambda _: held(opened))
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_output(ledger, name):
    words = [
        word.replace("_", " ") if name.startswith("sql") and "SELECT" in word else word
        for word in CASES[name].split(" ")
    ]
    words = [word.replace("orig src", "orig_src") for word in words]
    played = play(words, width=120 if name in ("flows-by", "flows-every") else 0)
    compare(name, transcript(played, f"conntap {CASES[name]}").replace(str(ledger), "DIR"))


def test_questions_are_noted_with_their_case(ledger):
    assert play(["who", "203.0.113.7:50510", "--at", f"{DAY}T14:00:05Z", "--case", "A-17"]).status == 0
    (line,) = (ledger / "queries.jsonl").read_text().splitlines()
    noted = json.loads(line)
    assert (noted["case"], noted["found"], noted["question"]["port"]) == ("A-17", 1, 50510)
