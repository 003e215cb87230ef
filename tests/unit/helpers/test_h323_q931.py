"""Call signalling announces what it announces to the kernel."""

from __future__ import annotations

import pytest

from conntap.helpers.base import ORIGINAL, REPLY, Refused
from conntap.helpers.h323 import Q931
from conntap.helpers.testing import FakeConnection
from unit.helpers.h323_cases import hold, names, payload

CONNECT = payload("connect: h245Address")


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection("10.0.1.2", 45000, "10.0.2.2", 1720)


@pytest.mark.parametrize("name", names(Q931, nat=False))
def test_the_kernels_answer(name):
    hold(name)


def test_nothing_is_read_before_both_sides_have_spoken(connection):
    reader = Q931()
    for state in ("new", "related"):
        reader.packet(connection.packet(CONNECT, direction=REPLY, state=state))
    assert connection.table == []


def test_a_refused_expectation_drops_the_packet(connection):
    connection.refuse = ["full"]
    with pytest.raises(Refused):
        Q931().packet(connection.packet(CONNECT, direction=REPLY))


def test_where_rtcp_is_refused_rtp_is_not_expected_either(connection):
    connection.refuse = [None, None, "busy"]  # H.245, RTP
    with pytest.raises(Refused):
        Q931().packet(connection.packet(payload("setup: h245Address and fastStart"), direction=ORIGINAL))
    assert [entry.wanted.dport for entry in connection.table] == [11002]


def test_a_header_alone_is_remembered_for_its_connection_only(connection):
    one, other = Q931(), Q931()
    one.packet(connection.packet(CONNECT[:4], direction=REPLY))
    other.packet(connection.packet(CONNECT[4:], direction=REPLY))
    assert connection.table == []
    one.packet(connection.packet(CONNECT[4:], direction=REPLY))
    assert len(connection.table) == 1


@pytest.mark.parametrize(
    "elements",
    [
        "",  # no user-user element
        "04",  # an element without a length
        "0405ff",  # one that is longer than the message
        "7e00",  # half a length
        "7e00ff05",  # longer than the message
    ],
)
def test_elements_that_end_too_early_hide_nothing(connection, elements):
    message = b"\x08\x02\x00\x01\x05" + bytes.fromhex(elements)
    Q931().packet(connection.packet(b"\x03\x00" + (len(message) + 4).to_bytes(2) + message))
    assert connection.table == []


def test_an_element_of_one_octet_is_passed_over_at_the_beginning_only(connection):
    for before, found in (("a1", 1), ("a1a1", 0)):
        message = CONNECT[4:9] + bytes.fromhex(before) + CONNECT[9:]
        segment = b"\x03\x00" + (len(message) + 4).to_bytes(2) + message
        Q931().packet(connection.packet(segment, direction=REPLY))
        assert len(connection.table) == found
        connection.table.clear()
