"""Registration and admission announce calls as they do to the kernel."""

from __future__ import annotations

import pytest

from conntap.helpers.base import ORIGINAL, REPLY, UDP, Refused
from conntap.helpers.h323 import Ras
from conntap.helpers.testing import FakeConnection
from unit.helpers.h323_cases import hold, names, payload

REGISTRATION = "registration, confirmation, unregistration"


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection("10.0.1.2", 1719, "10.0.2.2", 1719, l4proto=UDP)


@pytest.mark.parametrize("name", names(Ras, nat=False))
def test_the_kernels_answer(name):
    hold(name)


def test_the_first_datagram_is_read(connection):
    Ras().packet(connection.packet(payload(REGISTRATION), state="new"))
    assert [entry.wanted.helper for entry in connection.table] == ["Q.931"]


@pytest.mark.parametrize(
    ("name", "packet", "direction"),
    [
        (REGISTRATION, 0, ORIGINAL),
        ("admission: a call to somebody, and an answered one", 1, REPLY),
        ("location", 1, REPLY),
        ("discovery: gatekeeper elsewhere", 2, REPLY),
    ],
)
def test_a_refused_expectation_drops_the_packet(connection, name, packet, direction):
    connection.refuse = ["busy"]
    with pytest.raises(Refused):
        Ras().packet(connection.packet(payload(name, packet), direction=direction))


def test_a_confirmation_without_a_registration_changes_nothing(connection):
    Ras().packet(connection.packet(payload(REGISTRATION, 1), direction=REPLY))
    assert connection.log == []


def test_the_expectation_of_another_connection_is_not_prolonged(connection):
    reader = Ras({"gkrouted_only": 0})
    reader.packet(connection.packet(payload(REGISTRATION)))
    connection.table[0].mine = False
    reader.packet(connection.packet(payload(REGISTRATION, 1), direction=REPLY))
    assert connection.log == [("refresh", 300)]
    assert connection.table[0].left is None


def test_after_an_unregistration_there_is_nothing_to_prolong(connection):
    reader = Ras({"gkrouted_only": 0})
    for packet, direction in ((0, ORIGINAL), (2, ORIGINAL), (1, REPLY)):
        reader.packet(connection.packet(payload(REGISTRATION, packet), direction=direction))
    assert connection.table == []
    assert connection.log == [("refresh", 30), ("refresh", 300)]
