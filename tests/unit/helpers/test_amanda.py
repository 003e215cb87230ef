"""The Amanda helper expects the streams that an answer lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.amanda import Amanda
from conntap.helpers.base import ORIGINAL, REPLY, TCP, Drop, Expect, Nat, Refused
from unit.helpers.noise import connection, conversations, hold
from unit.helpers.samples import of_helper, of_kernel


def ports(text: bytes) -> list[int]:
    return [entry.wanted.dport for entry in hold(Amanda, [(REPLY, text)])]


@pytest.mark.parametrize("name", ["amanda", "amanda_edge"])
def test_the_samples_are_read_as_the_kernel_reads_them(name):
    assert of_helper(name, Amanda) == of_kernel(name, Amanda)
    assert any(read.lines for read in of_kernel(name, Amanda))


@pytest.mark.parametrize("family", [4, 6])
def test_a_stream_lets_the_server_reach_the_client(family):
    (entry,) = hold(Amanda, [(REPLY, b"CONNECT DATA 5001\n")], family=family)
    flow = connection(Amanda, family=family).original
    assert entry.wanted == Expect(src=flow.src, dst=flow.dst, dport=5001, l4proto=TCP)


def test_streams_are_expected_in_the_order_of_the_protocol_not_of_the_text():
    assert ports(b"x\nCONNECT INDEX 3 STATE 4 MESG 2 DATA 1\n") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(b"connect DATA 1\n", [], id="case counts"),
        pytest.param(b"CONNECT DATA 1", [], id="no end of line"),
        pytest.param(b"DATA 1 CONNECT \n", [], id="before it"),
        pytest.param(b"CONNECT DATA 1\nMESG 2\n", [1], id="behind the line"),
        pytest.param(b"CONNECT DATA 1 MESG 0 INDEX 3\n", [1], id="port 0 ends it"),
        pytest.param(b"CONNECT DATA 1 MESG x INDEX 3\n", [1], id="no port ends it"),
        pytest.param(b"CONNECT DATA 1 MESG 65536 INDEX 3\n", [1], id="65536 is 0"),
        pytest.param(b"CONNECT DATA 70000\n", [4464], id="70000 wraps"),
        pytest.param(b"CONNECT DATA 123456\n", [12345], id="five digits count"),
        pytest.param(b"CONNECT DATA \n", [], id="the line ends"),
    ],
)
def test_what_of_a_line_counts(text, found):
    assert ports(text) == found


def test_each_answer_lets_the_connection_live_on():
    question = connection(Amanda)
    helper = Amanda({"master_timeout": 77})
    helper.packet(question.packet(b"CONNECT DATA 1\n", direction=ORIGINAL, state="new"))
    assert (question.log, question.table) == ([], [])
    helper.packet(question.packet(b"", direction=REPLY))
    assert question.log == [("refresh", 77)]


def test_a_refused_stream_drops_the_answer_but_the_others_are_expected():
    refusing = connection(Amanda)
    refusing.refuse = [None, "busy"]
    with pytest.raises(Refused):
        Amanda().packet(refusing.packet(b"CONNECT DATA 1 MESG 2 INDEX 3\n", direction=REPLY))
    assert [entry.wanted.dport for entry in refusing.table] == [1, 3]


def test_translated_ports_in_use_are_replaced():
    translated = connection(Amanda, natted=True)
    translated.refuse = [None, "busy", "busy"]
    packet = translated.packet(b"CONNECT DATA 1 MESG 8 INDEX 03 STATE 4\nrest", direction=REPLY)
    Amanda().packet(packet)
    assert packet.payload == b"CONNECT DATA 1 MESG 10 INDEX 3 STATE 4\nrest"
    assert [entry.wanted.nat for entry in translated.table] == [Nat(ORIGINAL, port) for port in (1, 8, 3, 4)]
    assert [str(entry.wanted.dst) for entry in translated.table] == ["10.0.2.2"] * 4


def test_the_end_of_the_line_is_not_found_again_when_translation_moves_it():
    translated = connection(Amanda, natted=True)
    translated.refuse = ["busy"]
    packet = translated.packet(b"CONNECT DATA 9 MESG 2\n", direction=REPLY)
    Amanda().packet(packet)
    assert packet.payload == b"CONNECT DATA 10 MESG 2\n"
    assert [entry.wanted.dport for entry in translated.table] == [10]


@pytest.mark.parametrize(("refuse", "dropped"), [(["full", None], False), ([None, "full"], True)])
def test_where_translated_only_the_last_stream_decides(refuse, dropped):
    translated = connection(Amanda, natted=True)
    translated.refuse = refuse
    packet = translated.packet(b"CONNECT DATA 1 MESG 2\n", direction=REPLY)
    if dropped:
        with pytest.raises(Drop):
            Amanda().packet(packet)
    else:
        Amanda().packet(packet)


@given(
    conversations(b"CONNECT ", b"DATA ", b"MESG ", b"INDEX ", b"STATE ", b"\n", b" "),
    st.sampled_from([4, 6]),
    st.booleans(),
)
def test_noise_does_no_harm(steps, family, natted):
    hold(Amanda, steps, family=family, natted=natted)


@pytest.mark.parametrize("text", [b"CONNECT " * 8000, b"CONNECT " + b"DATA" * 16000, b"CONNECT DATA " + b"9" * 65000])
def test_the_longest_packets_are_read_in_one_pass(text):
    hold(Amanda, [(REPLY, text + b"\n")])
