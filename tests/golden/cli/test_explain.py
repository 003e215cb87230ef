"""What `conntap explain` writes: byte for byte, and how it ends.

`UPDATE_GOLDEN=1 pytest tests/golden/cli/test_explain.py` writes the files anew; read the difference before you commit.
"""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from explained import FTP, SAMPLES
from golden.cli.stage import HERE, play, transcript

EXPECTED = HERE / "expected-explain"
GATEWAY = "--helper ftp --masquerade 203.0.113.1"
PLACES = {
    "@ftp": str(FTP), "@recording": str(FTP.with_name("ftp.pcapng")), "@text": str(SAMPLES / "README.md"),
    **{f"@{name}": str(SAMPLES / f"{name}.pcap") for name in ("tcp_invalid", "tcp_reopen", "tcp_pickup", "sip_invite")},
}  # fmt: skip

# Name → the command line, split at blanks. A name ending in `*` is played at 80 and 120 columns and piped.
CASES = {
    "ftp*": f"explain @ftp {GATEWAY} dport 21",
    "ftp-ladder*": f"explain @ftp {GATEWAY} --ladder",
    "ftp-json": f"explain @ftp {GATEWAY} --json",
    "ftp-color": f"explain @ftp {GATEWAY} --color",
    "ftp-ascii": f"explain @ftp {GATEWAY} --ascii --ladder",
    "invalid*": "explain @tcp_invalid",
    "invalid-json": "explain @tcp_invalid --json",
    "invalid-ladder-80": "explain @tcp_invalid --ladder",
    "events-80": "explain @tcp_invalid --events",
    "sip-120": "explain @sip_invite --auto-helpers",
    "reopen-all": "explain @tcp_reopen --all --drain flow",
    "limit": "explain @tcp_reopen --limit 1 dport 80",
    "list-80": "explain @tcp_reopen",
    "list-json": "explain @tcp_reopen --json",
    "no-helper": "explain @ftp id 1",
    "never-an-entry": "explain @tcp_pickup --sysctl tcp_loose=0 sport 40012",
    "error-nothing-matches": "explain @tcp_reopen dport 99",
    "error-recording": "explain @recording",
    "error-no-capture": "explain @text",
    "error-missing": "explain @none",
    "error-filter": "explain @ftp dprot 21",
    "error-picture-of-several": "explain @tcp_reopen dport 80 --svg x.svg",
    "error-exists": "explain @ftp --svg there.svg",
    "error-nowhere": f"explain @ftp {GATEWAY} --html nowhere/x.html",
}
WIDTHS = {"80": 80, "120": 120}


def modes() -> list[tuple[str, str, int]]:
    """(file name, command line, columns)."""
    found: list[tuple[str, str, int]] = []
    for name, line in CASES.items():
        if name.endswith("*"):
            found += [(f"{name[:-1]}-{suffix}", line, width) for suffix, width in (*WIDTHS.items(), ("piped", 0))]
        else:
            found.append((name, line, WIDTHS.get(name.rpartition("-")[2], 0)))
    return found


def words(line: str) -> list[str]:
    return [PLACES.get(word, "/nonexistent/x" if word == "@none" else word) for word in line.split()]


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.svg").write_text("mine")


@pytest.mark.parametrize(("name", "line", "width"), modes(), ids=lambda value: value if isinstance(value, str) else "")
def test_output(name: str, line: str, width: int) -> None:
    text = transcript(play(words(line), width=width), f"conntap {line}".replace("@", ""))
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), "no golden file: UPDATE_GOLDEN=1 pytest tests/golden/cli/test_explain.py writes it"
    assert text == path.read_text()


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == {name for name, _, _ in modes()}


def test_a_picture_and_a_page_are_files_and_nothing_else_is_written(tmp_path) -> None:
    played = play([*words(f"explain @ftp {GATEWAY}"), "--svg", "a.svg", "--html", "a.html"])
    assert (played.out, played.err, played.status) == ("", "wrote a.svg\nwrote a.html\n", 0)
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")


def test_a_picture_may_go_to_standard_output() -> None:
    played = play([*words(f"explain @ftp {GATEWAY}"), "--svg", "-"])
    assert played.out.startswith("<svg")
    assert (played.err, played.status) == ("", 0)


def test_a_file_is_replaced_only_when_that_is_asked_for(tmp_path) -> None:
    assert play([*words("explain @ftp"), "id", "1", "--svg", "there.svg"]).status == 2
    assert (tmp_path / "there.svg").read_text() == "mine"
    assert play([*words("explain @ftp"), "id", "1", "--svg", "there.svg", "--overwrite"]).status == 0
    assert (tmp_path / "there.svg").read_text().startswith("<svg")


def test_the_capture_itself_is_never_replaced(tmp_path) -> None:
    (tmp_path / "x.pcap").write_bytes(FTP.read_bytes())
    played = play(["explain", "x.pcap", "id", "1", "--svg", "x.pcap", "--overwrite"])
    assert played.status == 2
    assert (tmp_path / "x.pcap").read_bytes() == FTP.read_bytes()


def test_standard_input_is_read_twice(monkeypatch) -> None:
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FTP.read_bytes())))
        played = play(["explain", "-", "dport", "21", "--json", *GATEWAY.split()])
        assert json.loads(played.out.splitlines()[-1])["packets"] == 30


def test_what_could_not_be_read_is_a_warning(tmp_path) -> None:
    (tmp_path / "cut.pcap").write_bytes(FTP.read_bytes()[:-3])
    played = play(["explain", "cut.pcap", "dport", "21", *GATEWAY.split()])
    assert played.status == 0
    assert played.err.startswith("warning: cut.pcap ")
