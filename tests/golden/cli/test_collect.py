"""`conntap collect`: rows of what exporters send, or a log of it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from exported import flows, messages, records, tiny
from golden.cli.stage import play


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of messages in the present folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "flows.ipfix"
    path.write_bytes(b"".join(messages(records("ftp_passive", nat=True), extended=True)))
    return path


def test_a_file_is_shown_as_rows(file):
    played = play(["collect", "ipfix:flows.ipfix", "--json"])
    rows = [json.loads(line) for line in played.out.splitlines()]
    wanted = records("ftp_passive", nat=True)
    assert [row["kind"] for row in rows].count("FLOW") == len(flows(wanted))
    assert {row["exporter"] for row in rows} == {"flows.ipfix"}
    assert played.err.splitlines()[-1].endswith("· nothing lost")
    assert played.status == 0


def test_a_filter_stands_behind_the_places(file):
    played = play(["collect", "ipfix:flows.ipfix", "--json", "dport", "21", "and", "sport", "40000"])
    assert {json.loads(line)["orig_dport"] for line in played.out.splitlines()} == {21}
    assert "filtered here" in played.err


def test_a_cut_file_is_warned_of(file):
    file.write_bytes(file.read_bytes()[:-1])
    played = play(["collect", "ipfix:flows.ipfix", "--json"])
    assert "warning: flows.ipfix: ends within a message" in played.err
    assert json.loads(played.out.splitlines()[-1])["kind"] == "GAP"


def test_with_to_it_is_a_log(file):
    played = play(["collect", "ipfix:flows.ipfix", "--to", "null:", "--summary", "sums.json"])
    assert (played.status, played.out) == (0, "")
    assert "records passed on · nothing lost" in played.err
    sums = json.loads((file.parent / "sums.json").read_text())
    rows = len(flows(records("ftp_passive", nat=True))) + len(flows(records("ftp_passive", nat=True), "BINDING"))
    assert sums["ledger"]["passed_on"] == sums["sinks"]["null:"]["records"] == sums["source"]["rows"] == rows


def test_it_listens_and_says_where():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = threading.Event()

    def export() -> None:
        deadline = time.monotonic() + 20
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
            for seq in range(2000):
                if done.wait(0.01) or time.monotonic() > deadline:
                    return
                with suppress(OSError):
                    exporter.sendto(tiny(seq, 7), ("127.0.0.1", port))

    thread = threading.Thread(target=export)
    thread.start()
    try:
        played = play(
            ["collect", f"ipfix://127.0.0.1:{port}?buffer=64KiB", "--json", "--count", "1", "--duration", "20s"]
        )
    finally:
        done.set()
        thread.join()
    assert played.err.startswith(f"listening at 127.0.0.1:{port}, udp; ctrl+c ends it\n")
    assert json.loads(played.out)["orig_sport"] == 7


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("collect tcp", "'tcp' is no place where records come in: say ipfix://0.0.0.0:4739"),
        ("collect ipfix:none.ipfix", "none.ipfix: No such file or directory"),
        ("collect ipfix:flows.ipfix --keep flows=3d", "--keep goes with --to"),
        ("collect ipfix:flows.ipfix --hash-inside key", "--hash-inside goes with --to"),
        ("collect ipfix:flows.ipfix --to null: --count 3", "--count goes with rows on stdout, not with a log"),
        ("collect ipfix:flows.ipfix --config log.toml", "go into the file that --config names"),
        ("collect ipfix:flows.ipfix dprot 21", "unknown word"),
        ("collect ipfix:flows.ipfix ipfix://127.0.0.1:0", "files are read alone"),
        ("collect ipfix://127.0.0.1:0 --duration soon", "is no duration"),
    ],
)
def test_what_is_wrong_is_said(file, line, fault):
    played = play(line.split())
    assert fault in played.err
    assert played.status == 2
