"""The description of H.245 finds media addresses behind whatever a channel carries."""

from __future__ import annotations

import pytest

from conntap.helpers.h323 import H245
from conntap.helpers.h323_per import Malformed, Reader, Value
from conntap.helpers.h323_schema_h245 import CONTROL_MESSAGE, OPEN_LOGICAL_CHANNEL
from unit.helpers.h323_cases import payload, payloads, walks

ADDRESS = bytes([10, 0, 1, 2])


def control(message: bytes) -> Value:
    return CONTROL_MESSAGE.read(Reader(message, 4), keep=True)


def test_a_channel_names_where_media_and_data_go():
    message = payload("H.245: channel with media and T.120, then the answer")
    channel = control(message).at("request", "openLogicalChannel")
    assert channel is not None
    media = channel.at("forwardLogicalChannelParameters", "multiplexParameters", "h2250LogicalChannelParameters")
    assert media is not None
    assert media.parts.keys() == {"mediaChannel", "mediaControlChannel"}
    path = ("unicastAddress", "iPAddress", "network")
    stack = channel.at("separateStack", "networkAddress", "localAreaAddress", *path)
    assert media.at("mediaChannel", *path) == Value(number=message.index(ADDRESS))
    assert stack == Value(number=message.rindex(ADDRESS))
    protocol = channel.at("forwardLogicalChannelParameters", "dataType", "data", "application", "t120")
    assert protocol == Value(chosen="separateLANStack")


def test_an_answer_names_the_same():
    message = payload("H.245: channel with media and T.120, then the answer", 1)
    length = int.from_bytes(message[2:4])
    answer = CONTROL_MESSAGE.read(Reader(message, length + 4), keep=True).at("response", "openLogicalChannelAck")
    assert answer is not None
    assert answer.parts.keys() == {
        "reverseLogicalChannelParameters",
        "forwardMultiplexAckParameters",
        "separateStack",
    }


@pytest.mark.parametrize("walk", walks(H245))
def test_an_address_is_found_behind_whatever_may_lie_before_it(walk):
    assert walk.expected() == walk.kernel


def test_messages_of_no_interest_are_not_looked_into():
    for first in range(256):
        try:
            value = CONTROL_MESSAGE.read(Reader(bytes([first, 0, 0])), keep=True)
        except Malformed:
            continue
        assert value.chosen in {"request", "response", "command", "indication", ""}
        inner = value.at(value.chosen)
        assert inner is None or inner.parts == {}


def test_no_message_cut_short_is_read_differently():
    for message in payloads(H245):
        for end in range(4, len(message)):
            try:
                part = control(message[:end])
            except Malformed:
                continue
            assert part.chosen == control(message).chosen


def test_a_channel_cut_short_is_malformed():
    message = payload("H.245: channel with media and T.120, then the answer")
    for end in range(5, message.index(ADDRESS)):
        with pytest.raises(Malformed):
            OPEN_LOGICAL_CHANNEL.read(Reader(message[:end], 5), keep=True)
