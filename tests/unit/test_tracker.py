"""The tracker as a library: packets in, verdicts and the kernel's events out."""

from __future__ import annotations

import json
from ipaddress import IPv4Interface, ip_address

import pytest
from scapy.layers.inet import IP, TCP

from conntap import Setup, Tracker, Verdict
from conntap.errors import FilterError, UsageError
from conntap.helpers.assign import Assignment, assign
from conntap.helpers.base import UDP, Drop, Expect, Helper, Policy
from conntap.nat import dnat, masquerade
from conntap.tracker import COUNTED
from unit.talk import CLIENT, SERVER, START_NS, Talk, udp

SECOND = 1_000_000_000


def kinds(tracker: Tracker, where: str = "") -> list[str]:
    return [event.kind for event in tracker.take_events(where).events()]


def test_a_question_and_its_answer():
    tracker = Tracker()
    first = tracker.packet(START_NS, udp(CLIENT, 5000, SERVER, 53))
    answer = tracker.packet(START_NS + 1, udp(SERVER, 53, CLIENT, 5000))
    assert (first.state, answer.state) == ("NEW", "ESTABLISHED")
    assert (first.flow[0], first.flow[1], answer.flow[1]) == (answer.flow[0], 0, 1)
    assert not first.dropped
    assert kinds(tracker) == ["NEW", "UPDATE"]


def test_a_verdict_says_why_in_words_and_as_one_word():
    verdict = Tracker().packet(START_NS, bytes(IP(src=CLIENT, dst=SERVER) / TCP(flags="SF", sport=1, dport=2)))
    assert verdict.state == "INVALID"
    assert verdict.why
    assert verdict.reason.isidentifier()
    assert verdict.flow is None


@pytest.mark.parametrize("noise", [b"", b"\x45", bytes(20), b"\x60" * 40, b"\x45" + bytes(60)])
def test_what_is_no_ip_packet_gets_a_verdict_too(noise):
    tracker = Tracker()
    assert isinstance(tracker.packet(START_NS, noise), Verdict)
    assert tracker.counters["packets"] == 1
    assert kinds(tracker) == []


def test_events_are_taken_once_and_filtered():
    tracker = Tracker()
    for port in (1, 2, 3):
        tracker.packet(START_NS, udp(CLIENT, port, SERVER, 53))
    [event] = tracker.take_events("sport 2").events()
    assert event.flow.original.sport == 2
    assert kinds(tracker) == [], "those that the filter did not want are gone as well"
    with pytest.raises(FilterError):
        tracker.take_events("sprot 2")


def test_time_is_the_packets_own():
    tracker = Tracker()
    tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
    tracker.packet(START_NS + 31 * SECOND, udp(CLIENT, 2, SERVER, 53))
    assert kinds(tracker) == ["NEW", "DESTROY", "NEW"], "30 seconds without an answer"


def test_drain_lets_time_go_by_and_flush_does_not():
    for end, last in (("drain", START_NS + 30 * SECOND), ("flush", START_NS)):
        tracker = Tracker()
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
        getattr(tracker, end)()
        assert [event.received_ns for event in tracker.take_events("destroy").events()] == [last]
        assert len(tracker.flows()) == 0


def test_zones_keep_equal_tuples_apart():
    tracker = Tracker()
    for zone in (0, 7):
        assert tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53), zone=zone).state == "NEW"
    assert [flow.zone for flow in tracker.flows().flows()] == [0, 7]


