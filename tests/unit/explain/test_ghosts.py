"""Connections that never got an entry."""

from __future__ import annotations

from conntap import _core
from conntap.explain import explain
from conntap.explain.ghosts import message_of
from conntap.explain.story import Ends
from conntap.filter import Filter
from explained import SAMPLES, setup

PICKUP = SAMPLES / "tcp_pickup.pcap"


def test_packets_that_open_nothing_have_a_story_all_the_same():
    stories = explain(PICKUP, "", setup(tcp_loose=0))
    assert stories[0].root.flow_id is None
    assert stories[0].invalid == stories[0].packets == 7
    assert stories[0].steps[0].why == "in the middle of an unknown connection, and tcp_loose is off"


def test_a_filter_chooses_among_them_by_their_ends():
    (story,) = explain(PICKUP, "sport 40012", setup(tcp_loose=0))
    assert story.root.original == Ends("10.0.1.2", 40012, "10.0.2.2", 80)
    assert len(explain(PICKUP, "dport 80", setup(tcp_loose=0), limit=2)) == 2


def test_a_filter_on_events_finds_none_since_there_were_no_events():
    assert explain(PICKUP, "new", setup(tcp_loose=0)) == []


def test_where_there_are_connections_strangers_are_no_stories():
    assert all(story.root.flow_id for story in explain(PICKUP, "", setup()))


def test_the_message_reads_as_a_flow_between_those_ends():
    for ends, word in (
        (Ends("10.0.1.2", 40000, "10.0.2.2", 80), "ip"),
        (Ends("2001:db8::1", 40000, "2001:db8::2", 80), "ip6"),
    ):
        (flow,) = _core.Batch.of([(message_of(6, ends), 5)]).flows()
        assert (str(flow.original.src), flow.original.sport) == ends[:2]
        assert (str(flow.reply.src), flow.reply.sport) == ends[2:]
        assert Filter(f"{word} and tcp and dport 80").matches(flow)
