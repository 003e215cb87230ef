"""The lock: one writer, named to the other; let go of by a death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from conntap.errors import UsageError
from conntap.lock import Lock, holder


def test_the_second_is_told_who_has_it(tmp_path):
    with Lock(tmp_path):
        assert holder(tmp_path) == str(os.getpid())
        with pytest.raises(UsageError, match=f"process {os.getpid()} writes to"):
            Lock(tmp_path)
    assert holder(tmp_path) is None
    Lock(tmp_path).close()


def test_nobody_has_what_is_not_there(tmp_path):
    assert holder(tmp_path / "none") is None


def test_a_process_that_is_killed_lets_go(tmp_path):
    code = "import sys; from conntap.lock import Lock; lock = Lock(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert holder(tmp_path) == str(child.pid)
        with pytest.raises(UsageError, match=f"process {child.pid}"):
            Lock(tmp_path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    Lock(tmp_path).close()
