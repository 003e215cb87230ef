"""Writes what conntap gives where it differs from the original on purpose, to be read before it is committed.

    PYTHONPATH=tests .venv/bin/python -m golden.dropin.record NAME...

A case of the original is run as it stands; one of conntap's own has a file in `expected/` whose head says what to do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from golden.dropin import runner
from golden.dropin.transcripts import read, write

DATA = Path(__file__).parents[2] / "data/conntrack-cli/1.4.9"
OWN = Path(__file__).parent / "expected"


def main(names: list[str]) -> None:
    """Run the cases and write their files."""
    with runner.workshop() as folder:
        ours = runner.Runner(folder, runner.our_program())
        for name in names:
            theirs = DATA / f"{name}.txt"
            source = theirs if theirs.exists() else OWN / f"{name}.txt"
            case = read(source)
            result = ours.run(case)
            target = OWN / f"{name}.txt"
            target.write_bytes(write(source, result.exit, result.stdout, result.stderr))
            print(f"{target}: exit {result.exit}")


if __name__ == "__main__":
    main(sys.argv[1:])
