"""The lab as a fixture: one for the whole run, empty at the start of each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from conntap.lab import Lab, NamespaceError, NetfilterError, kernel
from conntap.programs import SYSTEM_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = "import sys; from conntap.cli.main import main; sys.exit(main(sys.argv[1:]))"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/lab/" in item.path.as_posix():
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def session_lab() -> Iterator[Lab]:
    if not kernel.has_sys_admin():
        pytest.skip("the kernel refuses a user namespace, or this is not `make test`")
    lab = Lab()
    try:
        lab.__enter__()
    except NamespaceError as error:
        pytest.skip(f"the kernel refuses a user namespace: {error}")
    except NetfilterError as error:
        pytest.skip(f"the kernel has no netfilter here: {error}")
    print(f"lab up in {lab.setup_seconds:.3f} s")
    with lab:
        yield lab


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Whatever the test starts runs on one processor: packets are seen in the order in which they are tracked."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def lab(session_lab: Lab) -> Lab:
    session_lab.reset()
    return session_lab


@pytest.fixture
def conntap() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command as a person would, in a process of its own."""

    def run(*words: str, under: tuple[str, ...] = (), **options: object) -> subprocess.CompletedProcess[str]:
        command = [*under, sys.executable, "-c", COMMAND, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)

    return run


@pytest.fixture
def need() -> Callable[[str], str]:
    """Find a program that only a test needs, or skip."""

    def find(program: str) -> str:
        path = shutil.which(program, path=SYSTEM_PATH)
        if path is None:
            pytest.skip(f"needs the program {program}")
        return path

    return find


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Wait until a condition holds, ten seconds at most."""

    def wait(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, f"not within ten seconds: {what}"
            time.sleep(0.01)

    return wait
