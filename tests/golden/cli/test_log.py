"""`conntap log` and `conntap collect --to` without a kernel: what arrives, what is said, what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from golden.cli.running import COMMAND

SAMPLES = Path(__file__).resolve().parents[2] / "data/recordings/samples.pcapng"
PACKETS = Path(__file__).resolve().parents[3] / "python/conntap/lab/data/ftp-active.pcap"


def conntap(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_recording_becomes_records(tmp_path):
    done = conntap("log", SAMPLES, "--to", "jsonl:out.jsonl", "--bindings", "nat", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "6 flows recorded, 25 open · 4 bindings · 1 gaps · lost 1,024\n"
    records = lines(tmp_path / "out.jsonl")
    assert [record["seq"] for record in records] == list(range(1, 12))
    assert sorted({record["kind"] for record in records}) == ["BINDING", "FLOW", "GAP"]


def test_a_second_run_goes_on_behind_the_first(tmp_path):
    for _ in range(2):
        assert conntap("log", SAMPLES, "--to", f"jsonl:{tmp_path}/out.jsonl").returncode == 0
    assert [record["seq"] for record in lines(tmp_path / "out.jsonl")] == list(range(1, 15))


def test_packets_go_through_the_engine(tmp_path):
    done = conntap(
        "log", PACKETS, "--helper", "ftp", "--masquerade", "203.0.113.1", "--to", "jsonl:-", "--bindings", "nat"
    )
    assert done.returncode == 0
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["nat"] for record in records if record.get("nat")} == {"snat", "dnat"}
    assert "203.0.113.1" in {record["reply_dst"] for record in records}


def test_several_sinks_each_with_its_filter(tmp_path):
    done = conntap(
        "log",
        SAMPLES,
        "--to",
        "jsonl:all.jsonl",
        "--to",
        "jsonl:udp.jsonl?filter=udp",
        "--bindings",
        "all",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    everything, some = lines(tmp_path / "all.jsonl"), lines(tmp_path / "udp.jsonl")
    assert [record for record in everything if record.get("l4proto") in (17, None)] == some


def test_a_configuration_file_says_the_same(tmp_path):
    (tmp_path / "log.toml").write_text(
        f'bindings = "nat"\n[source]\nfiles = ["{SAMPLES}"]\n[[sink]]\ntarget = "jsonl:{tmp_path}/out.jsonl"\n'
    )
    done = conntap("log", "--config", tmp_path / "log.toml")
    assert (done.returncode, len(lines(tmp_path / "out.jsonl"))) == (0, 11)


def test_the_sums_are_written(tmp_path):
    done = conntap("log", SAMPLES, "--to", "null:", "--summary", tmp_path / "sums.json")
    assert done.returncode == 0
    sums = json.loads((tmp_path / "sums.json").read_text())
    assert sums["ledger"]["balanced"] is True
    assert sums["sinks"]["null:"]["receipt"] == sums["ledger"]["seq"] == 7


def test_ipfix_and_back(tmp_path):
    sent = conntap("log", SAMPLES, "--to", f"ipfix:{tmp_path}/flows.ipfix?extended=yes", "--bindings", "nat")
    assert sent.returncode == 0, sent.stderr
    got = conntap("collect", f"ipfix:{tmp_path}/flows.ipfix", "--to", f"jsonl:{tmp_path}/back.jsonl")
    assert got.returncode == 0, got.stderr
    records = lines(tmp_path / "back.jsonl")
    assert {record["kind"] for record in records} >= {"FLOW", "GAP"}
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["log"], "records would go nowhere"),
        (["log", "--to", "paquet:/x"], "did you mean 'parquet'?"),
        (["log", "--to", "jsonl:-", "tcp and dprot 22"], "did you mean 'dport'?"),
        (["log", "--to", "ipfix://h?color=red", SAMPLES], "there is no option 'color'"),
        (["log", "--config", "/none.toml"], "/none.toml"),
        (["log", "--config", "/none.toml", "tcp"], "goes into the file"),
        (["log", "missing.pcap", "--to", "null:"], "missing.pcap"),
        (["collect", "--to", "null:"], "no place where records come in"),
    ],
)
def test_wrong_use_is_told_in_a_line_and_exit_2(words, says):
    done = conntap(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
