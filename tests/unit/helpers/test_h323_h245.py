"""The control connection opens channels as it does to the kernel."""

from __future__ import annotations

import pytest

from conntap.helpers.base import ORIGINAL, TCP, UDP, Refused
from conntap.helpers.h323 import H245
from conntap.helpers.h323_h245 import toward
from conntap.helpers.testing import FakeConnection
from unit.helpers.h323_cases import connection, get, hold, names, payload

CHANNEL = payload("H.245: channel with media and T.120, then the answer")


@pytest.fixture
def child() -> FakeConnection:
    return connection(get("H.245: channel with media and T.120, then the answer"))


@pytest.mark.parametrize("name", names(H245, nat=False))
def test_the_kernels_answer(name):
    hold(name)


def test_nothing_is_read_before_both_sides_have_spoken(child):
    H245().packet(child.packet(CHANNEL, state="related"))
    assert child.table == []


def test_media_come_in_pairs_and_data_may_come_again(child):
    H245().packet(child.packet(CHANNEL))
    told = [(entry.wanted.l4proto, entry.wanted.dport, entry.wanted.permanent) for entry in child.table]
    assert told[-1] == (TCP, 1503, True)
    assert set(told[:-1]) == {(UDP, 6000, False), (UDP, 6001, False)}


@pytest.mark.parametrize("accepted", range(4))
def test_a_refused_expectation_drops_the_packet(child, accepted):
    child.refuse = [None] * accepted + ["already"]
    with pytest.raises(Refused):
        H245().packet(child.packet(CHANNEL))
    assert len(child.table) == accepted - accepted % 2


def test_a_channel_leads_from_the_receiver_to_the_sender(child):
    wanted = toward(child.packet(b"", direction=ORIGINAL), 6000, UDP)
    assert (str(wanted.src), str(wanted.dst), wanted.dport, wanted.sport) == ("10.0.2.2", "10.0.1.2", 6000, None)
