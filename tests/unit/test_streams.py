"""Streams: rows in order, gaps in their place, the same by `for` and `async for`."""

from __future__ import annotations

import asyncio

import pytest

import conntap
from conftest import udp
from conntap.errors import ClosedError

pytestmark = pytest.mark.lab


def take(events, number):
    found = []
    while len(found) < number:
        batch = events.receive(5)
        assert batch is not None, f"only {found} came"
        found += batch.events()
    return found


def test_events_come_in_order_with_their_flows(ct):
    with ct.events() as events:
        ct.create(**udp(1))
        ct.update("udp", mark=3)
        ct.delete("udp")
        found = take(events, 3)
    assert [event.kind for event in found] == ["NEW", "UPDATE", "DESTROY"]
    assert all(event.portid for event in found), "caused by a program, so each names its port id"
    assert found[1].flow.mark == 3
    assert found[0].event_ns <= found[1].event_ns


@pytest.mark.parametrize("kernel_filter", [True, False])
def test_a_filter_keeps_the_same_events_wherever_it_runs(ct, kernel_filter):
    with ct.events("new, destroy and sport 2", kernel_filter=kernel_filter) as events:
        for sport in (1, 2, 3):
            ct.create(**udp(sport))
        ct.flush()
        found = take(events, 2)
        assert events.receive(0.2) is None
        assert events.counters["lost"] == 0
    assert [(event.kind, event.flow.original.sport) for event in found] == [("NEW", 2), ("DESTROY", 2)]


def test_what_the_kernel_filtered_was_never_received(ct):
    with ct.events("sport 2") as events:
        for sport in (1, 2, 3):
            ct.create(**udp(sport))
        take(events, 1)
        assert events.counters["received"] == 1


def test_an_overrun_becomes_a_gap_event_in_its_place(ct):
    with ct.events(buffer_bytes=4096) as events:
        for sport in range(1, 101):
            ct.create(**udp(sport))
        found = take(events, 2)
        assert found[-1].kind == "GAP"
        heard = sum(event.kind == "NEW" for event in found)
        assert found[-1].gap.lost == 100 - heard
        assert found[-1].gap.after_ns <= found[-1].gap.before_ns
        assert events.counters["lost"] == 100 - heard
        ct.flush()
        assert take(events, 1)[0].kind == "DESTROY", "the stream goes on"


def test_expectation_groups_are_left_out_when_not_wanted(ct):
    with ct.events(expectations=False) as events:
        ct.create(**udp(1))
        assert take(events, 1)[0].kind == "NEW"


def test_async_events_are_the_same_events(ct, netns):
    async def listen():
        found = []
        async with conntap.aio.open(netns) as tap:
            events = tap.events("new")
            await tap.create(**udp(1))
            await tap.create(**udp(2))
            async for event in events:
                found.append(event.flow.original.sport)
                if len(found) == 2:
                    return found

    assert asyncio.run(asyncio.wait_for(listen(), 10)) == [1, 2]


def test_async_tables_and_requests(ct, netns):
    async def ask():
        async with conntap.aio.open(netns) as tap:
            await tap.create(**udp(1))
            rows = [flow.original.sport async for flow in tap.flows()]
            return rows, await tap.count(), await tap.update("udp", mark=1), await tap.delete("udp"), await tap.stats()

    rows, count, updated, deleted, stats = asyncio.run(ask())
    assert (rows, count, updated, deleted) == ([1], 1, 1, 1)
    assert stats


def test_a_table_counts_what_it_left_out(ct):
    for sport in range(1, 11):
        ct.create(**udp(sport))
    flows = ct.flows("sport 3 or sport 4")
    assert flows.count() == 2
    assert flows.counters["filtered_here"] == 8
    assert not flows.interrupted


def test_closed_events_say_so(ct):
    events = ct.events()
    events.close()
    with pytest.raises(ClosedError):
        events.receive(0)
    assert list(events) == []


def test_reliable_delivery_brings_every_end(ct):
    with ct.events("destroy", buffer_bytes=4096, reliable=True) as events:
        for sport in range(1, 61):
            ct.create(**udp(sport))
        ct.flush()
        ends: set[int] = set()
        while len(ends) < 60:
            batch = events.receive(15)
            assert batch is not None, f"{len(ends)} of 60 came"
            ends |= {event.flow.original.sport for event in batch.events() if event.flow}


def test_entries_born_unheard_stay_silent_and_the_settings_tell_it(ct):
    """nf_conntrack_events=2: an entry made while nobody listens anywhere has no event extension."""
    assert ct.settings("events") == {"events": 1}, "the tests' namespaces report everything"
