"""The description of RAS and call signalling finds what the recorded messages hold, where they hold it."""

from __future__ import annotations

import pytest

from conntap.helpers.h323 import Q931, Ras
from conntap.helpers.h323_per import Malformed, Reader, Value
from conntap.helpers.h323_schema import RAS_MESSAGE, USER_INFORMATION
from unit.helpers.h323_cases import payload, payloads, walks

REGISTRATION = "registration, confirmation, unregistration"
ADDRESS = bytes([10, 0, 1, 2])


def ras(message: bytes) -> Value:
    return RAS_MESSAGE.read(Reader(message), keep=True)


def unit(message: bytes) -> Value:
    """The H323-UU-PDU of a Q.931 message in a TPKT whose first information element is the user-user element."""
    begins = message.index(b"\x7e") + 4
    found = USER_INFORMATION.read(Reader(message, begins, len(message)), keep=True).at("h323-uu-pdu")
    assert found is not None
    return found


def test_a_registration_names_its_addresses():
    message = payload(REGISTRATION)
    value = ras(message)
    assert value.chosen == "registrationRequest"
    places = {
        name: [item.at("ipAddress", "ip") for item in value.all("registrationRequest", name)]
        for name in ("callSignalAddress", "rasAddress")
    }
    assert places == {
        "callSignalAddress": [Value(number=message.index(ADDRESS))],
        "rasAddress": [Value(number=message.rindex(ADDRESS))],
    }


def test_a_time_to_live_is_found_behind_other_additions():
    message = payload("time to live in the request and in the confirmation")
    assert ras(message).at("registrationRequest", "timeToLive") == Value(number=60)


@pytest.mark.parametrize(
    ("name", "packet", "chosen"),
    [
        (REGISTRATION, 1, "registrationConfirm"),
        (REGISTRATION, 2, "unregistrationRequest"),
        ("admission: a call to somebody, and an answered one", 0, "admissionRequest"),
        ("admission: a call to somebody, and an answered one", 1, "admissionConfirm"),
        ("location", 0, "locationRequest"),
        ("location", 1, "locationConfirm"),
        ("discovery: gatekeeper elsewhere", 0, "gatekeeperRequest"),
        ("discovery: gatekeeper elsewhere", 1, "gatekeeperConfirm"),
        ("SNAT: registration", 11, "infoRequestResponse"),
    ],
)
def test_the_messages_of_ras_are_told_apart(name, packet, chosen):
    value = ras(payload(name, packet))
    assert value.chosen == chosen
    assert value.at(chosen) is not None


@pytest.mark.parametrize("index", [2, 5, 7, 8, *range(11, 18), 20, 21, 23])
def test_other_messages_of_ras_are_not_looked_into(index):
    assert ras(bytes([index << 2])).parts == {}


def test_later_messages_of_ras_are_not_looked_into():
    assert ras(b"\x80\x00").parts == {}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("setup: h245Address and fastStart", "setup"),
        ("callProceeding: h245Address", "callProceeding"),
        ("connect: h245Address", "connect"),
        ("alerting: h245Address", "alerting"),
        ("progress: h245Address", "progress"),
        ("facility: h245Address", "facility"),
    ],
)
def test_the_bodies_that_name_an_h245_address(name, body):
    message = payload(name)
    address = unit(message).at("h323-message-body", body, "h245Address", "ipAddress", "ip")
    assert address is not None
    assert message[address.number : address.number + 2] == b"\x0a\x00"


def test_a_fast_start_holds_whole_channels():
    channels = unit(payload("setup: h245Address and fastStart")).all("h323-message-body", "setup", "fastStart")
    assert [channel.parts.keys() for channel in channels] == [{"forwardLogicalChannelParameters"}]


def test_tunnelled_messages_are_found_behind_every_body():
    value = unit(payload("tunnelled answer behind a capability set, in a releaseComplete"))
    assert [message.chosen for message in value.all("h245Control")] == ["request", "response"]


def test_a_facility_tells_why():
    message = payload("facility: forwarded, aliases and conference before the reason")
    value = unit(message).at("h323-message-body", "facility")
    assert value is not None
    assert value.parts["reason"].chosen == "callForwarded"
    assert value.at("alternativeAddress", "ipAddress", "ip") == Value(number=message.index(bytes([10, 0, 2, 9])))


@pytest.mark.parametrize("walk", walks(Ras) + walks(Q931))
def test_an_address_is_found_behind_whatever_may_lie_before_it(walk):
    assert walk.expected() == walk.kernel


@pytest.mark.parametrize(("helper", "read"), [(Ras, ras), (Q931, unit)])
def test_no_message_cut_short_is_read_differently(helper, read):
    """What a beginning of a message yields, the whole message yields too."""
    for message in payloads(helper):
        for end in range(len(message)):
            try:
                part = read(message[:end])
            except (Malformed, ValueError):
                continue
            assert contained(part, read(message))


def contained(part: Value, whole: Value) -> bool:
    if (part.number, part.chosen) != (whole.number, whole.chosen) or not part.parts.keys() <= whole.parts.keys():
        return False
    return all(contained(one, whole.parts[name]) for name, one in part.parts.items()) and all(
        contained(one, other) for one, other in zip(part.items, whole.items)
    )
