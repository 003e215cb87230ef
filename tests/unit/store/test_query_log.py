"""Each question is a line; a directory that is not ours to write in is no fault."""

from __future__ import annotations

import errno
import json
import os
import pwd

import pytest

from conntap.store.query_log import NAME, note, user


def lines(directory):
    return [json.loads(line) for line in (directory / NAME).read_text().splitlines()]


def test_a_question_is_a_line_behind_those_before(tmp_path):
    for case, found in (("A-17", 1), (None, 0)):
        assert note(str(tmp_path), now_ns=7, question={"command": "who"}, case=case, found=found)
    first, second = lines(tmp_path)
    assert (first["asked_ns"], first["case"], first["found"], first["uid"]) == (7, "A-17", 1, os.getuid())
    assert (first["question"], second["case"]) == ({"command": "who"}, None)


def test_others_cannot_read_it(tmp_path):
    note(str(tmp_path), now_ns=7, question={}, case=None, found=0)
    assert (tmp_path / NAME).stat().st_mode & 0o007 == 0


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        note(str(tmp_path), now_ns=7, question={}, case=None, found=0)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_directory_that_is_not_ours_stays_without_a_line(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert not note(str(tmp_path), now_ns=7, question={}, case=None, found=0)


def test_behind_sudo_it_is_the_person(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "jane")
    assert user() == "jane"
    monkeypatch.delenv("SUDO_USER")
    assert user() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_123)
    assert user() == "4000000123"
