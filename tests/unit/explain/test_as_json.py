"""Stories for programs."""

from __future__ import annotations

import json
import re

from conntap.explain.as_json import json_lines
from explained import ROOT, ftp_story, told


def objects(story):
    return [json.loads(line) for line in json_lines(story, 1)]


def test_one_object_a_step_then_one_with_the_sums():
    found = objects(ftp_story())
    assert [each["kind"] for each in found] == ["packet"] * 30 + ["story"]
    assert found[-1]["events"] == {"NEW": 2, "UPDATE": 10, "DESTROY": 0, "EXP_NEW": 1, "EXP_DESTROY": 1}
    assert found[-1]["invalid"] == 1


def test_numbers_stand_as_in_the_packet_and_as_people_count():
    syn = objects(ftp_story())[0]
    assert (syn["seq"], syn["tcp_flags"], syn["src"], syn["sport"]) == (0, 2, "10.0.0.5", 47000)
    assert syn["tcp_seq"] > 0
    assert (syn["sent_src"], syn["sent_dst"]) == ("203.0.113.1", "198.51.100.9")


def test_events_are_objects_of_their_own_with_the_usual_fields():
    syn = objects(ftp_story())[0]
    (event,) = syn["events"]
    assert (event["kind"], event["orig_dport"], event["helper"]) == ("NEW", 21, "ftp")


def test_connections_are_told_with_their_families():
    a, b = objects(ftp_story())[-1]["connections"]
    assert (a["helper"], b["master"], b["announced_by"]) == ("ftp", "A", 11)


def test_an_event_without_a_packet_says_so():
    found = objects(told("tcp_reopen")[0])
    assert found[-2]["kind"] == "event"
    assert "number" not in found[-2]
    assert found[-2]["reason"] == "gives_way"


def test_every_field_is_described():
    page = (ROOT / "docs/explain.md").read_text()
    described = set(re.findall(r"`(\w+)`", page.partition("## For programs")[2]))
    stories = [ftp_story(), *told("icmp_corner"), *told("fragments"), *told("tcp_reopen", drain=True)]
    fields = {name for story in stories for each in objects(story) for name in each}
    fields |= {name for each in objects(ftp_story())[-1]["connections"] for name in each}
    assert fields - described == set()
