"""The demo tells the whole story, live where it can and from the engine where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from conntap.lab.narrator import Narrator
from conntap.recording import Recording

ROOT = Path(__file__).parent.parent.parent
RECORDING = ROOT / "python/conntap/lab/data/ftp.pcapng"

STORY = (
    "opens the control connection",
    "gives it the ftp helper",
    "come from 203.0.113.1",
    "has read in it where the data will go",
    "may open tcp ",
    "asked for by 10.0.0.5:",
    "`conntrack -E expect` prints the same",
    "class=0 helper=ftp",
    "announcement is used up",
    "It is RELATED",
    "with its NAT",
    "related to 10.0.0.5:",
    "the kernel forgets both",
)

#: What the ledger answers in the end.
ANSWER = (
    "went to a ledger",
    "$ conntap who 203.0.113.1:",
    "10.0.0.5:",
    "198.51.100.9:",
    "certain: the ledger is complete",
)


def in_order(text: str, parts: tuple[str, ...]) -> bool:
    flat, at = " ".join(text.split()), 0
    for part in parts:
        at = flat.find(part, at)
        if at < 0:
            pytest.fail(f"'{part}' is missing or out of order in:\n{text}")
        at += len(part)
    return True


def test_live_demo_tells_the_story_and_proves_it(lab, conntap):
    del lab  # skips where there can be none
    done = conntap("demo")
    assert done.returncode == 0, done.stderr
    assert in_order(done.stdout, ("on this kernel", *STORY))
    assert "✗" not in done.stderr
    assert in_order(done.stdout, ANSWER)
    assert "nothing lost" in done.stderr


def test_the_engine_tells_the_same_without_privilege(conntap):
    done = conntap("demo", "--engine")
    assert done.returncode == 0
    assert in_order(done.stdout, ("by conntap's own engine", *STORY))
    assert "198.51.100.9 (any port) may open tcp 203.0.113.1:37931" in done.stdout
    assert in_order(done.stdout, ANSWER)
    assert len(done.stderr.splitlines()) == 1  # in which zone its times are


def test_where_a_program_is_missing_one_line_says_so_and_the_engine_is_the_gateway(lab, conntap, tmp_path):
    del lab
    hide = "import conntap.programs as p; p.SYSTEM_PATH = '/nonexistent'\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = conntap("demo", env={"PATH": "/nonexistent", "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 2  # why not, and in which zone times are
    assert "needs 'ip', which is not installed" in done.stderr
    assert "apt-get install -y iproute2" in done.stderr
    assert in_order(done.stdout, ("by conntap's own engine", *STORY))


def test_ascii_means_ascii(conntap):
    done = conntap("demo", "--engine", "--ascii")
    assert done.stdout.isascii()
    assert done.returncode == 0


def test_each_step_is_told_once_and_every_event_is_shown():
    narrator = Narrator()
    events = list(Recording(RECORDING).events())
    lines = [line for event in events for line in narrator.tell(event)]
    steps = [line.text for line in lines if line.kind == "step"]
    assert len(steps) == len(set(steps))
    assert sum(line.kind == "event" for line in lines) == len(events)
    assert sum(line.kind == "quote" for line in lines) == 1
