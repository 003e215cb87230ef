"""The note on disk, and putting back. On the kernel: tests/lab/doctor."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from conntap.doctor import switch
from conntap.doctor.switch import Note, find_note, put_back, restore, write_note
from conntap.errors import ConntapError, KernelError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = {"nf_conntrack_log_invalid": "0", "nf_log/2": "nf_log_ipv4"}
OURS = {"nf_conntrack_log_invalid": "6", "nf_log/2": "nfnetlink_log"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Notes go here, and no namespace is asked for its cookie."""
    place = tmp_path / "notes"
    monkeypatch.setattr(switch, "folders", lambda: [str(place)])
    monkeypatch.setattr(switch, "note_name", lambda _path: "log-invalid-1.json")
    return place


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stands for the kernel's settings."""
    values = dict(OURS)
    monkeypatch.setattr(switch, "read", lambda name, _path: values.get(name))
    monkeypatch.setattr(switch, "write", lambda name, text, _path: values.__setitem__(name, text))
    return values


def test_a_note_comes_back_as_it_was(folder: Path) -> None:
    written = write_note(None, BEFORE, OURS)
    found = find_note(None)
    assert found == written
    assert found.alive
    assert found.told.startswith("nf_conntrack_log_invalid is 6, was 0, nf_log.2 is nfnetlink_log")
    assert [path.name for path in folder.iterdir()] == ["log-invalid-1.json"]
    assert folder.stat().st_mode & 0o077 == 0


def test_whoever_has_the_pid_now_is_not_who_wrote_the_note(folder: Path) -> None:
    note = write_note(None, BEFORE, OURS)
    assert not Note(note.path, os.getpid(), "1", BEFORE, OURS).alive
    assert not Note(note.path, 1 << 22, "", BEFORE, OURS).alive


def test_putting_back_removes_the_note_and_an_empty_folder(folder: Path, settings: dict[str, str]) -> None:
    put_back(write_note(None, BEFORE, OURS), None)
    assert settings == BEFORE
    assert not folder.exists()


def test_what_somebody_changed_meanwhile_is_left_alone(folder: Path, settings: dict[str, str]) -> None:
    settings["nf_log/2"] = "NONE"
    put_back(write_note(None, BEFORE, OURS), None)
    assert settings == {"nf_conntrack_log_invalid": "0", "nf_log/2": "NONE"}


def test_where_it_cannot_be_put_back_the_note_stays(folder: Path, settings, monkeypatch) -> None:
    def refuse(_name: str, _text: str, _path: str | None) -> None:
        raise KernelError("writing", 1, "no right")

    note = write_note(None, BEFORE, OURS)
    monkeypatch.setattr(switch, "write", refuse)
    with pytest.raises(KernelError):
        put_back(note, None)
    assert find_note(None) == note


def test_restore_is_refused_while_it_runs_and_says_when_there_is_nothing(folder: Path, settings) -> None:
    assert restore() is None
    note = write_note(None, BEFORE, OURS)
    with pytest.raises(UsageError, match="still has the log"):
        restore()
    dead = json.loads((folder / "log-invalid-1.json").read_text()) | {"begun": "1"}
    (folder / "log-invalid-1.json").write_text(json.dumps(dead))
    found = restore()
    assert found is not None
    assert found.before == note.before
    assert settings == BEFORE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x", "begun": 1, "before": {}, "ours": {}}', "\0"])
def test_a_broken_note_counts_as_none(folder: Path, text: str) -> None:
    folder.mkdir(mode=0o700)
    (folder / "log-invalid-1.json").write_text(text)
    assert find_note(None) is None


def test_a_folder_that_others_may_write_is_not_trusted(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    write_note(None, BEFORE, OURS)
    folder.chmod(0o777)
    assert find_note(None) is None
    with pytest.raises(ConntapError, match="somebody else may write there"):
        write_note(None, BEFORE, OURS)


def test_a_kernel_without_the_logger_says_what_to_load(monkeypatch) -> None:
    def refuse(_name: str, _text: str, _path: str | None) -> None:
        raise KernelError("writing", 2, "No such file or directory")

    monkeypatch.setattr(switch, "write", refuse)
    with pytest.raises(UnsupportedError, match="no such logger") as caught:
        switch.set_logger("nf_log/2", "nfnetlink_log", None)
    assert caught.value.hint == "modprobe nfnetlink_log"
