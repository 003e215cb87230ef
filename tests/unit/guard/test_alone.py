from __future__ import annotations

import os

import pytest

from conntap.errors import ConntapError, UsageError
from conntap.guard import alone


def test_the_second_is_told_who_is_first(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "folders", lambda: [str(tmp_path)])
    with alone.lock(), pytest.raises(UsageError, match=f"another guard \\(pid {os.getpid()}\\)"):
        alone.lock()
    alone.lock().close()


def test_nowhere_to_put_it(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(alone, "folders", lambda: [str(tmp_path / "file")])
    with pytest.raises(ConntapError, match="nowhere to put the guard's lock"):
        alone.lock()
