"""Through NAT, SIP says what the other side sees: as the kernel rewrites it, byte for byte."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, TCP, UDP, Drop, Expect, Nat, Refused, Tuple
from conntap.helpers.sip import Sip
from conntap.helpers.testing import FakeConnection, FakeExpectation
from unit.helpers.sip_gateway import LONGEST, Connection, Gateway, Outcome
from unit.helpers.sip_messages import (
    ARBITRARY,
    OUTSIDE,
    PHONE,
    SERVER,
    answer,
    call,
    flow,
    message,
    register,
    request,
    session,
)

RECORDED = json.loads((Path(__file__).parents[2] / "data/helpers/sip_nat.json").read_text())["cases"]
AUDIO = "audio 8000 RTP/AVP 0"


# --- against the kernel


@pytest.mark.parametrize("case", RECORDED, ids=[case["name"] for case in RECORDED])
def test_payloads_and_expectations_are_the_kernels(case):
    gateway = Gateway()
    connections = [_connection(gateway, said) for said in case["connections"]]
    for step in case["steps"]:
        connection = connections[step["connection"]]
        payload = step["in"].encode("latin-1")
        outcome = gateway.send(connection, step["direction"], payload)
        wanted = step.get("out", step["in"])
        assert (outcome.payload and outcome.payload.decode("latin-1")) == wanted
        assert [_without_time(event) for event in outcome.events] == [_without_time(e) for e in step.get("events", [])]
        assert _times(outcome.events) == pytest.approx(_times(step.get("events", [])), abs=1)
        if wanted is not None:
            assert sum(more for what, more in _wishes(outcome, "adjust")) == step.get("shift", 0)
            to = connection.reply.sport if step["direction"] == ORIGINAL else connection.original.sport
            assert [to, *(port for _, port in _wishes(outcome, "set_dport"))][-1] == step.get("dport", to)


def _connection(gateway: Gateway, said: dict[str, Any]) -> Connection:
    made = gateway.connect(*(flow(*said[end], said["l4proto"]) for end in ("original", "reply")))
    # The handshake of TCP has been seen.
    made.answered = made.confirmed = said["l4proto"] == TCP
    return made


def _without_time(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "timeout"}


def _times(events: list[dict[str, Any]]) -> list[int]:
    return [event["timeout"] for event in events if event["what"] == "destroy"]


def _wishes(outcome: Outcome, what: str) -> list[tuple[object, ...]]:
    return [wish for wish in outcome.log if wish[0] == what]


def test_the_records_show_both_transports_both_families_and_drops():
    steps = [step for case in RECORDED for step in case["steps"]]
    assert {said["l4proto"] for case in RECORDED for said in case["connections"]} == {UDP, TCP}
    assert sum("out" in step for step in steps) > 200
    assert sum(step.get("out", "") is None for step in steps) > 20
    assert sum("shift" in step for step in steps) > 10


# --- what the kernel was not asked


class Phone:
    """A phone behind NAT: the world knows 10.0.1.2 as 203.0.113.199, and its port as another."""

    def __init__(self, l4proto: int = UDP, outer_port: int = 5060, **options: int) -> None:
        outside = Tuple(ip_address(SERVER), ip_address(OUTSIDE), l4proto, 5060, outer_port)
        self.connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=l4proto, reply=outside)
        self.helper = Sip(options)

    @property
    def ends(self) -> list[tuple[str, int]]:
        """Where connections are expected."""
        return [(str(entry.wanted.dst), entry.wanted.dport) for entry in self.connection.table]

    def send(self, payload: bytes, direction: int = ORIGINAL) -> str:
        """What goes out at the other side."""
        packet = self.connection.packet(payload, direction=direction)
        self.helper.packet(packet)
        return packet.payload.decode("latin-1")


def test_an_expectation_remembers_what_it_was_before():
    phone = Phone(outer_port=50600)
    assert f"Contact: <sip:a@{OUTSIDE}:50600>" in phone.send(register())
    wanted = phone.connection.table[0].wanted
    assert (str(wanted.dst), wanted.dport, wanted.helper) == (OUTSIDE, 50600, "sip")
    assert wanted.nat == Nat(REPLY, 5060, ip_address(PHONE), "sip")
    assert not wanted.any_master


def test_a_stream_remembers_what_it_was_before():
    phone = Phone()
    phone.send(call(AUDIO))
    for entry, port in zip(phone.connection.table, (8000, 8001), strict=True):
        assert (str(entry.wanted.dst), entry.wanted.dport) == (OUTSIDE, port)
        assert entry.wanted.nat == Nat(REPLY, port, ip_address(PHONE), "sip")
        assert entry.wanted.any_master


def test_an_answer_of_the_untranslated_side_remembers_its_own_direction():
    phone = Phone()
    phone.send(answer(200, "INVITE", body=session(SERVER, "audio 9000")), REPLY)
    assert phone.connection.table[0].wanted.nat == Nat(ORIGINAL, 9000, ip_address(SERVER), "sip")
    assert phone.ends == [(SERVER, 9000), (SERVER, 9001)]


def test_a_registration_gets_the_next_port_that_is_free():
    phone = Phone()
    phone.connection.refuse = ["busy", "busy"]
    assert f"<sip:a@{OUTSIDE}:5062>" in phone.send(register())
    assert phone.ends == [(OUTSIDE, 5062)]


def test_streams_get_the_next_pair_that_is_free():
    phone = Phone()
    phone.connection.refuse = ["busy", None, "busy", None]
    out = phone.send(call("audio 8000"))
    assert phone.ends == [(OUTSIDE, 8004), (OUTSIDE, 8005)]
    assert "m=audio 8004\r\n" in out
    assert [entry.wanted.nat.saved_port for entry in phone.connection.table] == [8000, 8001]


def test_a_longer_port_makes_the_content_longer():
    phone = Phone()
    phone.connection.refuse = ["busy"]
    out = phone.send(call("audio 9998"))
    head, body = out.split("\r\n\r\n")
    assert "m=audio 10000\r\n" in body
    assert f"Content-Length: {len(body)}" in head


@pytest.mark.parametrize("refusals", [["already"], ["full"], [None, "already"], [None, "full"], ["busy", None, "full"]])
def test_a_stream_that_is_refused_otherwise_drops_the_session_and_leaves_nothing(refusals):
    phone = Phone()
    phone.connection.refuse = [*refusals]
    with pytest.raises(Refused):
        phone.send(call(AUDIO))
    assert phone.ends == []


def test_without_two_free_ports_the_session_is_dropped():
    phone = Phone()
    phone.connection.refuse = ["busy"] * 2
    with pytest.raises(Drop, match="no two ports"):
        phone.send(call("audio 65532"))
    assert phone.ends == []


def test_a_changed_port_without_a_content_length_is_dropped_and_leaves_nothing():
    phone = Phone()
    phone.connection.refuse = ["busy"]
    with pytest.raises(Drop, match="Content-Length"):
        phone.send(call(AUDIO).replace(b"Content-Length", b"X"))
    assert phone.ends == []


def test_a_registration_that_cannot_grow_is_dropped_and_leaves_nothing():
    gateway = Gateway()
    connection = gateway.connect(flow(), flow(SERVER, 5060, OUTSIDE))
    connection.confirmed = True
    too_long = register(f"<sip:{PHONE}>", "X: " + "x" * LONGEST)[:LONGEST]
    assert gateway.send(connection, ORIGINAL, too_long).payload is None
    assert not gateway.table


def test_a_connection_address_that_a_shrinking_header_moves_away_is_lost():
    # The kernel goes on at the old offset, which is behind the line now.
    phone = Phone()
    phone.connection.refuse = ["busy"]
    body = f"v=0\r\no=- 1 1 IN IP4 {PHONE}\r\nm=audio 8000\r\nc=IN IP4 {PHONE}\r\n"
    with pytest.raises(Drop, match="lost"):
        phone.send(message("INVITE sip:x SIP/2.0", "CSeq: 1 INVITE", f"l: {'0' * 200}90", body=body))


@pytest.mark.parametrize("mine", [True, False])
def test_receivers_behind_the_same_nat_are_told_the_private_address(mine):
    phone = Phone(sip_direct_media=0)
    known = Expect(
        dst=ip_address(OUTSIDE),
        dport=8002,
        l4proto=UDP,
        expect_class=1,
        nat=Nat(REPLY, 8000, ip_address("10.0.1.9"), "sip"),
    )
    phone.connection.table.append(FakeExpectation(phone.connection.table, known, mine=mine))
    out = phone.send(answer(200, "INVITE", body=session(OUTSIDE, "audio 8002")), REPLY)
    if mine:
        assert "audio 8002" in out
        return
    assert "c=IN IP4 10.0.1.9" in out
    assert "m=audio 8000" in out
    assert phone.ends == [(OUTSIDE, 8002), ("10.0.1.9", 8000), ("10.0.1.9", 8001)]
    assert phone.connection.table[1].wanted.nat is None


def test_a_private_stream_that_is_known_as_well_is_not_expected_again():
    phone = Phone(sip_direct_media=0)
    table = phone.connection.table
    private = Expect(dst=ip_address("10.0.1.9"), dport=8000, l4proto=UDP, expect_class=1)
    outer = Expect(
        dst=ip_address(OUTSIDE), dport=8002, l4proto=UDP, expect_class=1, nat=Nat(REPLY, 8000, private.dst, "sip")
    )
    table.extend(FakeExpectation(table, wanted, mine=False) for wanted in (outer, private))
    assert "c=IN IP4 10.0.1.9" in phone.send(answer(200, "INVITE", body=session(OUTSIDE, "audio 8002")), REPLY)
    assert len(table) == 2


def test_a_private_stream_is_looked_for_from_the_same_peer():
    phone = Phone()
    table = phone.connection.table
    ends = {"src": ip_address(PHONE), "l4proto": UDP, "expect_class": 1}
    private = Expect(dst=ip_address("10.0.2.9"), dport=9002, **ends)
    outer = Expect(dst=ip_address(SERVER), dport=9000, nat=Nat(ORIGINAL, 9002, private.dst, "sip"), **ends)
    table.extend(FakeExpectation(table, wanted, mine=False) for wanted in (outer, private))
    assert "c=IN IP4 10.0.2.9" in phone.send(answer(200, "INVITE", body=session(SERVER, "audio 9000")), REPLY)
    assert len(table) == 2


def test_who_is_not_translated_may_name_another_host():
    phone = Phone(sip_direct_media=0)
    assert "c=IN IP4 10.0.2.9" in phone.send(answer(200, "INVITE", body=session("10.0.2.9", AUDIO)), REPLY)
    assert phone.ends == [("10.0.2.9", 8000), ("10.0.2.9", 8001)]


def test_who_is_translated_names_the_outer_address_whatever_it_says():
    phone = Phone(sip_direct_media=0)
    assert f"c=IN IP4 {OUTSIDE}" in phone.send(call(AUDIO, address="10.0.1.77"))
    assert phone.connection.table[0].wanted.nat == Nat(REPLY, 8000, ip_address("10.0.1.77"), "sip")


def test_a_known_stream_that_is_not_translated_needs_nothing():
    phone = Phone(sip_direct_media=0)
    same = Nat(REPLY, 8002, ip_address(OUTSIDE), "sip")
    known = Expect(dst=ip_address(OUTSIDE), dport=8002, l4proto=UDP, expect_class=1, nat=same)
    phone.connection.table.append(FakeExpectation(phone.connection.table, known, mine=False))
    assert f"c=IN IP4 {OUTSIDE}" in phone.send(answer(200, "INVITE", body=session(OUTSIDE, "audio 8002")), REPLY)
    assert len(phone.connection.table) == 1


def test_what_is_rewritten_is_never_adjusted_piece_by_piece():
    phone = Phone(TCP)
    phone.send(request("OPTIONS", f"Contact: <sip:{PHONE}>") + request("OPTIONS", f"From: <sip:{PHONE}>"))
    growth = 2 * (len(f"{OUTSIDE}:5060") - len(PHONE))
    assert [wish for wish in phone.connection.log if wish[0] == "adjust"] == [("adjust", growth)]


def test_nothing_is_adjusted_where_nothing_grew():
    phone = Phone(TCP)
    phone.send(request("OPTIONS"))
    assert phone.connection.log == [("refresh", 3600)]


# --- arbitrary text

STEPS = st.lists(st.tuples(st.sampled_from([ORIGINAL, REPLY]), ARBITRARY), max_size=5)


@given(STEPS, st.sampled_from([TCP, UDP]), st.booleans(), st.sampled_from([5060, 50600]), st.booleans())
def test_nothing_worse_than_a_drop_comes_of_any_text(steps, l4proto, is_ipv6, outer_port, direct):
    inner = ("2001:db8:1::2", 5060, "2001:db8:2::2") if is_ipv6 else (PHONE, 5060, SERVER)
    outer = (inner[2], 5060, "2001:db8:2::1" if is_ipv6 else OUTSIDE, outer_port)
    gateway = Gateway({} if direct else {"sip_direct_media": 0, "sip_direct_signalling": 0})
    connections = [gateway.connect(flow(*inner, l4proto=l4proto), flow(*outer, l4proto))]
    connections.append(gateway.connect(flow(*inner, 5061, l4proto=UDP), flow(inner[2], 5061, *outer[2:], UDP)))
    for number, (direction, payload) in enumerate(steps):
        outcome = gateway.send(connections[number % 2], direction, payload)
        assert len(gateway.table) <= 22
        assert outcome.payload is None or len(outcome.payload) <= LONGEST
        assert all(0 <= port <= 65535 for port in outcome.made)
