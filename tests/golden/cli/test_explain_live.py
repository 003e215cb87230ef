"""What `conntap explain expectation|flow` writes of real dumps and a gateway that never changes.

`UPDATE_GOLDEN=1 pytest tests/golden/cli/test_explain_live.py` writes the files anew; read the difference first.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

import conntap
from conntap.errors import NotFoundError
from conntap.gateway import live
from conntap.gateway.state import Gateway
from golden.cli.stage import HERE, Kernel, play, transcript
from live_stories import FTP_RULES, gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPECTED = HERE / "expected-explain-live"
CASES = {
    "expectation*": "explain expectation",
    "expectation-ascii": "explain expectation --ascii",
    "flow*": "explain flow dport 80",
    "no-rules-80": "explain expectation helper ftp",
    "none": "explain expectation helper sip",
    "limit": "explain flow tcp --limit 1",
    "error-flow-without-filter": "explain flow",
    "error-filter": "explain flow dprot 21",
    "error-svg": "explain expectation --svg x.svg",
    "error-netns": "explain x.pcap --netns lab",
}
WIDTHS = {"80": 80, "120": 120, "piped": 0}


class Tables(Kernel):
    """The stage's kernel; masters have gone, and its settings are the kernel's own."""

    def get(self, **_fields: object) -> object:
        raise NotFoundError("looking up a flow", 2, "no such entry")

    def settings(self, *names: str) -> dict[str, int]:
        return {name: 432_000 for name in names if name == "tcp_timeout_established"}


def modes() -> Iterator[tuple[str, str, int]]:
    """(file name, command line, columns)."""
    for name, line in CASES.items():
        if name.endswith("*"):
            yield from ((f"{name[:-1]}-{suffix}", line, width) for suffix, width in WIDTHS.items())
        else:
            yield name, line, WIDTHS.get(name.rpartition("-")[2], 0)


@pytest.mark.parametrize(("name", "line", "width"), list(modes()), ids=[mode[0] for mode in modes()])
def test_text(monkeypatch: pytest.MonkeyPatch, name: str, line: str, width: int) -> None:
    monkeypatch.setattr(conntap, "open", lambda _netns=None: Tables())
    nothing = Gateway({}, {"nft.json": "not installed: 'nft' (package nftables)"})
    monkeypatch.setattr(
        live, "read_live", lambda _netns=None: nothing if name.startswith("no-rules") else gateway(FTP_RULES)
    )
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    text = transcript(play(line.split(), width=width), f"conntap {line}")
    text = re.sub(r"\d\d:\d\d:\d\d", "hh:mm:ss", text)
    path = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in EXPECTED.glob("*.txt")} == {mode[0] for mode in modes()}
