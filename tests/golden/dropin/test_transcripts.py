"""The drop-in gives what the transcripts of the original hold: stdout, stderr and exit status.

Every case runs once and is compared with both sets: that of 1.4.9, and that of 1.4.7 unless DIFFERENCES.md names the
case. Where conntap differs on purpose, `expected/` holds its own transcript and docs/conntrack.md says why.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from golden.dropin import runner
from golden.dropin.transcripts import masked, read

DATA = Path(__file__).parents[2] / "data/conntrack-cli"
OWN = Path(__file__).parent / "expected"
TARGET = {path.stem: path for path in (DATA / "1.4.9").glob("*.txt")}
OLDER = {path.stem: path for path in DATA.glob("*.txt")}
EXPECTED = {path.stem: path for path in OWN.glob("*.txt")}
CHANGED = set(re.findall(r"\b\d{3}[a-j]?-[a-z0-9-]+", (DATA / "DIFFERENCES.md").read_text()))
DOCUMENT = Path(__file__).parents[3] / "docs/conntrack.md"

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def ours():
    if reason := runner.unavailable():
        pytest.skip(reason)
    with runner.workshop() as folder:
        yield runner.Runner(folder, runner.our_program())


def judged_by(name: str) -> list[Path]:
    """The transcripts that a case must equal."""
    if name in EXPECTED:
        return [EXPECTED[name]]
    older = [OLDER[name]] if name in OLDER and name not in CHANGED else []
    return [TARGET[name], *older]


@pytest.mark.parametrize("name", sorted(TARGET | EXPECTED))
def test_case_gives_what_the_original_gave(ours, name):
    result = None
    for path in judged_by(name):
        case = read(path)
        result = result or ours.run(case)
        assert "conntrack-tools" not in result.stdout + result.stderr, "not our program ran"
        found = (masked(result.stderr), masked(result.stdout, case), result.exit)
        assert found == (masked(case.stderr), masked(case.stdout, case), case.exit)


def test_every_case_of_1_4_7_is_compared():
    assert set(OLDER) == set(TARGET)
    assert set(TARGET) > CHANGED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_difference_is_explained(name):
    assert name.partition("-")[0] in DOCUMENT.read_text()
    if name in TARGET:
        case, original = read(EXPECTED[name]), read(TARGET[name])
        assert case.setup == original.setup
        assert (masked(case.stdout, case), masked(case.stderr)) != (
            masked(original.stdout, case),
            masked(original.stderr),
        )
