"""From traced packets and events to a story."""

from __future__ import annotations

import pytest

from conntap import _core
from conntap.explain import explain
from conntap.explain.build import StoryBuilder, letter
from conntap.explain.select import select
from conntap.explain.tell import tell
from conntap.explain.walk import Walk
from explained import SAMPLES, ftp_story, setup, told


def test_letters_go_on_behind_z():
    assert [letter(number) for number in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_a_child_knows_its_master_and_the_packet_that_announced_it():
    a, b, c = told("ftp_passive", "", "ftp")[0].connections
    assert (a.master, b.master, c.master) == (None, "A", "A")
    assert (b.announced_by, c.announced_by) == (12, 25)


def test_an_expectation_is_told_with_the_packet_that_made_it_and_its_use_with_the_one_that_came():
    steps = {step.number: step for step in told("ftp_passive", "", "ftp")[0].steps}
    assert [told.kind for told in steps[12].events] == ["EXP_NEW"]
    assert [told.kind for told in steps[14].events] == ["EXP_DESTROY", "NEW"]
    assert [told.connection for told in steps[14].events] == ["A", "B"]


def test_every_event_of_the_capture_is_told_once():
    for name, helpers in (("ftp_passive", ("ftp",)), ("sip_invite", ("sip",)), ("tcp_reopen", ()), ("sctp", ())):
        walk = Walk([str(SAMPLES / f"{name}.pcap")], setup(*helpers))
        sent = [message for part in walk.parts() for message, _ in part.events.messages()]
        stories = told(name, "", *helpers)
        rows = [row.row.message() for story in stories for step in story.steps for row in step.events]
        assert sorted(rows) == sorted(sent), name


def test_a_packet_with_a_wrong_checksum_is_told_though_it_belongs_to_no_flow():
    first = told("tcp_invalid")[0].steps[0]
    assert (first.number, first.verdict, first.reason, first.state) == (1, "INVALID", "bad_checksum", None)


def test_fragments_are_told_from_the_first_to_the_one_that_makes_the_datagram_whole():
    steps = told("fragments", "ip")[0].steps
    assert [step.verdict for step in steps] == ["UNSEEN", "UNSEEN", "NEW"]
    assert [step.dropped for step in steps] == [False, False, False]
    assert steps[-1].short == "last fragment"


def test_an_entry_that_gives_way_says_to_which_packet():
    first, second, third = told("tcp_reopen")
    assert first.steps[-1].reason == "gives_way"
    assert first.steps[-1].why == "packet 8 opens a new connection between the same ends"
    assert second.steps[0].number == 8
    assert first.events["DESTROY"] == second.events["DESTROY"] == 1
    assert "DESTROY" not in third.events


def test_time_that_goes_on_ends_entries_and_expectations():
    steps = told("ftp_passive", "", "ftp", drain=True)[0].steps
    tail = [(step.connection, step.reason) for step in steps if step.number is None]
    assert tail == [("B", "time"), ("C", "time"), ("A", "expectation_ends"), ("A", "time")]


def test_what_was_left_when_the_capture_ended_is_kept():
    a, b = ftp_story().connections
    assert (a.state, b.state) == ("TIME_WAIT", "TIME_WAIT")
    assert a.left is not None
    assert "sport=47000" in a.left
    assert told("tcp_syn_rst")[0].root.left is None


@pytest.mark.parametrize(("keep", "steps", "left_out", "flooded"), [(16, 16, 0, False), (4, 8, 8, True)])
def test_of_more_packets_than_fit_those_at_which_something_happens_are_kept_longest(keep, steps, left_out, flooded):
    walk = Walk([str(SAMPLES / "tcp_invalid.pcap")], setup())
    (family,) = select(walk, None, limit=1).families
    builder = StoryBuilder(family, keep=keep)
    for part in Walk([str(SAMPLES / "tcp_invalid.pcap")], setup()).parts(_core.Trace(None)):
        for traced in part.packets:
            if traced.flow is not None:
                builder.packet(traced, ())
            elif (seen := packet(traced)) and builder.knows(seen):
                builder.stranger(traced, seen)
    story = builder.finish(_core.Batch.of([]))
    assert story.packets == 16
    assert (len(story.steps), story.left_out, story.flooded) == (steps, left_out, flooded)


def packet(traced):
    from conntap.explain.packet import packet_of

    return packet_of(traced)


def test_families_are_told_in_their_own_stories():
    walk = Walk([str(SAMPLES / "tcp_reopen.pcap")], setup())
    families = select(walk, None, limit=9).families
    stories = tell(Walk([str(SAMPLES / "tcp_reopen.pcap")], setup()), families)
    assert [story.packets for story in stories] == [7, 4, 5]
    assert sum(story.packets for story in explain(SAMPLES / "tcp_reopen.pcap")) == 16
