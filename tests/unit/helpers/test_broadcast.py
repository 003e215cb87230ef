"""Whoever broadcasts a question is answered from the whole network."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address

from conntap.helpers.base import ORIGINAL, REPLY, UDP, Expect
from conntap.helpers.broadcast import expect_answers
from conntap.helpers.testing import FakeConnection

HERE = IPv4Interface("192.168.9.1/24")


def question() -> FakeConnection:
    return FakeConnection("192.168.9.1", 40161, "192.168.9.255", 161, l4proto=UDP)


def test_the_network_may_answer_from_the_port():
    asked = question()
    expect_answers(asked.packet(b"", state="new", local_network=HERE), 161, 30)
    (entry,) = asked.table
    assert entry.wanted == Expect(
        src=ip_address("192.168.9.255"),
        src_prefix=24,
        sport=161,
        dst=ip_address("192.168.9.1"),
        dport=40161,
        l4proto=UDP,
        permanent=True,
    )
    assert asked.log == [("refresh", 30)]


def test_a_question_that_this_host_did_not_broadcast_is_not_expected_to_be_answered():
    asked = question()
    expect_answers(asked.packet(b"", direction=ORIGINAL), 161, 30)
    expect_answers(asked.packet(b"", direction=REPLY, local_network=HERE), 161, 30)
    assert (asked.table, asked.log) == ([], [])


def test_a_refusal_is_not_noticed():
    asked = question()
    asked.refuse = ["full"]
    expect_answers(asked.packet(b"", local_network=HERE), 161, 30)
    assert asked.log == [("refresh", 30)]
