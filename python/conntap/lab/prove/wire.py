"""Hosts that talk through the gateway, packet by packet: what one sends, the other gets as the gateway passed it on."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, GRE, PSH, SYN, TCP, UDP, ip, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.lab.prove.stage import Stage

__all__ = ["End", "Tcp", "Udp", "packed", "parse", "send_gre", "send_syn", "send_udp", "text_of"]

#: Data of one segment where nothing else was announced (Ethernet, IPv4).
MSS: Final = 1460


@dataclass(slots=True)
class End:
    """One side of a conversation: on which wire it is, its address and port, and those it sees of the other."""

    wire: str
    address: bytes
    port: int
    peer: bytes = b""
    peer_port: int = 0
    next: int = 0
    expected: int = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet as it came out."""

    source: bytes
    destination: bytes
    protocol: int
    sport: int
    dport: int
    flags: int
    sequence: int
    payload: bytes


def packed(address: str) -> bytes:
    """An address as bytes."""
    return ipaddress.ip_address(address).packed


def text_of(address: bytes) -> str:
    """An address as text."""
    return str(ipaddress.ip_address(address))


def parse(packet: bytes) -> Arrived | None:
    """A packet of TCP, UDP or GRE (with its call id as destination port); None of another or a later fragment."""
    if packet[0] >> 4 == 4:
        head, protocol = (packet[0] & 15) * 4, packet[9]
        source, destination = packet[12:16], packet[16:20]
        end = int.from_bytes(packet[2:4])
        if int.from_bytes(packet[6:8]) & 0x1FFF:
            return None
    else:
        head, protocol = 40, packet[6]
        source, destination = packet[8:24], packet[24:40]
        end = 40 + int.from_bytes(packet[4:6])
    body = packet[head:end]
    if protocol == TCP and len(body) >= 20:
        sport, dport, sequence = struct.unpack_from("!HHI", body)
        return Arrived(source, destination, TCP, sport, dport, body[13], sequence, body[(body[12] >> 4) * 4 :])
    if protocol == UDP and len(body) >= 8:
        sport, dport = struct.unpack_from("!HH", body)
        return Arrived(source, destination, UDP, sport, dport, 0, 0, body[8:])
    if protocol == GRE and len(body) >= 8:
        return Arrived(source, destination, GRE, 0, int.from_bytes(body[6:8]), 0, 0, body[8:])
    return None


def arrived(stage: Stage, sender: End, receiver: End, packet: bytes, *, knock: bool = False) -> list[Arrived]:
    """Send from one end; what came out on the other's wire for its address."""
    found = (parse(data) for wire, data in stage.send(sender.wire, packet, knock=knock) if wire == receiver.wire)
    return [one for one in found if one is not None and one.destination == receiver.address]


class Tcp:
    """A connection. *mss* is what the server announces and the client keeps to."""

    __slots__ = ("client", "mss", "server", "stage")

    def __init__(self, stage: Stage, client: End, server: End, *, mss: int = MSS) -> None:
        self.stage, self.client, self.server, self.mss = stage, client, server, mss
        client.peer, client.peer_port = server.address, server.port
        client.next, server.next = 1_000_000, 5_000_000

    def open(self, *, knock: bool = False) -> bool:
        """Shake hands; False where a packet of it does not come through."""
        if not self._send(self.client, self.server, SYN, options=mss_option(MSS), knock=knock):
            return False
        if not self._send(self.server, self.client, SYN | ACK, options=mss_option(self.mss)):
            return False
        return bool(self._send(self.client, self.server, ACK))

    def say(self, sender: End, data: bytes) -> bytes | None:
        """Send data in segments of the announced size; what arrived, None where a segment did not."""
        receiver = self.server if sender is self.client else self.client
        size = self.mss if sender is self.client else MSS
        found = b""
        for part in cut(data, size):
            got = self._send(sender, receiver, PSH | ACK, part)
            if not got:
                return None
            found += got[0].payload
            self._send(receiver, sender, ACK)
        return found

    def _send(
        self, sender: End, receiver: End, flags: int, data: bytes = b"", *, options: bytes = b"", knock: bool = False
    ) -> list[Arrived]:
        numbers = (sender.next, sender.expected if flags & ACK else 0)
        segment = tcp(
            sender.address, sender.peer, (sender.port, sender.peer_port), numbers, flags, 65000, data, options=options
        )
        got = arrived(self.stage, sender, receiver, ip(sender.address, sender.peer, TCP, segment), knock=knock)
        got = [one for one in got if one.protocol == TCP and one.dport == receiver.port]
        sender.next += len(data) + bool(flags & SYN)
        for one in got[:1]:
            receiver.peer, receiver.peer_port = one.source, one.sport
            receiver.expected = one.sequence + len(one.payload) + bool(one.flags & SYN)
        return got


class Udp:
    """Datagrams between two ends."""

    __slots__ = ("client", "server", "stage")

    def __init__(self, stage: Stage, client: End, server: End) -> None:
        self.stage, self.client, self.server = stage, client, server
        client.peer, client.peer_port = server.address, server.port

    def say(self, sender: End, data: bytes, *, cut_at: int = 0, knock: bool = False) -> bytes | None:
        """Send a datagram, as two fragments where *cut_at* (a multiple of eight) says so; what arrived, or None."""
        receiver = self.server if sender is self.client else self.client
        datagram = udp(sender.address, sender.peer, (sender.port, sender.peer_port), data)
        got: list[Arrived] = []
        for packet in fragments(sender.address, sender.peer, datagram, cut_at):
            got += arrived(self.stage, sender, receiver, packet, knock=knock)
        for one in got:
            if one.protocol == UDP and one.dport == receiver.port:
                receiver.peer, receiver.peer_port = one.source, one.sport
                return one.payload
        return None


def fragments(source: bytes, destination: bytes, datagram: bytes, cut_at: int) -> Iterator[bytes]:
    """The whole, or two fragments of IPv4."""
    if not cut_at or len(datagram) <= cut_at or len(source) != 4:
        yield ip(source, destination, UDP, datagram)
        return
    yield ip(source, destination, UDP, datagram[:cut_at], ident=77, fragment=0x2000)
    yield ip(source, destination, UDP, datagram[cut_at:], ident=77, fragment=cut_at >> 3)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def mss_option(size: int) -> bytes:
    return struct.pack("!BBH", 2, 4, size)


def send_syn(stage: Stage, sender: End, receiver: End) -> bool:
    """Knock by TCP: one SYN."""
    segment = tcp(
        sender.address, sender.peer, (sender.port, sender.peer_port), (9_000_000, 0), SYN, 65000,
        options=mss_option(MSS),
    )  # fmt: skip
    got = arrived(stage, sender, receiver, ip(sender.address, sender.peer, TCP, segment), knock=True)
    return any(one.protocol == TCP and one.flags & (SYN | ACK) == SYN for one in got)


def send_udp(stage: Stage, sender: End, receiver: End) -> bool:
    """Knock by UDP: one datagram."""
    datagram = udp(sender.address, sender.peer, (sender.port, sender.peer_port), b"knock")
    got = arrived(stage, sender, receiver, ip(sender.address, sender.peer, UDP, datagram), knock=True)
    return any(one.protocol == UDP and one.payload == b"knock" for one in got)


def send_gre(stage: Stage, sender: End, receiver: End, call: int) -> bool:
    """Knock by GRE, as PPTP uses it."""
    from conntap.lab.parity.generate.build import pptp_gre

    packet = ip(sender.address, sender.peer, GRE, pptp_gre(call, b"knock"))
    return any(one.protocol == GRE for one in arrived(stage, sender, receiver, packet, knock=True))
