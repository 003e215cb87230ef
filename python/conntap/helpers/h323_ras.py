"""RAS: registration, admission and status between an H.323 endpoint and its gatekeeper. It announces calls.

Source: ITU-T H.225.0 7.7 and on; kernel net/netfilter/nf_conntrack_h323_main.c, `ras_help` and below.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import TCP, UDP, Expect, Helper, Packet, Policy, Tuple
from conntap.helpers.h323_address import h225
from conntap.helpers.h323_h245 import toward
from conntap.helpers.h323_nat import (
    Ports,
    announce_call_signalling,
    rewrite,
    rewrite_ras,
    rewrite_signalling,
    translated,
)
from conntap.helpers.h323_per import Malformed, Reader
from conntap.helpers.h323_schema import RAS_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conntap.helpers.base import Address
    from conntap.helpers.h323_per import Value

__all__ = ["Ras"]

# Time for the gatekeeper's answer when an endpoint unregisters, seconds.
_FAREWELL: Final = 30
_ANY: Final[Mapping[int, Address]] = {4: IPv4Address(0), 6: IPv6Address(0)}


class Ras(Helper):
    """Reads the datagrams between an endpoint and a gatekeeper.

    Parameters:
        default_rrq_ttl: how long a registration that does not say so lasts, seconds.
        gkrouted_only: 1: calls are expected from the gatekeeper; 0: from anybody.
    """

    name: ClassVar[str] = "RAS"
    l4protos: ClassVar[tuple[int, ...]] = (UDP,)
    port: ClassVar[int] = 1719
    policies: ClassVar[tuple[Policy, ...]] = (Policy("calls", 32, 240),)
    parameters: ClassVar[Mapping[str, int]] = {"default_rrq_ttl": 300, "gkrouted_only": 1}

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        """Serve one connection."""
        super().__init__(options)
        self._ports = Ports()
        self._lifetime = 0
        self._readers: dict[str, Callable[[Packet, Value], None]] = {
            "gatekeeperRequest": self._gatekeeper_request,
            "gatekeeperConfirm": self._gatekeeper_confirm,
            "registrationRequest": self._registration_request,
            "registrationConfirm": self._registration_confirm,
            "unregistrationRequest": self._unregistration_request,
            "admissionRequest": self._admission_request,
            "admissionConfirm": self._admission_confirm,
            "locationRequest": self._location_request,
            "locationConfirm": self._location_confirm,
            "infoRequestResponse": self._info_request_response,
        }

    def packet(self, packet: Packet) -> None:
        """Read one datagram."""
        try:
            message = RAS_MESSAGE.read(Reader(packet.payload), keep=True)
        except Malformed:
            return
        read = self._readers.get(message.chosen)
        body = message.at(message.chosen)
        if read and body:
            read(packet, body)

    def _gatekeeper_request(self, packet: Packet, body: Value) -> None:
        _rewrite_sender(packet, body, "rasAddress")

    def _gatekeeper_confirm(self, packet: Packet, body: Value) -> None:
        """A gatekeeper that registers elsewhere than it answers discovery; never where it was expected itself."""
        named = h225(packet, body.at("rasAddress"))
        if not named or packet.expected or (named.address, named.port) == (packet.tuple.src, packet.tuple.sport):
            return
        packet.expect(
            Expect(dst=named.address, dport=named.port, l4proto=UDP, src=packet.inverse.src, helper=self.name)
        )

    def _registration_request(self, packet: Packet, body: Value) -> None:
        self._expect_calls(packet, body.all("callSignalAddress"))
        if translated(packet):
            rewrite_ras(packet, body.all("rasAddress"))
        lifetime = body.at("timeToLive")
        self._lifetime = lifetime.number if lifetime else self.options["default_rrq_ttl"]

    def _expect_calls(self, packet: Packet, addresses: Sequence[Value]) -> None:
        endpoints = [h225(packet, value) for value in addresses]
        named = next((one for one in endpoints if one and one.address == packet.tuple.src and one.port), None)
        if not named:
            return
        wanted = replace(toward(packet, named.port, TCP), helper="Q.931", permanent=True)
        if not self.options["gkrouted_only"]:
            wanted = replace(wanted, src=None)
        if translated(packet):
            first = endpoints[0] if endpoints[0] is not named else None
            announce_call_signalling(packet, self._ports, named, first, wanted)
        else:
            packet.expect(wanted)
            self._ports.signalling[packet.direction] = named.port

    def _registration_confirm(self, packet: Packet, body: Value) -> None:
        # A kernel with HZ 250 takes more than 99 days (2³¹ ticks) for none left; here the value stays as it is.
        if translated(packet):
            rewrite_signalling(packet, self._ports, body.all("callSignalAddress"))
        lifetime = body.at("timeToLive")
        if lifetime:
            self._lifetime = lifetime.number
        if not self._lifetime:
            return
        packet.refresh(self._lifetime)
        # Sought without a source, so an expectation of calls from the gatekeeper alone is not found: as in the kernel.
        flow = packet.tuple
        port = self._ports.signalling[1 - packet.direction]
        found = packet.find(Tuple(_ANY[flow.dst.version], flow.dst, TCP, 0, port))
        if found and found.mine:
            found.refresh(self._lifetime)

    def _unregistration_request(self, packet: Packet, body: Value) -> None:
        if translated(packet):
            rewrite_signalling(packet, self._ports, body.all("callSignalAddress"))
        for expectation in packet.expectations():
            expectation.remove()
        self._ports.signalling = [0, 0]
        packet.refresh(_FAREWELL)

    def _admission_request(self, packet: Packet, body: Value) -> None:
        if not translated(packet):
            return
        own, outside = self._ports.signalling[packet.direction], self._ports.signalling[1 - packet.direction]
        called = h225(packet, body.at("destCallSignalAddress"))
        if called and (called.address, called.port) == (packet.tuple.src, own):
            rewrite(packet, called.place, packet.inverse.dst, outside)
            return
        caller = h225(packet, body.at("srcCallSignalAddress"))
        if caller and caller.address == packet.tuple.src:
            rewrite(packet, caller.place, packet.inverse.dst, caller.port)

    def _admission_confirm(self, packet: Packet, body: Value) -> None:
        value = body.at("destCallSignalAddress")
        named = h225(packet, value)
        if value and named and named.address == packet.tuple.dst:
            if translated(packet):
                rewrite_signalling(packet, self._ports, [value])
        else:
            self._expect_call(packet, value)

    def _location_request(self, packet: Packet, body: Value) -> None:
        _rewrite_sender(packet, body, "replyAddress")

    def _location_confirm(self, packet: Packet, body: Value) -> None:
        self._expect_call(packet, body.at("callSignalAddress"))

    def _expect_call(self, packet: Packet, value: Value | None) -> None:
        """A call to whom the gatekeeper names."""
        named = h225(packet, value)
        if named:
            packet.expect(
                Expect(
                    dst=named.address,
                    dport=named.port,
                    l4proto=TCP,
                    src=packet.inverse.src,
                    helper="Q.931",
                    permanent=True,
                )
            )

    def _info_request_response(self, packet: Packet, body: Value) -> None:
        _rewrite_sender(packet, body, "rasAddress")
        if translated(packet):
            rewrite_signalling(packet, self._ports, body.all("callSignalAddress"))


def _rewrite_sender(packet: Packet, body: Value, name: str) -> None:
    value = body.at(name)
    if value and translated(packet):
        rewrite_ras(packet, [value])