class TestSetup:
    def test_settings_are_sysctls_by_short_or_full_name(self):
        for name in ("udp_timeout", "nf_conntrack_udp_timeout", "net.netfilter.nf_conntrack_udp_timeout"):
            tracker = Tracker(Setup(settings={name: 5}))
            tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
            assert [flow.timeout for flow in tracker.flows().flows()] == [5]

    def test_counters_and_times_cost_nothing_but_are_off_as_in_the_kernel(self):
        for setup, counted in ((None, False), (COUNTED, True)):
            tracker = Tracker(setup)
            tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
            [flow] = tracker.flows().flows()
            assert (flow.original_counters is not None, flow.start_ns is not None) == (counted, counted)

    def test_helpers_read_the_connections_that_they_are_assigned_to(self):
        tracker = Tracker(Setup(helpers=assign("ftp=tcp/2121")))
        for port in (21, 2121):
            Talk(tracker, dport=port).ftp(b"PORT 10,0,1,2,195,80")
        [expectation] = tracker.expectations().expectations()
        assert (expectation.tuple.dport, expectation.master.dport, expectation.helper) == (50000, 2121, "ftp")

    def test_helper_options_are_the_modules_parameters(self):
        foreign = b"PORT 10,0,9,9,195,80"
        for loose, expected in ((0, 0), (1, 1)):
            tracker = Tracker(Setup(helpers=assign("ftp"), helper_options={"ftp": {"loose": loose}}))
            Talk(tracker).ftp(foreign)
            assert len(tracker.expectations()) == expected

    def test_a_helper_of_ones_own_is_used_like_the_others(self):
        class Knock(Helper):
            name = "knock"
            l4protos = (UDP,)
            policies = (Policy("door", 1, 30),)

            def packet(self, packet):
                if packet.payload == b"go away":
                    raise Drop("not welcome")
                packet.expect(Expect(dst=packet.tuple.dst, dport=int(packet.payload), l4proto=UDP))

        setup = Setup(helpers=(Assignment("knock", UDP, 7),), own_helpers={"knock": Knock})
        tracker = Tracker(setup)
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 7, b"9000"))
        assert tracker.packet(START_NS, udp("10.9.9.9", 1, SERVER, 9000)).state == "RELATED"
        refused = tracker.packet(START_NS, udp(CLIENT, 2, SERVER, 7, b"go away"))
        assert (refused.dropped, len(tracker.flows())) == (True, 2)

    def test_rules_may_mark_and_drop(self):
        def rules(engine, call):
            engine.set_mark(42)
            return b"bad" not in call.payload

        tracker = Tracker(Setup(rules=rules))
        assert not tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 7, b"good")).dropped
        assert tracker.packet(START_NS, udp(CLIENT, 2, SERVER, 7, b"bad")).dropped
        assert [flow.mark for flow in tracker.flows().flows()] == [42]

    def test_what_a_helper_of_ones_own_raises_comes_out(self):
        class Broken(Helper):
            name = "broken"
            l4protos = (UDP,)
            policies = (Policy("none", 1, 1),)

            def packet(self, packet):
                raise ZeroDivisionError

        tracker = Tracker(Setup(helpers=(Assignment("broken", UDP, 7),), own_helpers={"broken": Broken}))
        with pytest.raises(ZeroDivisionError):
            tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 7))
        assert tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 8)).state == "NEW", "the engine goes on"

    def test_nat_translates_and_the_packet_goes_out_translated(self):
        tracker = Tracker(Setup(nat=(masquerade("203.0.113.1"), dnat("udp and dport 53 to 10.0.2.9:5353"))))
        tracker.engine.forward_packets()
        tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
        [flow] = tracker.flows().flows()
        assert (flow.reply.src, flow.reply.sport) == (ip_address("10.0.2.9"), 5353)
        assert flow.reply.dst == ip_address("203.0.113.1")
        [packet] = tracker.engine.forwarded
        sent = IP(packet)
        assert (sent.src, sent.dst, sent.dport) == ("203.0.113.1", "10.0.2.9", 5353)

    def test_nat_may_ask_by_which_interface_a_packet_came(self):
        from dataclasses import replace

        tracker = Tracker(Setup(nat=(replace(dnat("to 10.0.2.9"), interface=1),)))
        for interface in (0, 1):
            tracker.packet(START_NS, udp(CLIENT, interface + 1, SERVER, 53), came_by=interface)
        assert [str(flow.reply.src) for flow in tracker.flows().flows()] == [SERVER, "10.0.2.9"]

    def test_broadcast_helpers_know_the_gateways_own_networks(self):
        query = udp("10.0.1.1", 137, "10.0.1.255", 137, bytes(50))
        for networks, expected in (((), 0), ((IPv4Interface("10.0.1.1/24"),), 1)):
            tracker = Tracker(Setup(helpers=assign("netbios-ns"), local_networks=networks))
            tracker.packet(START_NS, query)
            assert len(tracker.expectations()) == expected

    @pytest.mark.parametrize(
        ("setup", "what"),
        [
            (Setup(settings={"tcp_lose": 1}), "no setting 'tcp_lose'"),
            (Setup(settings={"acct": 7}), "setting 'acct' does not take 7"),
            (Setup(helpers=(Assignment("nosuch", 6, 1),)), "no helper is called 'nosuch'"),
            (Setup(helper_options={"nosuch": {"x": 1}}), "no helper is called 'nosuch'"),
            (Setup(helper_options={"irc": {"dcc_timeuot": 1}}), "helper 'irc' has no parameter 'dcc_timeuot'"),
            (Setup(helpers=assign("irc"), helper_options={"irc": {"max_dcc_channels": 0}}), "must be 1 to 255"),
        ],
    )
    def test_a_setup_at_fault_is_refused(self, setup, what):
        with pytest.raises(UsageError, match=what):
            Tracker(setup)

    def test_parameters_at_fault_name_those_there_are(self):
        with pytest.raises(UsageError) as caught:
            Tracker(Setup(helper_options={"irc": {"x": 1}}))
        assert caught.value.hint == "it has max_dcc_channels, dcc_timeout"


def test_two_trackers_say_the_same():
    """The seed of the hash table is random and shows nowhere."""
    talks = []
    for _ in range(2):
        tracker = Tracker(Setup(helpers=assign("ftp")))
        Talk(tracker).ftp(b"PORT 10,0,1,2,195,80")
        talks.append(tracker.take_events().messages())
    assert talks[0] == talks[1]


def test_the_tables_are_dumps():
    tracker = Tracker()
    tracker.packet(START_NS, udp(CLIENT, 1, SERVER, 53))
    assert {json.loads(line)["kind"] for line in tracker.flows().json().splitlines()} == {"ENTRY"}
