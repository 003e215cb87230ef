"""The guard over skipped tests does its work."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CASES = """
import pytest
@pytest.mark.skip(reason="the kernel has no SCTP")
def test_named(): ...
@pytest.mark.skip(reason="did not feel like it")
def test_quiet(): ...
def test_runs(): ...
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, root) -> pytest.Pytester:
    pytester.makeconftest((root / "tests/conftest.py").read_text())
    pytester.makepyfile(CASES)
    return pytester


def test_a_reason_that_is_not_on_the_list_fails_the_run(inner):
    inner.path.joinpath("held.txt").write_text("# why\nthe kernel has no *\n")
    result = inner.runpytest("--held-skips=held.txt", "-p", "no:randomly")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*2 skipped, for 2 reasons*", "*did not feel like it  NOT IN*"])
    assert "the kernel has no SCTP  NOT IN" not in result.stdout.str()


def test_a_reason_on_the_list_passes_and_is_counted(inner):
    inner.path.joinpath("held.txt").write_text("the kernel has no *\ndid not feel like it\n")
    result = inner.runpytest("--held-skips=held.txt", "-p", "no:randomly")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1  the kernel has no SCTP*"])


def test_without_a_list_every_reason_is_printed_and_none_fails(inner):
    result = inner.runpytest("-p", "no:randomly")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*did not feel like it*"])
