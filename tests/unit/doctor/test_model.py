"""What a report says of itself."""

from __future__ import annotations

from conntap.doctor.model import GROUPS, Entry, Report, Unseen


def entry(group: str, level: str = "fine", name: str = "x") -> Entry:
    return Entry(group=group, name=name, value="1", level=level, what="something")


def test_only_what_there_is_to_do_is_to_do() -> None:
    report = Report((entry("table"), entry("tcp", "todo", "a"), entry("tcp", "note"), entry("unknown", "unknown")))
    assert [one.name for one in report.todo] == ["a"]


def test_some_groups_keep_what_could_not_be_seen() -> None:
    report = Report((entry("table"), entry("tcp")), (Unseen("counters", "no right"),))
    only = report.only(frozenset({"tcp"}))
    assert [one.group for one in only.entries] == ["tcp"]
    assert only.unseen == report.unseen
    assert report.of("table") == report.entries[:1]


def test_every_group_says_what_it_is_about() -> None:
    assert all(GROUPS.values())
