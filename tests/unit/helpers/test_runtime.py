"""Helpers at work in the engine: what they see of a packet, and that what they ask for is done."""

from __future__ import annotations

import gc
import weakref
from ipaddress import ip_address
from typing import ClassVar

import pytest
from scapy.layers.inet import IP

from conntap import Setup, Tracker
from conntap.helpers.assign import Assignment
from conntap.helpers.base import ORIGINAL, REPLY, TCP, UDP, Drop, Expect, Helper, Nat, Policy, Refused, Tuple
from conntap.helpers.runtime import FEW_INSTANCES, mask_of, to_parts, to_tuple
from conntap.nat import snat
from unit.talk import CLIENT, SERVER, START_NS, Talk, udp

PORT = 7
GATEWAY = "203.0.113.1"


def helper_of(act, **attributes):
    """A helper class that does what *act(helper, packet)* does; it keeps what it has seen."""

    class Made(Helper):
        name = "made"
        l4protos = (UDP, TCP)
        policies = (Policy("one", 2, 30), Policy("other", 1, 60))
        seen: ClassVar[list] = []  # of all its connections

        def packet(self, packet):
            self.seen.append(packet)
            act(self, packet)

    for name, value in attributes.items():
        setattr(Made, name, value)
    return Made


def tracker_with(helper, **setup) -> Tracker:
    rules = tuple(Assignment("made", l4proto, PORT) for l4proto in (TCP, UDP))
    return Tracker(Setup(helpers=rules, own_helpers={"made": helper}, **setup))


def ask(act, payload: bytes = b"x", **setup):
    """The tracker and the verdict after one datagram to the helper's port."""
    tracker = tracker_with(helper_of(act), **setup)
    return tracker, tracker.packet(START_NS, udp(CLIENT, 1000, SERVER, PORT, payload))


def nothing(_helper, _packet):
    pass


def expected(tracker: Tracker):
    return list(tracker.expectations().expectations())


def wanted(**changed) -> Expect:
    return Expect(**{"dst": ip_address(SERVER), "dport": 9000, "l4proto": UDP, **changed})


class TestSees:
    def test_payload_direction_state_and_tuples(self):
        helper = helper_of(nothing)
        tracker = tracker_with(helper)
        tracker.packet(START_NS, udp(CLIENT, 1000, SERVER, PORT, b"question"))
        tracker.packet(START_NS + 1, udp(SERVER, PORT, CLIENT, 1000, b"answer"))
        first, second = helper.seen
        assert (first.payload, first.direction, first.state) == (b"question", ORIGINAL, "new")
        assert (second.payload, second.direction, second.state) == (b"answer", REPLY, "established")
        assert first.original == Tuple(ip_address(CLIENT), ip_address(SERVER), UDP, 1000, PORT)
        assert first.tuple == second.inverse == first.original
        assert second.tuple == first.inverse == first.reply == first.original.inverse()
        assert not first.natted
        assert not first.expected
        assert first.local_network is None

    def test_the_sequence_number_of_the_first_byte(self):
        helper = helper_of(nothing)
        talk = Talk(tracker_with(helper), dport=PORT).open()
        talk.say(0, b"abc")
        talk.say(0, b"def")
        assert [(packet.seq, packet.payload) for packet in helper.seen if packet.payload] == [
            (1001, b"abc"),
            (1004, b"def"),
        ]
        assert helper.seen[-1].l4proto == TCP

    def test_both_tuples_of_a_translated_connection(self):
        helper = helper_of(nothing)
        tracker = tracker_with(helper, nat=(snat(f"to {GATEWAY}"),))
        tracker.packet(START_NS, udp(CLIENT, 1000, SERVER, PORT))
        [packet] = helper.seen
        assert packet.natted
        assert (packet.original.src, packet.reply.dst) == (ip_address(CLIENT), ip_address(GATEWAY))

    def test_one_instance_serves_one_connection(self):
        counts = []

        def count(helper, _packet):
            helper.number = getattr(helper, "number", 0) + 1
            counts.append(helper.number)

        tracker = tracker_with(helper_of(count))
        for sport in (1, 2, 1, 1, 2):
            tracker.packet(START_NS, udp(CLIENT, sport, SERVER, PORT))
        assert counts == [1, 1, 2, 3, 2]

    def test_options_of_its_module(self):
        seen = []
        helper = helper_of(lambda made, _: seen.append(dict(made.options)), parameters={"depth": 3, "width": 1})
        tracker = tracker_with(helper, helper_options={"made": {"depth": 4}})
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, PORT))
        assert seen == [{"depth": 4, "width": 1}]

    def test_no_routes(self):
        answers = []
        ask(lambda _, packet: answers.append(packet.leaves_alike(packet.tuple.dst)))
        assert answers == [False]


