"""The drop-in gives what the transcripts of the original hold: stdout, stderr and exit status.

Cases of 1.4.9 all run; those of 1.4.7 run where it gave something else than 1.4.9 after masking for no reason that
DIFFERENCES.md names, which is nowhere, so they are compared with 1.4.9's instead of run again. Where conntap differs
on purpose, `expected/` holds its own transcript and docs/conntrack.md says why.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.dropin import runner
from golden.dropin.transcripts import masked, read

DATA = Path(__file__).parents[2] / "data/conntrack-cli"
OWN = Path(__file__).parent / "expected"
NAMES = sorted(path.stem for path in (DATA / "1.4.9").glob("*.txt"))


@pytest.fixture(scope="module")
def ours():
    if reason := runner.unavailable():
        pytest.skip(reason)
    with runner.workshop() as folder:
        yield runner.Runner(folder, runner.our_program(folder))


def wanted(name: str):
    own = OWN / f"{name}.txt"
    return read(own if own.exists() else DATA / "1.4.9" / f"{name}.txt")


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_case_of_1_4_9(ours, name):
    case = wanted(name)
    result = ours.run(case)
    assert masked(result.stderr, "") == masked(case.stderr, "")
    assert masked(result.stdout, case.volatile) == masked(case.stdout, case.volatile)
    assert result.exit == case.exit
