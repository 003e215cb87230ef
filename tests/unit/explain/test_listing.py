"""Which connections there are to choose from."""

from __future__ import annotations

import json

from conntap.explain.listing import choices, json_choices, list_choices
from conntap.explain.select import select
from conntap.explain.style import Style
from conntap.explain.walk import Walk
from explained import SAMPLES, setup


def selection(name: str, *helpers: str, limit: int = 10):
    return select(Walk([str(SAMPLES / f"{name}.pcap")], setup(*helpers)), None, limit=limit)


def test_each_has_the_id_by_which_a_filter_finds_it():
    found = selection("tcp_reopen")
    lines = list(list_choices(found, Style(), command="conntap explain x.pcap"))
    assert lines[0] == "3 connections: which one? conntap explain x.pcap 'id N', or another filter"
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]


def test_a_family_is_one_choice():
    (choice,) = choices(selection("ftp_passive", "ftp").families)
    assert str(choice) == "tcp 10.0.1.2:40000 → 10.0.2.2:21  ftp with 2 children"


def test_what_is_not_shown_is_counted():
    lines = list(list_choices(selection("tcp_reopen", limit=1), Style(), command="c"))
    assert lines[-1].strip() == "2 more: --limit N"


def test_programs_get_objects():
    first = json.loads(next(json_choices(selection("tcp_reopen"))))
    assert (first["kind"], first["id"], first["orig_sport"], first["children"]) == ("choice", 1, 40030, 0)
