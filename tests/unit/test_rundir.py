from __future__ import annotations

from conntap.rundir import folders, is_own


def test_a_folder_that_others_may_write_is_not_our_own(tmp_path):
    ours, others, link = tmp_path / "ours", tmp_path / "others", tmp_path / "link"
    ours.mkdir(mode=0o700)
    others.mkdir()
    others.chmod(0o777)
    link.symlink_to(ours)
    assert [is_own(str(one)) for one in (ours, others, link)] == [True, False, False]


def test_without_root_it_is_below_the_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert folders()[0] == "/run/conntap"
    assert folders()[1].startswith(str(tmp_path))
