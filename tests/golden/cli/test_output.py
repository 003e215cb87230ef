"""What each command writes, stdout and stderr, at 80 and 120 columns and piped: byte for byte.

`UPDATE_GOLDEN=1 pytest tests/golden/cli` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import re

import pytest

from golden.cli.stage import FTP, HERE, SAMPLES, SERVICES, Kernel, play, transcript

EXPECTED = HERE / "expected"
PLACES = {"@samples": str(SAMPLES), "@ftp": str(FTP), "@cut": "", "@image": "", "@empty": "", "@none": "/nonexistent/x"}

# Name → the command line, split at blanks. A name ending in `*` is played at 80 and 120 columns and piped.
CASES = {
    "replay-samples*": "replay @samples --utc",
    "replay-ftp*": "replay @ftp --utc",
    "replay-ftp-ascii": "replay @ftp --utc --ascii",
    "replay-ftp-color": "replay @ftp --utc --color",
    "replay-filter": "replay @samples --utc tcp and dport 80 and destroy",
    "replay-json": "replay @samples --json",
    "replay-conntrack": "replay @samples --format conntrack",
    "replay-xml": "replay @samples --format xml",
    "replay-count": "replay @ftp --utc --count 3",
    "replay-nothing": "replay @ftp --utc udp",
    "watch*": "watch --utc --count 17",
    "watch-filter": "watch --utc --count 2 destroy and tcp",
    "watch-json": "watch --json --count 4",
    "expect-watch*": "expect --watch --utc --count 2",
    "list*": "list",
    "list-json": "list --json",
    "list-conntrack": "list --format conntrack",
    "list-filter": "list tcp and dport 80",
    "list-sort": "list --sort timeout --top 1",
    "list-top": "list --top 1",
    "list-none": "list sctp",
    "list-zero": "list --zero",
    "expect*": "expect",
    "expect-json": "expect --json",
    "expect-none": "expect helper sip",
    "expect-conntrack": "expect --format conntrack",
    "count": "count",
    "count-filter": "count udp",
    "count-json": "count --json",
    "stats": "stats",
    "stats-per-cpu": "stats --per-cpu",
    "stats-json": "stats --json",
    "delete": "delete udp",
    "delete-none": "delete sctp",
    "delete-all": "delete --all",
    "delete-limit": "delete --limit 1 tcp or udp",
    "delete-dry-run": "delete --dry-run udp",
    "delete-expectations": "delete --expectations helper ftp",
    "watch-explain": "watch --explain tcp and dport 22 and not assured",
    "watch-explain-nothing": "watch --explain",
    "config-check": "config check @right @wrong",
    "config-show": "config show @right",
    "help-config": "config --help",
    "help": "--help",
    "help-watch": "watch --help",
    # errors
    "error-no-command": "",
    "error-command": "wacht",  # watch, misspelt
    "error-command-far": "frobnicate",
    "error-option": "watch --jsn",
    "error-option-value": "watch --format yaml",
    "error-count": "watch --count 0",
    "error-duration": "watch --duration soon",
    "error-buffer": "watch --buffer lots",
    "error-filter-word": "watch tcp and dprot 22",
    "error-filter-parenthesis": "list ( tcp or udp",
    "error-filter-address": "list src 10.0.0",
    "error-filter-explain": "watch --explain tcp and dprot 22",
    "error-expect-count": "expect --count 3 --summary x",
    "error-list-events": "list new",
    "error-delete-nothing-said": "delete",
    "error-delete-both": "delete --all tcp",
    "error-delete-limit-all": "delete --all --limit 3",
    "error-delete-limit-expectations": "delete --expectations --limit 3 helper ftp",
    "error-record-terminal": "record -",
    "error-file-missing": "replay @none",
    "error-file-argument": "replay",
    "error-file-image": "replay @image",
    "error-file-empty": "replay @empty",
    "error-file-cut": "replay @cut --utc",
    "error-config-missing": "config check @none",
    "error-config-show": "config show @wrong",
    "error-summary-place": "replay @ftp --summary @none",
}


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Kernel:
    """No namespace, no /etc/services, and files that are at fault."""
    import conntap
    from conntap.cli import output

    kernel = Kernel()
    monkeypatch.setattr(conntap, "open", lambda netns=None: kernel)
    monkeypatch.setattr(output, "service_names", lambda: SERVICES)
    monkeypatch.setenv("COLUMNS", "80")  # of help texts
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8\xff\xe0 a picture")
    (tmp_path / "empty.pcapng").write_bytes(b"")
    (tmp_path / "cut.pcapng").write_bytes(SAMPLES.read_bytes()[:2000])
    (tmp_path / "right.toml").write_text(RIGHT)
    (tmp_path / "wrong.toml").write_text(WRONG)
    for place in ("right", "wrong"):
        monkeypatch.setitem(PLACES, f"@{place}", f"{place}.toml")
    for place, name in (("@image", "holiday.jpg"), ("@empty", "empty.pcapng"), ("@cut", "cut.pcapng")):
        monkeypatch.setitem(PLACES, place, name)
    return kernel


RIGHT = """
filter = "nat"
[[sink]]
target = "parquet:/var/lib/conntap?compress=9"
"""
WRONG = """
fliter = "nat"
[source]
buffer = "lots"
[[sink]]
target = "parqet:/var/lib/conntap"
fields = ["orig_src", "org_src"]
filter = "dprot 22"
"""

WIDTHS = {"error-record-terminal": 80}


def modes() -> list[tuple[str, str, int]]:
    """(file name, command line, columns)."""
    return [
        (f"{name.rstrip('*')}{suffix}", line, width)
        for name, line in CASES.items()
        for suffix, width in (
            [("-80", 80), ("-120", 120), ("-piped", 0)] if name.endswith("*") else [("", WIDTHS.get(name, 0))]
        )
    ]


def compare(name: str, text: str) -> None:
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), "no golden file: UPDATE_GOLDEN=1 pytest tests/golden/cli writes it"
    assert text == path.read_text()


@pytest.mark.parametrize(("name", "line", "width"), modes(), ids=lambda value: value if isinstance(value, str) else "")
def test_output(name: str, line: str, width: int) -> None:
    played = play([PLACES.get(word, word) for word in line.split()], width=width)
    compare(name, transcript(played, f"conntap {line}".rstrip().replace("@", "")))


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == {name for name, _, _ in modes()} | {"summary-replay"}


def test_colour_and_ascii_of_the_terminal_reach_the_rows() -> None:
    colored = play(["replay", str(FTP), "--utc"], width=120, color=True)
    plain = play(["replay", str(FTP), "--utc", "--no-color"], width=120, color=True)
    assert "\x1b[" in colored.out
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored.out) == plain.out
    assert (colored.err, colored.status) == (plain.err, plain.status)


@pytest.mark.parametrize("line", ["replay @samples --utc", "list", "expect", "watch --count 17 --utc"])
def test_an_ascii_terminal_gets_nothing_else_on_either_stream(line: str) -> None:
    played = play([PLACES.get(word, word) for word in line.split()], width=120, ascii=True)
    assert played.out.isascii()
    assert played.err.isascii()
    assert played == play([*(PLACES.get(word, word) for word in line.split()), "--ascii"], width=120)


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        (0, "note: nf_conntrack_events is 0: the kernel makes no events; sysctl net.netfilter.nf_conntrack_events=1"),
        (1, ""),
        (2, "note: 2 connections were there before; those that began while nobody listened never report again"),
    ],
)
def test_watch_tells_a_person_what_will_never_report(stage: Kernel, mode: int, note: str) -> None:
    stage.events_mode = mode
    assert play(["watch", "--count", "1"], width=80).err.startswith(note or "1 event")
    assert "note" not in play(["watch", "--count", "1"]).err, "a program reads"


def test_list_says_when_the_kernel_was_interrupted(stage: Kernel) -> None:
    stage.interrupted = True
    assert play(["list"]).err.startswith("warning: the kernel says that the table changed while it was read")


def test_list_zero_and_delete_ask_for_what_they_say(stage: Kernel) -> None:
    for line in (
        "list --zero",
        "delete udp",
        "delete --expectations helper ftp",
        "delete --all",
        "delete --dry-run tcp",
    ):
        play(line.split())
    assert stage.asked == ["zero", "delete udp", "delete expectations helper ftp", "flush"]


def test_debug_shows_the_traceback_and_changes_neither_message_nor_status() -> None:
    usual = play(["replay", "holiday.jpg"])
    debug = play(["--debug", "replay", "holiday.jpg"])
    assert "Traceback (most recent call last)" not in usual.err
    assert "Traceback (most recent call last)" in debug.err
    assert "recording.py" in debug.err
    assert debug.err.endswith(usual.err)
    assert (debug.out, debug.status) == (usual.out, usual.status) == ("", 2)


def test_a_bug_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, stage: Kernel) -> None:
    def broken() -> int:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(stage, "count", broken)
    played = play(["count"])
    assert played.status == 1
    assert played.err.splitlines() == [
        "conntap: this is a bug: ZeroDivisionError: by chance",
        "hint: conntap --debug shows where; please report it with the command that you typed",
    ]


def test_summary_holds_every_counter(tmp_path) -> None:
    play(["replay", str(SAMPLES), "--summary", "sums.json"])
    sums = json.loads((tmp_path / "sums.json").read_text())
    assert sums.pop("seconds") >= 0
    compare("summary-replay", json.dumps(sums, indent=2) + "\n")


def test_summary_of_a_file_that_breaks_off_says_error(tmp_path) -> None:
    play(["replay", "holiday.jpg", "--summary", "sums.json"])
    assert json.loads((tmp_path / "sums.json").read_text())["ended_by"] == "error"


def test_a_written_part_replays_to_the_same_lines(tmp_path) -> None:
    first = play(["replay", str(SAMPLES), "--write", "part.pcapng", "tcp"])
    assert (first.out, first.status) == ("", 0)
    for style in ("human", "json", "conntrack", "xml"):
        whole = play(["replay", str(SAMPLES), "--utc", "--format", style, "tcp"])
        again = play(["replay", "part.pcapng", "--utc", "--format", style])
        assert again.out == whole.out
    refused = play(["replay", str(SAMPLES), "--write", "part.pcapng"])
    assert refused.status == 2
    assert refused.err.startswith("conntap: part.pcapng exists\n")
    assert play(["replay", str(SAMPLES), "--write", "part.pcapng", "--overwrite"]).status == 0