class TestExpects:
    def test_an_expectation_is_in_the_table_as_it_was_wanted(self):
        want = wanted(src=ip_address("10.9.0.0"), src_prefix=16, sport=5, expect_class=1, timeout=99)
        tracker, _ = ask(lambda _, packet: packet.expect(want))
        [found] = expected(tracker)
        assert (str(found.tuple.src), str(found.mask.src)) == ("10.9.0.0", "255.255.0.0")
        assert (found.tuple.sport, found.mask.sport) == (5, 0xFFFF)
        assert (str(found.tuple.dst), found.tuple.dport, found.tuple.l4proto) == (SERVER, 9000, UDP)
        assert (found.class_, found.timeout, found.helper) == (1, 99, "made")

    def test_the_policy_of_its_class_says_how_long_it_lives(self):
        tracker, _ = ask(lambda _, packet: packet.expect(wanted(expect_class=1)))
        assert [found.timeout for found in expected(tracker)] == [60]

    def test_anyone_may_open_what_names_no_source(self):
        tracker, _ = ask(lambda _, packet: packet.expect(wanted()))
        [found] = expected(tracker)
        assert found.any_source
        assert tracker.packet(START_NS, udp("192.0.2.99", 4, SERVER, 9000)).state == "RELATED"
        assert expected(tracker) == [], "used"

    @pytest.mark.parametrize(("flag", "left"), [("permanent", 1), ("inactive", 1)])
    def test_permanent_stays_and_inactive_is_not_matched(self, flag, left):
        tracker, _ = ask(lambda _, packet: packet.expect(wanted(**{flag: True})))
        state = tracker.packet(START_NS, udp(CLIENT, 4, SERVER, 9000)).state
        assert state == ("RELATED" if flag == "permanent" else "NEW")
        assert len(expected(tracker)) == left

    def test_what_it_asked_for_comes_back(self):
        want = wanted(src=ip_address(CLIENT), sport=5, expect_class=1, inactive=True)
        kept = []

        def act(_, packet):
            if not packet.expectations():
                packet.expect(want)
            else:
                kept.extend(packet.expectations())
                kept.append(packet.find(Tuple(ip_address(CLIENT), ip_address(SERVER), UDP, 5, 9000)))
                kept.append(packet.find(Tuple(ip_address(CLIENT), ip_address(SERVER), UDP, 5, 9001)))

        tracker, _ = ask(act)
        tracker.packet(START_NS + 1, udp(CLIENT, 1000, SERVER, PORT))
        assert [entry and entry.wanted for entry in kept] == [want, want, None]
        assert [entry.mine for entry in kept[:2]] == [True, True]

    def test_its_own_come_newest_first(self):
        found = []

        def act(_, packet):
            for port in (1, 2):
                packet.expect(wanted(dport=port))
            found.extend(entry.wanted.dport for entry in packet.expectations())

        ask(act)
        assert found == [2, 1]

    def test_those_of_other_connections_are_not_its_own(self):
        found = []

        def act(_, packet):
            entry = packet.find(Tuple(ip_address(CLIENT), ip_address(SERVER), UDP, 5, 9000))
            found.append(entry and (entry.mine, entry.same_helper))
            if entry is None:
                packet.expect(wanted())

        tracker = tracker_with(helper_of(act))
        for sport in (1, 2):
            tracker.packet(START_NS, udp(CLIENT, sport, SERVER, PORT))
        assert found == [None, (False, True)]

    def test_one_is_removed_refreshed_and_activated(self):
        def act(_, packet):
            first, second = (packet.expect(wanted(dport=port, inactive=True)) for port in (1, 2))
            first.remove()
            second.refresh(500, activate=True)

        tracker, _ = ask(act)
        assert [(found.tuple.dport, found.timeout) for found in expected(tracker)] == [(2, 500)]
        assert tracker.packet(START_NS, udp(CLIENT, 4, SERVER, 2)).state == "RELATED"

    def test_a_clash_is_refused_and_drops_the_packet(self):
        tracker = tracker_with(helper_of(lambda _, packet: packet.expect(wanted())))
        assert not tracker.packet(START_NS, udp(CLIENT, 1, SERVER, PORT)).dropped
        assert tracker.packet(START_NS, udp(CLIENT, 2, SERVER, PORT)).dropped
        assert tracker.counters["expectations_refused"] == 1

    def test_a_refusal_says_why(self):
        reasons = []

        def act(_, packet):
            try:
                packet.expect(wanted())
            except Refused as refused:
                reasons.append(refused.why)

        tracker = tracker_with(helper_of(act))
        for sport in (1, 2):
            tracker.packet(START_NS, udp(CLIENT, sport, SERVER, PORT))
        assert reasons == ["busy"]

    def test_the_child_is_translated_back_to_where_the_master_came_from(self):
        def act(_, packet):
            seen = packet.inverse.dst
            packet.expect(Expect(dst=seen, dport=9000, l4proto=UDP, nat=Nat(REPLY, 8000)))

        tracker, _ = ask(act, nat=(snat(f"to {GATEWAY}"),))
        assert tracker.packet(START_NS, udp(SERVER, 4, GATEWAY, 9000)).state == "RELATED"
        child = next(flow for flow in tracker.flows().flows() if flow.original.dport == 9000)
        assert (str(child.reply.src), child.reply.sport) == (CLIENT, 8000)


