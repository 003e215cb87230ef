"""The TFTP helper lets the server answer from a port of its choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.base import ORIGINAL, REPLY, UDP, Expect, Nat, Refused
from conntap.helpers.tftp import Tftp
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel


def test_the_sample_is_read_as_the_kernel_reads_it():
    assert of_helper("tftp", Tftp) == of_kernel("tftp", Tftp)
    assert any(read.lines for read in of_kernel("tftp", Tftp))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("request_", [b"\0\1boot.img\0octet\0", b"\0\2x\0netascii\0", b"\0\1"])
@pytest.mark.parametrize("direction", [ORIGINAL, REPLY])
def test_a_request_lets_the_server_reach_the_client_s_port(family, request_, direction):
    (entry,) = hold(Tftp, [(direction, request_)], family=family)
    flow = connection(Tftp, family=family).original
    assert entry.wanted == Expect(src=flow.dst, dst=flow.src, dport=40000, l4proto=UDP)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\3\0\1data", b"\0\4\0\1", b"\0\5\0\1no\0", b"\1\0", b"\1\1"])
def test_nothing_else_announces_anything(payload):
    assert hold(Tftp, [(ORIGINAL, payload)]) == []


def test_a_translated_client_is_expected_where_the_world_sees_it():
    (entry,) = hold(Tftp, [(ORIGINAL, b"\0\1x\0")], natted=True)
    assert str(entry.wanted.dst) == "10.0.2.1"
    assert entry.wanted.nat == Nat(REPLY, 40000)


def test_a_refused_expectation_drops_the_request():
    refusing = connection(Tftp)
    refusing.refuse = ["already"]
    with pytest.raises(Refused, match="already"):
        Tftp().packet(refusing.packet(b"\0\1x\0", state="new"))


@given(conversations(b"\0\1", b"\0\2", b"\0"), st.booleans())
def test_noise_does_no_harm(steps, natted):
    hold(Tftp, steps, natted=natted)
