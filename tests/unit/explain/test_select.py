"""Which connections are meant, and which belong together."""

from __future__ import annotations

from conntap.explain.select import Selection, select
from conntap.explain.walk import Walk
from conntap.filter import as_filter
from explained import SAMPLES, setup


def selected(name: str, where: str, *helpers: str, limit: int = 10) -> Selection:
    return select(Walk([str(SAMPLES / f"{name}.pcap")], setup(*helpers)), as_filter(where), limit=limit)


def test_children_belong_to_their_master_and_are_found_by_either():
    whole = selected("ftp_passive", "", "ftp")
    assert (whole.found, whole.connections) == (1, 3)
    (family,) = whole.families
    assert sorted(family.flows) == [family.root, *family.parents]
    assert set(family.parents.values()) == {family.root}
    for where in ("dport 21", "dport 51210", "related", "helper ftp"):
        assert [found.root for found in selected("ftp_passive", where, "ftp").families] == [family.root], where


def test_an_expectation_that_nobody_used_finds_its_master():
    assert selected("ftp_passive", "dport 51212", "ftp").found == 1


def test_without_the_helper_each_connection_is_on_its_own():
    assert selected("ftp_passive", "").found == 3


def test_the_entry_at_the_end_may_match_though_no_event_did():
    assert selected("tcp_reopen", "orig packets 2").found == 1
    assert selected("tcp_reopen", "orig packets 4").found == 1, "a destroy event has them as well"


def test_more_than_the_limit_are_counted():
    found = selected("tcp_reopen", "", limit=2)
    assert (len(found.families), found.found) == (2, 3)
    assert [family.root for family in found.families] == [1, 2]


def test_kinds_of_events_may_be_asked_for():
    assert selected("tcp_reopen", "destroy").found == 2


def test_nothing_found_is_no_error():
    found = selected("tcp_reopen", "dport 99")
    assert (found.families, found.found, found.connections) == ([], 0, 3)
