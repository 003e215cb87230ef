"""Names of services, protocols and labels come from the system's own files."""

from __future__ import annotations

from conntap import resolve


def test_labels_are_read_from_the_file_that_conntrack_uses(tmp_path, monkeypatch):
    file = tmp_path / "connlabel.conf"
    file.write_text("# comment\n1 red\n2 green # the second\nnonsense\n")
    monkeypatch.setattr(resolve, "LABEL_MAP", str(file))
    assert [resolve.label(name) for name in ("red", "green", "nonsense", "blue")] == [1, 2, None, None]


def test_a_missing_file_knows_no_label(tmp_path, monkeypatch):
    monkeypatch.setattr(resolve, "LABEL_MAP", str(tmp_path / "none"))
    assert resolve.label("red") is None


def test_unknown_names_are_none():
    assert resolve.service("no-such-service-here") is None
    assert resolve.protocol("no-such-protocol-here") is None
