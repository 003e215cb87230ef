"""H.323 of translated connections: addresses in messages are rewritten in place, ports are chosen anew.

Only IPv4 is rewritten. Where no port can be had the message goes on as it is and nothing is expected.

Source: kernel net/ipv4/netfilter/nf_nat_h323.c.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final

from conntap.helpers.base import Drop, Nat, Packet, Refused
from conntap.helpers.h323_address import Endpoint, h225
from conntap.helpers.nat import expect_at_free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.helpers.base import Address, Expect
    from conntap.helpers.h323_per import Value

__all__ = [
    "Ports",
    "announce_call_forwarding",
    "announce_call_signalling",
    "announce_control",
    "announce_data",
    "announce_media",
    "moved",
    "rewrite",
    "rewrite_ras",
    "rewrite_signalling",
    "translated",
]

# Names of the rules for the children, as netlink says them.
_CALL_SIGNALLING: Final = "Q.931"
_CALL_FORWARDING: Final = "callforwarding"

# Audio, video, fax and one more: RTP channels of a connection whose ports are remembered.
_CHANNELS: Final = 4
# Gnomemeeting puts the loopback address before the one that matters.
_LOOPBACK: Final = IPv4Network("127.0.0.0/8")


class Ports:
    """Announced ports of one connection, as its two directions say them; 0 where none is known.

    Attributes:
        signalling: of the last call signalling or H.245 address.
        media: of RTP, for up to four channels.
    """

    __slots__ = ("media", "signalling")

    def __init__(self) -> None:
        self.signalling = [0, 0]
        self.media = [[0, 0] for _ in range(_CHANNELS)]


def translated(packet: Packet) -> bool:
    """Must addresses in this connection's messages be rewritten?"""
    return packet.natted and packet.original.src.version == 4


def moved(packet: Packet) -> bool:
    """Does the other side see this packet's sender at another address?"""
    return translated(packet) and packet.tuple.src != packet.inverse.dst


def rewrite(packet: Packet, place: int, address: Address, port: int) -> None:
    """Write an address and port over those at *place*."""
    packet.mangle(place, 6, address.packed + port.to_bytes(2))


def rewrite_signalling(packet: Packet, ports: Ports, addresses: Sequence[Value]) -> None:
    """Rewrite the first address that is one end's call signalling address, as this direction knows it."""
    here, there = ports.signalling[packet.direction], ports.signalling[1 - packet.direction]
    for value in addresses:
        found = h225(packet, value)
        if found is None or found.port != here:
            continue
        if found.address == packet.tuple.src:
            first = h225(packet, addresses[0])
            place = first.place if first and _is_loopback(first) else found.place
            rewrite(packet, place, packet.inverse.dst, there)
            return
        if found.address == packet.tuple.dst:
            rewrite(packet, found.place, packet.inverse.src, there)
            return


def rewrite_ras(packet: Packet, addresses: Sequence[Value]) -> None:
    """Rewrite the first address that is the sender's own."""
    for value in addresses:
        found = h225(packet, value)
        if found and (found.address, found.port) == (packet.tuple.src, packet.tuple.sport):
            rewrite(packet, found.place, packet.inverse.dst, packet.inverse.dport)
            return


def announce_media(packet: Packet, ports: Ports, named: Endpoint, rtp: Expect, rtcp: Expect) -> None:
    """Expect RTP and RTCP at a pair of ports and rewrite the address that names one of them."""
    direction = packet.direction
    channel = next((one for one in ports.media if one[direction] in (rtp.dport, 0)), None)
    if channel is None:
        return
    port = _expect_pair(packet, _follow(packet, rtp), _follow(packet, rtcp))
    if port:
        rewrite(packet, named.place, packet.inverse.dst, port | named.port & 1)
        channel[direction], channel[1 - direction] = rtp.dport, port


def _expect_pair(packet: Packet, rtp: Expect, rtcp: Expect) -> int:
    """The even port at which both could be entered; 0 if there is none."""
    for port in range(rtp.dport, 1 << 16, 2) if rtp.dport else ():
        first = None
        try:
            first = packet.expect(replace(rtp, dport=port))
            packet.expect(replace(rtcp, dport=port + 1))
        except Refused as refused:
            if first:
                first.remove()
            if refused.why != "busy":
                return 0
        else:
            return port
    return 0


def announce_data(packet: Packet, named: Endpoint, wanted: Expect) -> None:
    """Expect T.120 at a free port and rewrite the address that names it."""
    _announce(packet, named, _follow(packet, wanted))


def announce_control(packet: Packet, ports: Ports, named: Endpoint, wanted: Expect) -> None:
    """Expect H.245 at the port of the last time, or a free one, and rewrite the address that names it."""
    _announce_signalling(packet, ports, named, _follow(packet, wanted))


def announce_call_signalling(
    packet: Packet, ports: Ports, named: Endpoint, first: Endpoint | None, wanted: Expect
) -> None:
    """Expect calls at the port of the last time, or a free one, and rewrite the address that names it.

    Args:
        packet: a registration.
        ports: of its connection.
        named: the sender's address.
        first: the list's first address, where that is another one: if it is a loopback address it is rewritten too.
        wanted: the calls.
    """
    nat = Nat(1 - packet.direction, wanted.dport, function=_CALL_SIGNALLING)
    port = _announce_signalling(packet, ports, named, replace(wanted, nat=nat))
    if port and first and _is_loopback(first):
        rewrite(packet, first.place, packet.inverse.dst, port)


def announce_call_forwarding(packet: Packet, named: Endpoint, wanted: Expect) -> None:
    """Expect the forwarded call where the world sees this packet's sender, and rewrite the address that names it."""
    nat = Nat(1 - packet.direction, wanted.dport, named.address, _CALL_FORWARDING)
    _announce(packet, named, replace(wanted, dst=packet.inverse.dst, nat=nat))


def _announce_signalling(packet: Packet, ports: Ports, named: Endpoint, wanted: Expect) -> int:
    here, there = packet.direction, 1 - packet.direction
    if ports.signalling[here] == named.port:
        wanted = replace(wanted, dport=ports.signalling[there])
    port = _announce(packet, named, wanted)
    if port:
        ports.signalling[here], ports.signalling[there] = named.port, port
    return port


def _announce(packet: Packet, named: Endpoint, wanted: Expect) -> int:
    """Expect it at a free port and write that over *named*; the port, or 0."""
    try:
        port = expect_at_free_port(packet, wanted).wanted.dport
    except Drop:
        return 0
    rewrite(packet, named.place, packet.inverse.dst, port)
    return port


def _follow(packet: Packet, wanted: Expect) -> Expect:
    return replace(wanted, nat=Nat(1 - packet.direction, wanted.dport))


def _is_loopback(endpoint: Endpoint) -> bool:
    return isinstance(endpoint.address, IPv4Address) and endpoint.address in _LOOPBACK
