"""`conntap ledger`: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import re

import pytest

from conntap import _core
from conntap.lock import Lock
from conntap.store.manifest import Manifest
from golden.cli.stage import play
from ledgers import SECOND, START, Connection, publish, records_of, rows

DAY = 86_400


@pytest.fixture
def ledger(tmp_path):
    """Two segments of one past hour, each with a connection behind NAT and one without."""
    whole = _core.Batch.concat(
        records_of(
            Connection((inside, 40000), ("198.51.100.77", 443), outside=outside, start=start, stop=start + 10)
            for start, inside, outside in (
                (0, "10.0.0.5", ("203.0.113.7", 50510)),
                (1, "192.0.2.1", None),
                (60, "10.0.0.6", ("203.0.113.7", 50510)),
                (61, "192.0.2.2", None),
            )
        )[0]
    )
    publish(tmp_path, [whole.head(2)], [whole.after(2)])
    return tmp_path


def run(*words, status=0):
    played = play([str(word) for word in ("ledger", *words)])
    assert played.status == status, (played.out, played.err)
    return played


def test_verify_whole(ledger):
    size = sum(one.bytes for one in Manifest.read(ledger).segments.values())
    assert run("verify", ledger).out == f"whole: 4 rows in 2 segments, {size:,} bytes, 0 gaps, last record 4\n"
    assert json.loads(run("verify", ledger, "--json").out)["whole"] is True


def test_verify_damaged(ledger):
    file = next(iter(Manifest.read(ledger).segments))
    (ledger / file).unlink()
    played = run("verify", ledger, status=1)
    assert played.out.startswith(f"damaged: {file}: it is missing\ndamaged; whole are: 2 rows in 1 segment")
    assert played.err.startswith("hint: ")
    assert json.loads(run("verify", ledger, "--json", status=1).out)["faults"] == [f"{file}: it is missing"]
    assert run("verify", ledger, "--quick", status=1).out.startswith("damaged: ")


@pytest.mark.parametrize("words", [["verify"], ["info"], ["compact"], ["retain", "--nat", "1d"], ["hold", "list"]])
def test_there_is_no_ledger(tmp_path, words):
    played = run(*words, tmp_path, status=2)
    assert (
        played.err == f"conntap: {tmp_path}: there is no ledger\nhint: a ledger is a directory that conntap log wrote\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_info(ledger):
    text = re.sub(r"(ledger: +)\S+", r"\1ID", run("info", ledger, "--utc").out)
    text = re.sub(r"(began: +).*", r"\1…", re.sub(r"[\d,]+ \([\d.]+ a row\)", "… (… a row)", text))
    assert text == (
        "ledger:      ID\n"
        "began:       …\n"
        "newest:      2026-11-02 14:01:11.000 UTC\n"
        "rows:        4 (4 flows)\n"
        "bytes:       … (… a row)\n"
        "segments:    2 (2 as written, 0 hours, 0 days)\n"
        "gaps:        0 (0 events known to be lost)\n"
        "last record: 4\n"
        "holds:       none\n"
        "writer:      none\n"
    )
    told = json.loads(run("info", ledger, "--json").out)
    assert (told["rows"], told["segments"], told["kinds"]) == (4, 2, {"flows": 4})


def test_compact(ledger):
    assert run("compact", ledger).out == "merged 2 segments into 1; removed 0 old files\n"
    assert json.loads(run("compact", ledger, "--json").out) == {"merged": 0, "made": [], "removed": 0}
    assert len(rows(ledger)) == 4


def test_a_logger_writes_it(ledger):
    with Lock(ledger):
        assert run("compact", ledger, status=1).err == (
            f"conntap: {ledger}: process {os.getpid()} writes this ledger\n"
            "hint: the logger merges and drops by itself; to do it by hand stop it first\n"
        )
        assert f"process {os.getpid()}" in run("info", ledger).out


def test_retain(ledger, monkeypatch):
    monkeypatch.setattr("conntap._core.now_ns", lambda: START + 30 * DAY * SECOND)
    assert "say what is too old" in run("retain", ledger, status=2).err
    dry = run("retain", ledger, "--flows", "10d", "--nat", "90d", "--dry-run")
    assert dry.out.count("flows too old or too much; translations stay") == 2
    assert len(rows(ledger)) == 4
    assert run("retain", ledger, "--flows", "10d", "--nat", "90d").out.startswith(
        "dropped 2 segments and 0 gaps, wrote 2 "
    )
    assert len(rows(ledger)) == 2
    told = json.loads(run("retain", ledger, "--nat", "10d", "--json").out)
    assert (len(told["files"]), told["made"]) == (2, [])
    assert rows(ledger) == []


def test_hold(ledger, monkeypatch):
    monkeypatch.setattr("conntap._core.now_ns", lambda: START + 30 * DAY * SECOND)
    assert run("hold", "add", ledger, "--id", "h1", "--case", "17", "--where", "host 10.0.0.5").err == (
        "h1: case 17, host 10.0.0.5\n"
    )
    run(
        "hold", "add", ledger, "--id", "h2", "--case", "18", "--to", "2026-11-02T00:00:00Z", "--expires", "-1d", "--utc"
    )
    listed = run("hold", "list", ledger, "--utc")
    assert listed.out == (
        "h1: case 17, host 10.0.0.5\n"
        "h2: case 18, every record, to 2026-11-02 00:00:00.000 UTC, expires 2026-12-01 14:00:00.000 UTC; expired\n"
    )
    assert [one["active"] for one in json.loads(run("hold", "list", ledger, "--json").out)["holds"]] == [True, False]
    assert run("retain", ledger, "--flows", "1d", "--nat", "1d").out.endswith("held back by h1\n")
    assert len(rows(ledger)) == 1
    assert run("hold", "release", ledger, "h1").err == "h1: released\n"
    assert run("hold", "release", ledger, "h1", status=2).err == (
        "conntap: there is no hold 'h1'\nhint: conntap ledger hold list DIR\n"
    )
    run("retain", ledger, "--flows", "1d", "--nat", "1d")
    assert rows(ledger) == []
