"""Namespaces by name, path or pid."""

from __future__ import annotations

import os

import pytest

from conntap.errors import NotFoundError
from conntap.netns import path_of


def test_none_is_the_processes_own():
    assert path_of(None) is None


def test_a_pid_is_a_process():
    assert path_of(os.getpid()) == f"/proc/{os.getpid()}/ns/net"
    assert path_of(str(os.getpid())) == f"/proc/{os.getpid()}/ns/net"


def test_a_path_stays_as_it_is(tmp_path):
    file = tmp_path / "ns"
    file.touch()
    assert path_of(str(file)) == str(file)
    assert path_of(file) == str(file)


@pytest.mark.parametrize("missing", ["no-such-name", "/no/such/path", 4_000_000_000])
def test_what_is_not_there_is_named(missing):
    with pytest.raises(NotFoundError, match=str(missing)) as caught:
        path_of(missing)
    assert "ip netns list" in caught.value.hint
