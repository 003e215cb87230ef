"""H.245: opens channels for media and data. It has a connection of its own or travels in the call signalling.

Source: kernel net/netfilter/nf_conntrack_h323_main.c, `h245_help` and below.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import TCP, UDP, Expect, Helper, Packet, Policy, Refused
from conntap.helpers.h323_address import Endpoint, h245
from conntap.helpers.h323_nat import Ports, announce_data, announce_media, moved
from conntap.helpers.h323_per import Malformed, Reader
from conntap.helpers.h323_schema_h245 import CONTROL_MESSAGE
from conntap.helpers.h323_tpkt import Framing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.helpers.h323_per import Value

__all__ = ["H245", "open_channel", "read_control", "toward"]

_H2250: Final = "h2250LogicalChannelParameters"
_H2250_ACK: Final = "h2250LogicalChannelAckParameters"


class H245(Helper):
    """Reads an H.245 control connection. It has no port: call signalling announces each one."""

    name: ClassVar[str] = "H.245"
    policies: ClassVar[tuple[Policy, ...]] = (Policy("channels", 18, 240),)

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        """Serve one connection."""
        super().__init__(options)
        self._framing = (Framing(), Framing())
        self._ports = Ports()

    def packet(self, packet: Packet) -> None:
        """Read one segment."""
        if packet.state != "established":
            return
        for start, end in self._framing[packet.direction].messages(packet.payload):
            try:
                message = CONTROL_MESSAGE.read(Reader(packet.payload, start, end), keep=True)
            except Malformed:
                return
            read_control(packet, self._ports, message)


def read_control(packet: Packet, ports: Ports, message: Value) -> None:
    """Do what a MultimediaSystemControlMessage says.

    Raises:
        Refused: an expectation was.
    """
    channel = message.at("request", "openLogicalChannel")
    if channel:
        open_channel(packet, ports, channel)
    answer = message.at("response", "openLogicalChannelAck")
    if answer:
        _answer_channel(packet, ports, answer)


def open_channel(packet: Packet, ports: Ports, channel: Value) -> None:
    """Expect what an OpenLogicalChannel announces: media either way, and T.120 where the channel carries that.

    Raises:
        Refused: an expectation was.
    """
    forward = channel.at("forwardLogicalChannelParameters")
    if forward:
        _expect_both(packet, ports, forward.at("multiplexParameters", _H2250))
    _expect_both(packet, ports, channel.at("reverseLogicalChannelParameters", "multiplexParameters", _H2250))
    protocol = forward.at("dataType", "data", "application", "t120") if forward else None
    if protocol and protocol.chosen == "separateLANStack":
        _expect_data(packet, channel)


def _answer_channel(packet: Packet, ports: Ports, answer: Value) -> None:
    _expect_both(packet, ports, answer.at("reverseLogicalChannelParameters", "multiplexParameters", _H2250))
    _expect_both(packet, ports, answer.at("forwardMultiplexAckParameters", _H2250_ACK))
    _expect_data(packet, answer)


def _expect_both(packet: Packet, ports: Ports, parameters: Value | None) -> None:
    if parameters:
        _expect_media(packet, ports, h245(packet, parameters.at("mediaChannel")))
        _expect_media(packet, ports, h245(packet, parameters.at("mediaControlChannel")))


def _expect_media(packet: Packet, ports: Ports, named: Endpoint | None) -> None:
    """Whichever of the two is named, RTP has the even port and RTCP the odd one."""
    if not named or named.address != packet.tuple.src or not named.port:
        return
    rtp = toward(packet, named.port & ~1, UDP)
    rtcp = replace(rtp, dport=named.port | 1)
    if moved(packet):
        announce_media(packet, ports, named, rtp, rtcp)
        return
    first = packet.expect(rtp)
    try:
        packet.expect(rtcp)
    except Refused:
        first.remove()
        raise


def _expect_data(packet: Packet, channel: Value) -> None:
    named = h245(packet, channel.at("separateStack", "networkAddress", "localAreaAddress"))
    if not named or named.address != packet.tuple.src or not named.port:
        return
    wanted = replace(toward(packet, named.port, TCP), permanent=True)
    if moved(packet):
        announce_data(packet, named, wanted)
    else:
        packet.expect(wanted)


def toward(packet: Packet, port: int, l4proto: int) -> Expect:
    """A connection from this packet's receiver to its sender, as the receiver sees them."""
    return Expect(dst=packet.inverse.dst, dport=port, l4proto=l4proto, src=packet.inverse.src)
