"""docs/conntrack.md has a row for every command and option, and no empty cell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conntap.dropin.options import COMMANDS, OPTIONS
from conntap.dropin.protocols import PROTOCOLS

DOCUMENT = (Path(__file__).parents[3] / "docs/conntrack.md").read_text()
ROWS = re.findall(r"^\| (`-[^|]*) \| (same|different) \| ([^|]*)\|$", DOCUMENT, re.MULTILINE)
BY_SPELLING = {spelling: row for row in ROWS for spelling in re.findall(r"`(-[^`]+)`", row[0])}
RECORDS = [*COMMANDS, *OPTIONS, *(option for protocol in PROTOCOLS for option in protocol.options)]


@pytest.mark.parametrize("name", sorted({long for option in RECORDS for long in option.longs}))
def test_every_spelling_has_a_row(name):
    assert f"--{name}" in BY_SPELLING


@pytest.mark.parametrize("letter", sorted({option.letter for option in RECORDS if option.letter.isalpha()} - {"M"}))
def test_every_letter_has_a_row(letter):
    assert f"-{letter}" in BY_SPELLING


def test_no_cell_is_empty():
    assert not [line for line in DOCUMENT.splitlines() if line.startswith("|") and re.search(r"\|\s*\|", line)]


def test_no_row_is_about_something_else():
    known = {f"--{long}" for option in RECORDS for long in option.longs} | {f"-{option.letter}" for option in RECORDS}
    assert set(BY_SPELLING) - known == {"-R", "--load-file"}