class TestChanges:
    def test_a_dropped_packet_enters_nothing(self):
        def act(_, _packet):
            raise Drop("not today")

        tracker, verdict = ask(act)
        assert verdict.dropped
        assert len(tracker.flows()) == 0
        assert len(tracker.take_events()) == 0

    def test_payload_is_rewritten_with_lengths_checksums_and_numbers(self):
        def act(_, packet):
            if packet.payload == b"short":
                packet.mangle(0, 5, b"much longer")
                assert packet.payload == b"much longer"

        tracker = tracker_with(helper_of(act))
        tracker.engine.forward_packets()
        talk = Talk(tracker, dport=PORT).open()
        talk.say(0, b"short")
        sent = IP(tracker.engine.forwarded[0])
        assert bytes(sent["TCP"].payload) == b"much longer"
        assert sent.len == len(sent)
        assert checksums(sent) == checksums(IP(without_checksums(sent)))
        talk.say(0, b"next")
        assert IP(tracker.engine.forwarded[0])["TCP"].seq == sent["TCP"].seq + len(b"much longer")

    def test_what_would_become_too_long_is_dropped(self):
        _, verdict = ask(lambda _, packet: packet.mangle(0, 1, bytes(65_535)))
        assert verdict.dropped

    def test_later_numbers_can_be_shifted_alone(self):
        def act(_, packet):
            if packet.payload == b"first":
                packet.adjust_sequence(100)

        tracker = tracker_with(helper_of(act))
        tracker.engine.forward_packets()
        talk = Talk(tracker, dport=PORT).open()
        talk.say(0, b"first")
        before = IP(tracker.engine.forwarded[0])["TCP"].seq
        talk.say(0, b"second")
        assert IP(tracker.engine.forwarded[0])["TCP"].seq == before + 5 + 100

    def test_the_port_in_the_header_can_be_changed(self):
        tracker = tracker_with(helper_of(lambda _, packet: packet.set_dport(5061)))
        tracker.engine.forward_packets()
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, PORT))
        assert IP(tracker.engine.forwarded[0]).dport == 5061

    def test_the_connection_can_be_given_time(self):
        def act(_, packet):
            packet.refresh(1234)

        tracker, _ = ask(act)
        tracker.packet(START_NS + 1, udp(CLIENT, 1000, SERVER, PORT))
        assert [flow.timeout for flow in tracker.flows().flows()] == [1234]

    def test_another_connection_can_be_ended(self):
        answers = []

        def act(_, packet):
            other = packet.original._replace(dport=8)
            answers.extend([packet.kill(other), packet.kill(other)])

        tracker = tracker_with(helper_of(act))
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 8))
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, PORT))
        assert answers == [True, False]
        assert [flow.original.dport for flow in tracker.flows().flows()] == [PORT]

    def test_the_helpers_of_connections_that_have_ended_are_let_go(self):
        made = []
        helper = helper_of(lambda helper, _: made.append(weakref.ref(helper)))
        tracker = tracker_with(helper)
        for number in range(FEW_INSTANCES + 1):
            tracker.packet(START_NS + number * 60_000_000_000, udp(CLIENT, 1000, SERVER, PORT))
        assert len(made) == FEW_INSTANCES + 1
        helper.seen.clear()
        gc.collect()
        assert sum(one() is not None for one in made) <= 2

    def test_gre_keys_are_kept_and_forgotten(self):
        answers = []

        def act(_, packet):
            there = Tuple(packet.original.src, packet.original.dst, 47, 11, 22)
            answers.append(packet.map_gre(there, there.inverse()))
            answers.append(packet.map_gre(there, there.inverse()))
            packet.unmap_gre()

        Talk(tracker_with(helper_of(act)), dport=PORT).open()
        assert answers[:2] == [True, True]
        ask(act)
        assert answers[-1] is False, "PPTP's control connection is TCP"


@pytest.mark.parametrize(
    ("changed", "mask"),
    [
        ({}, "00000000"),
        ({"src": ip_address("10.0.0.1")}, "ffffffff"),
        ({"src": ip_address("10.0.0.0"), "src_prefix": 8}, "ff000000"),
        ({"src": ip_address("10.0.0.0"), "src_prefix": 0}, "00000000"),
        ({"dst": ip_address("::1")}, "00" * 16),
        ({"dst": ip_address("::1"), "src": ip_address("fe80::"), "src_prefix": 10}, "ffc0" + "00" * 14),
    ],
)
def test_a_prefix_becomes_a_mask(changed, mask):
    assert mask_of(wanted(**changed)).hex() == mask


@pytest.mark.parametrize("address", ["10.0.0.1", "2001:db8::1"])
def test_tuples_go_to_the_core_and_come_back(address):
    flow = Tuple(ip_address(address), ip_address(address), UDP, 1, 2)
    assert to_tuple(to_parts(flow)) == flow


def checksums(packet: IP) -> tuple[int, int]:
    return packet.chksum, packet.payload.chksum


def without_checksums(packet: IP) -> bytes:
    """The same, for scapy to fill in."""
    packet = packet.copy()
    del packet.chksum
    del packet.payload.chksum
    return bytes(packet)
