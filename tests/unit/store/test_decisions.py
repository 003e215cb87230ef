"""A guard's decisions are asked like records."""

from __future__ import annotations

import pytest

from conntap.store import duck
from conntap.store.decisions import DecisionLog, view

NOW = 1_793_577_600_000_000_000  # 2026-11-02


def asked(directory, sql):
    database = duck.connect()
    database.execute(view(directory))
    found = database.execute(sql).fetchall()
    database.close()
    return found


def test_they_are_in_a_file_a_day(tmp_path):
    log = DecisionLog(tmp_path)
    log.write([{"received_ns": NOW, "allowed": False, "helper": "irc", "dport": 22, "more": 1}])
    log.write([{"received_ns": NOW + 86_400 * 10**9, "allowed": True, "helper": "ftp"}])
    assert sorted(path.name for path in (tmp_path / "decisions").iterdir()) == ["2026-11-02.jsonl", "2026-11-03.jsonl"]
    assert asked(tmp_path, "SELECT helper, allowed, dport FROM decisions ORDER BY received_ns") == [
        ("irc", False, 22),
        ("ftp", True, None),
    ]
    assert asked(tmp_path, "SELECT count(*) FROM decisions WHERE received_ns < '2026-11-02 12:00:00'") == [(1,)]


def test_a_full_disk_leaves_no_half_of_a_day(tmp_path, monkeypatch):
    from conntap import journal

    log = DecisionLog(tmp_path)
    log.write([{"received_ns": NOW, "helper": "irc"}])
    write = journal.os.write

    def little(descriptor, data):
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:10])

    monkeypatch.setattr(journal.os, "write", little)
    with pytest.raises(OSError, match="No space left"):
        log.write([{"received_ns": NOW, "helper": "ftp"}])
    monkeypatch.undo()
    assert asked(tmp_path, "SELECT helper FROM decisions") == [("irc",)]
    assert (tmp_path / "decisions/2026-11-02.jsonl").read_text().count("\n") == 1


def test_a_torn_line_hides_no_other(tmp_path):
    DecisionLog(tmp_path).write([{"received_ns": NOW, "helper": "irc"}])
    with (tmp_path / "decisions/2026-11-02.jsonl").open("a") as file:
        file.write('{"received_ns": 17')
    assert (NOW,) not in asked(tmp_path, "SELECT helper FROM decisions WHERE helper = 'none'")
    assert asked(tmp_path, "SELECT helper FROM decisions WHERE helper IS NOT NULL") == [("irc",)]


def test_without_a_guard_there_are_none(tmp_path):
    assert asked(tmp_path, "SELECT count(*) FROM decisions") == [(0,)]
