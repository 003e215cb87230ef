"""Q.931 with H.225.0: the call signalling of H.323. It announces the H.245 connection, channels, a call elsewhere.

Source: ITU-T Q.931 4.5, H.225.0 7; kernel net/netfilter/nf_conntrack_h323_main.c, `q931_help` and below, and
nf_conntrack_h323_asn1.c, `DecodeQ931`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import TCP, Expect, Helper, Packet, Policy
from conntap.helpers.h323_address import Endpoint, h225
from conntap.helpers.h323_h245 import open_channel, read_control, toward
from conntap.helpers.h323_nat import (
    Ports,
    announce_call_forwarding,
    announce_control,
    moved,
    rewrite,
    translated,
)
from conntap.helpers.h323_per import Malformed, Reader
from conntap.helpers.h323_schema import USER_INFORMATION
from conntap.helpers.h323_tpkt import Framing, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap.helpers.h323_per import Value

__all__ = ["Q931"]

_DISCRIMINATOR: Final = 0x08
_USER_USER: Final = 0x7E
_BODIES: Final = ("setup", "callProceeding", "connect", "alerting", "facility", "progress")


class Q931(Helper):
    """Reads a call signalling connection.

    Parameters:
        callforward_filter: 1: a call that is forwarded to somebody on the caller's side is not expected. The kernel
            asks its routes whether both have the same next hop; who only listens cannot, and takes them for reached
            differently, except where caller and new destination are the same host.
    """

    name: ClassVar[str] = "Q.931"
    port: ClassVar[int] = 1720
    policies: ClassVar[tuple[Policy, ...]] = (Policy("channels", 20, 240),)
    parameters: ClassVar[Mapping[str, int]] = {"callforward_filter": 1}

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        """Serve one connection."""
        super().__init__(options)
        self._framing = (Framing(), Framing())
        self._ports = Ports()

    def packet(self, packet: Packet) -> None:
        """Read one segment."""
        if packet.state != "established":
            return
        for message in self._framing[packet.direction].messages(packet.payload):
            try:
                start, end = _user_information(packet.payload, message)
                found = USER_INFORMATION.read(Reader(packet.payload, start, end), keep=True)
            except Malformed:
                return
            unit = found.at("h323-uu-pdu")
            if unit:
                self._unit(packet, unit)

    def _unit(self, packet: Packet, unit: Value) -> None:
        for name in _BODIES:
            body = unit.at("h323-message-body", name)
            if body:
                self._body(packet, name, body)
        for message in unit.all("h245Control"):
            read_control(packet, self._ports, message)

    def _body(self, packet: Packet, name: str, body: Value) -> None:
        reason = body.at("reason")
        if reason and reason.chosen == "callForwarded":
            self._expect_forwarded(packet, h225(packet, body.at("alternativeAddress")))
            return
        self._expect_control(packet, h225(packet, body.at("h245Address")))
        if name == "setup" and translated(packet):
            _rewrite_parties(packet, body)
        for channel in body.all("fastStart"):
            open_channel(packet, self._ports, channel)

    def _expect_control(self, packet: Packet, named: Endpoint | None) -> None:
        if not named or named.address != packet.tuple.src or not named.port:
            return
        wanted = replace(toward(packet, named.port, TCP), helper="H.245")
        if moved(packet):
            announce_control(packet, self._ports, named, wanted)
        else:
            packet.expect(wanted)

    def _expect_forwarded(self, packet: Packet, named: Endpoint | None) -> None:
        if not named or not named.port:
            return
        caller = packet.inverse.src
        if self.options["callforward_filter"] and named.address == caller:
            return
        wanted = Expect(dst=named.address, dport=named.port, l4proto=TCP, src=caller, helper=self.name)
        if moved(packet):
            announce_call_forwarding(packet, named, wanted)
        else:
            packet.expect(wanted)


def _rewrite_parties(packet: Packet, setup: Value) -> None:
    """Who calls whom, as the other side of the translation knows them."""
    seen = packet.inverse
    called = h225(packet, setup.at("destCallSignalAddress"))
    if called and called.address != seen.src:
        rewrite(packet, called.place, seen.src, seen.sport)
    caller = h225(packet, setup.at("sourceCallSignalAddress"))
    if caller and caller.address != seen.dst:
        rewrite(packet, caller.place, seen.dst, seen.dport)


def _user_information(payload: bytes, message: Span) -> Span:
    """Where in a Q.931 message the H.225.0 part lies.

    Raises:
        Malformed: there is none.
    """
    reader = Reader(payload, *message)
    if reader.bits(8) != _DISCRIMINATOR:
        raise Malformed
    reader.skip(8 * reader.bits(8))  # call reference
    reader.skip(8)  # message type
    if reader.bits(8) & 0x80 == 0:
        reader.position -= 8
    while True:
        if reader.bits(8) == _USER_USER:
            length = reader.bits(16)
            reader.need_octets(length)
            if not length:
                raise Malformed
            start = reader.position // 8
            return Span(start + 1, start + length)  # behind the protocol discriminator of the element
        reader.skip(8 * reader.bits(8))
