"""The SANE helper expects the picture's connection after NET_START, and only then."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, TCP, Expect, Refused
from conntap.helpers.sane import Sane
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel

START = (ORIGINAL, struct.pack(">II", 7, 0))
OTHER = (ORIGINAL, struct.pack(">II", 6, 0))


def answer(port: int, *, status: int = 0, zero: int = 0) -> tuple[int, bytes]:
    return (REPLY, struct.pack(">IHH", status, zero, port) + b"byte order and more")


def test_the_sample_is_read_as_the_kernel_reads_it():
    assert of_helper("sane", Sane) == of_kernel("sane", Sane)
    assert any(read.lines for read in of_kernel("sane", Sane))


@pytest.mark.parametrize("family", [4, 6])
def test_the_answer_to_start_lets_the_client_reach_the_scanner(family):
    (entry,) = hold(Sane, [START, answer(5555)], family=family)
    flow = connection(Sane, family=family).original
    assert entry.wanted == Expect(src=flow.src, dst=flow.dst, dport=5555, l4proto=TCP)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([answer(5555)], id="not asked"),
        pytest.param([START, OTHER, answer(5555)], id="asked for something else since"),
        pytest.param([START, answer(1, status=5), answer(5555)], id="refused, then another answer"),
        pytest.param([START, answer(5555, zero=1)], id="not as the protocol has it"),
        pytest.param([START, (REPLY, b"\0\0\0\0\0\0\x15")], id="too short"),
        pytest.param([(ORIGINAL, START[1] + b"x"), answer(5555)], id="no segment of its own"),
    ],
)
def test_nothing_else_announces_anything(steps):
    assert hold(Sane, steps) == []


def test_what_is_no_request_does_not_disarm():
    assert len(hold(Sane, [START, (ORIGINAL, b"nine bytes"), answer(5555)])) == 1


def test_a_translated_connection_is_expected_as_the_client_sees_it():
    """There is no NAT module: the announced port stands for itself."""
    (entry,) = hold(Sane, [START, answer(5555)], natted=True)
    assert (str(entry.wanted.src), entry.wanted.nat) == ("10.0.1.2", None)


def test_nothing_is_read_before_both_sides_have_spoken():
    fresh = connection(Sane)
    helper = Sane()
    helper.packet(fresh.packet(START[1], state="new"))
    helper.packet(fresh.packet(answer(5555)[1], direction=REPLY))
    assert fresh.table == []


def test_a_refused_expectation_drops_the_answer():
    refusing = connection(Sane)
    refusing.refuse = ["full"]
    helper = Sane()
    helper.packet(refusing.packet(START[1]))
    with pytest.raises(Refused, match="full"):
        helper.packet(refusing.packet(answer(5555)[1], direction=REPLY))


@given(conversations(START[1], answer(5555)[1], b"\0\0\0\0", b"\0\0"), st.booleans())
def test_noise_does_no_harm(steps, natted):
    hold(Sane, steps, natted=natted)
