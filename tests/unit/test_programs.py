from __future__ import annotations

from conntap.programs import find


def test_a_path_that_lacks_the_systems_folders_is_no_hindrance(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("sh") in {"/bin/sh", "/usr/bin/sh"}
    assert find("no-such-program") is None


def test_path_comes_first(monkeypatch, tmp_path):
    (tmp_path / "sh").write_text("#!/bin/true\n")
    (tmp_path / "sh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("sh") == str(tmp_path / "sh")
