"""Work inside a namespace, on a thread of its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from conntap.errors import KernelError, NotFoundError
from conntap.inside import within

if TYPE_CHECKING:
    from pathlib import Path


def test_our_own_needs_no_thread() -> None:
    assert within(None, threading.get_ident) == threading.get_ident()


@pytest.mark.lab
def test_the_caller_stays_where_it_is(netns: int) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino
    there = within(f"/proc/{netns}/ns/net", lambda: os.stat("/proc/thread-self/ns/net").st_ino)
    assert there == os.stat(f"/proc/{netns}/ns/net").st_ino != before
    assert os.stat("/proc/thread-self/ns/net").st_ino == before


@pytest.mark.lab
def test_what_the_work_raises_is_raised_here(netns: int) -> None:
    def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        within(f"/proc/{netns}/ns/net", work)


def test_a_file_that_is_no_namespace_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="entering the network namespace"):
        within(str(tmp_path / "none"), lambda: None)
    (tmp_path / "file").write_text("")
    with pytest.raises(KernelError):
        within(str(tmp_path / "file"), lambda: None)
