"""Tests lie where their module lies, and files stay small enough to have one job."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

# Tested as a whole, elsewhere: module pattern → the tests that hold it. Each line says why there is no twin.
ELSEWHERE = {
    "cli/*": "tests/golden/cli",  # what a command prints is held by golden files on a recording
    "dropin/*": "tests/golden/dropin",  # the transcripts of the original
    "lab/*": "tests/lab",  # needs the kernel
    "guard/block": "tests/lab/guard",  # needs the kernel
    "guard/hold": "tests/lab/guard",
    "guard/hold_rules": "tests/lab/guard",  # what the kernel lists of them
    "guard/nft_wire": "tests/lab/guard",
    "guard/watch": "tests/lab/guard",
    "guard/zones": "tests/lab/guard",
    "recording": "tests/contract",  # a source and a sink
    "sinks/base": "tests/contract",  # what all sinks keep
}
# Tests in tests/unit that are about the whole package.
ABOUT_THE_WHOLE = {"changelog", "docs", "held_skips", "imports", "layout", "public", "stub"}

# A file with more lines of logic has two jobs. Tables and tests may be longer.
MAX_LINES = 600


def modules(root: Path) -> list[str]:
    package = root / "python/conntap"
    return sorted(
        str(path.relative_to(package).with_suffix(""))
        for path in package.rglob("*.py")
        if path.name not in {"__init__.py", "__main__.py"}
    )


def twin(module: str) -> str:
    path = Path(module)
    return str(path.with_name(f"test_{path.name}.py"))


def test_every_module_has_its_tests(root):
    untested = [
        module
        for module in modules(root)
        if not (root / "tests/unit" / twin(module)).exists()
        and not any(fnmatchcase(module, held) and (root / where).exists() for held, where in ELSEWHERE.items())
    ]
    assert not untested, f"no tests/unit/test_*.py for {untested}, and no line in ELSEWHERE"


def test_every_unit_test_belongs_to_a_module(root):
    twins = {twin(module) for module in modules(root)}
    strays = [
        name
        for path in (root / "tests/unit").rglob("test_*.py")
        if (name := str(path.relative_to(root / "tests/unit"))) not in twins
        and name.removeprefix("test_").removesuffix(".py") not in ABOUT_THE_WHOLE
    ]
    assert not strays, f"these mirror no module: {strays}"


def test_no_drawer_for_odds_and_ends(root):
    assert not [module for module in modules(root) if Path(module).name in {"utils", "util", "helpers", "misc"}]


@pytest.mark.parametrize(
    ("where", "pattern"), [("python/conntap", "*.py"), ("crates", "src/**/*.rs"), ("scripts", "*.py")]
)
def test_no_file_is_longer_than_one_job(root, where, pattern):
    long = {
        str(path.relative_to(root)): lines
        for path in (root / where).rglob(pattern)
        if path.name not in {"tests.rs"}
        and (lines := len(path.read_text().partition("#[cfg(test)]\nmod tests")[0].splitlines())) > MAX_LINES
    }
    assert not long


def test_no_test_sleeps(root):
    """A test waits for a condition with a deadline."""
    sleepers = [
        f"{path.relative_to(root)}:{number}"
        for path in (root / "tests").rglob("test_*.py")
        if path.name != "test_layout.py"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if "time.sleep(" in line and "waits:" not in line
    ]
    assert not sleepers, "poll with a deadline, or say on the line why: `# waits: …`"


def test_benches_name_what_is_there(root):
    """They are run by hand: a module that moved would be noticed late."""
    names = sorted(path.stem for path in (root / "benches").glob("[a-z]*.py"))
    code = "".join(f"import benches.{name}\n" for name in names)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
