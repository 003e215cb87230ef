"""How sure an answer is, and how its parts are told."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest

from conntap.store.answer import Answer, Candidate, Endpoint
from conntap.store.catalog import Gap

FOUND = Candidate(
    role="source", host=Endpoint(ip_address("10.0.0.5"), 40000), outside=Endpoint(ip_address("203.0.113.7"), 50510),
    remote=Endpoint(ip_address("198.51.100.77"), 443), l4proto=6, protocol="tcp", nat="snat", zone=0, start_ns=1,
    stop_ns=9, stop_after_ns=None, start_from="kernel", end="seen", sure=True, why_not="", exporter=None, domain=None,
    fields={"mark": 7, "helper": None},
)  # fmt: skip
OTHER = replace(FOUND, host=Endpoint(ip_address("10.0.0.6"), 1))
WITHHELD = replace(FOUND, host=Endpoint(None, 40000))


def answer(*candidates, at=(5, 5), port=50510, **more):
    return Answer("203.0.113.7", port, "tcp", *at, 0, candidates, more.pop("gaps", ()), (0, 10), **more)


@pytest.mark.parametrize(("address", "port", "text"), [
    ("203.0.113.7", 80, "203.0.113.7:80"),
    ("203.0.113.7", None, "203.0.113.7"),
    ("2001:db8::1", 443, "[2001:db8::1]:443"),
    (None, None, "(not kept)"),
    (None, 80, "(not kept):80"),
])  # fmt: skip
def test_an_end_as_text(address, port, text):
    assert str(Endpoint(address and ip_address(address), port)) == text


@pytest.mark.parametrize(("given", "certainty", "certain"), [
    (answer(FOUND), "complete", True),
    (answer(), "complete", True),
    (answer(replace(FOUND, end="open")), "still open", True),
    (answer(replace(FOUND, end="unknown")), "complete", True),  # it was sure at the time asked for
    (answer(replace(FOUND, end="unknown", sure=False)), "end unknown", False),
    (answer(FOUND, open_known=False), "open flows not known", False),
    (answer(FOUND, gaps=(Gap("overrun", 4, 6),)), "a gap overlaps", False),
    (answer(FOUND, withheld="no key"), "complete", True),  # nothing of it was withheld
    (answer(withheld="no key"), "inside withheld", False),
    (answer(WITHHELD, withheld="no key"), "inside withheld", False),
])  # fmt: skip
def test_the_weakest_part_says_how_sure_it_is(given, certainty, certain):
    assert (given.certainty, given.certain) == (certainty, certain)


def test_two_hosts_at_one_time_are_ambiguous_and_two_over_a_time_are_not():
    assert answer(FOUND, OTHER).hosts == ("10.0.0.5", "10.0.0.6")
    assert answer(FOUND, OTHER).ambiguous
    assert not answer(FOUND, OTHER).certain
    assert not answer(FOUND, OTHER, at=(1, 9)).ambiguous
    assert not answer(FOUND, OTHER, port=None).ambiguous
    assert not answer(FOUND, replace(FOUND, start_ns=2)).ambiguous


def test_all_of_it_goes_into_json():
    told = json.loads(json.dumps(answer(FOUND, gaps=(Gap("before", 0, 6),)).as_dict()))
    (found,) = told["candidates"]
    assert found["host"] == {"address": "10.0.0.5", "port": 40000}
    assert (found["mark"], "helper" in found, "fields" in found) == (7, False, False)
    assert told["gaps"] == [
        {"cause": "before", "after_ns": None, "before_ns": 6, "lost": None, "seq": 0, "alive": 0, "ended": 0}
    ]
    assert "withheld" not in told
    assert answer(withheld="no key").as_dict()["withheld"] == "no key"
