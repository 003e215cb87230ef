"""Two TCP peers (RFC 9293, 7323, 2018) that number, acknowledge and announce windows as real ones do.

A peer believes what arrives: where the gateway rewrites a payload to another length, the far peer counts the new
bytes and acknowledges those. Troubles are made by what is sent besides, by what is kept from arriving, and by lies.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, FIN, PSH, RST, SYN, TCP, ip, tcp
from conntap.lab.parity.generate.talk import BrokenOffError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script

__all__ = ["MASK", "Peer", "Tcp"]

MASK: Final = 0xFFFF_FFFF
_HALF: Final = 0x8000_0000

# Starting numbers: anywhere, or so near the end that a few segments pass 2^32, or the smallest.
_NEAR_THE_END: Final = (MASK, MASK - 1, MASK - 40, MASK - 700, 0x7FFF_FFF0)


class Peer:
    """One end. *seq* is the next number to send, *heard* the next one expected (None before anything came)."""

    __slots__ = ("early", "heard", "isn", "mss", "sack", "scale", "seq", "stamps", "window")

    def __init__(self, site: Site) -> None:
        rng = site.rng
        self.restart(rng.choice(_NEAR_THE_END) if rng.random() < 0.12 else rng.getrandbits(32))
        self.window = rng.choice((500, 8192, 29200, 64000, 65535, 65535, 120_000, 1_000_000))
        self.mss = rng.choice((536, 1460, 1460, 8960))
        self.scale: int | None = rng.choice((None, 0, 2, 7, 7, 7, 14))
        self.sack = rng.random() < 0.7
        self.stamps = rng.random() < 0.5

    def restart(self, isn: int) -> None:
        """Begin anew with this initial number."""
        self.isn = self.seq = isn
        self.heard: int | None = None
        self.early: list[tuple[int, int]] = []


class Tcp:
    """A connection between host *hosts[0]* of the client side and *hosts[1]* of the other side.

    *port* is the server's own port; *public* the one that clients call where the gateway translates it.
    """

    __slots__ = ("_answered", "_reach", "_real", "client", "guarded", "peers", "ports", "server", "site", "tick", "tos")

    def __init__(
        self,
        site: Site,
        port: int | None = None,
        *,
        client: int | None = None,
        hosts: tuple[int, int] = (0, 0),
        source: int | None = None,
        public: int | None = None,
    ) -> None:
        self.site = site
        self.client = site.client if client is None else client
        self.server = 1 - self.client
        self.peers = (Peer(site), Peer(site))
        server_port = site.service() if port is None else port
        client_port = site.port() if source is None else source
        own = (client_port, server_port)
        known = (client_port, server_port if public is None else public)
        by_side = (own, known) if self.client == 0 else (own[::-1], known[::-1])
        host = hosts if self.client == 0 else hosts[::-1]
        self._real = tuple((site.real(side, host[side]), by_side[0][side]) for side in (0, 1))
        self._reach = tuple((site.reach(side, host[side]), by_side[1][side]) for side in (0, 1))
        self.ports = own
        self.tick = site.rng.getrandbits(31)
        self.tos = 0
        self._answered = False
        self.guarded = bool(site.nat)

    def end(self, side: int) -> tuple[bytes, int]:
        """The address and port that *side* has itself."""
        return self._real[side]

    def reached(self, side: int) -> tuple[bytes, int]:
        """The address and port by which the other side calls *side*."""
        return self._reach[side]

    def _scaled(self) -> bool:
        return self.peers[0].scale is not None and self.peers[1].scale is not None

    def field(self, side: int, *, syn: bool = False) -> int:
        """What *side* writes into the window field."""
        peer = self.peers[side]
        shift = min(peer.scale or 0, 14) if self._scaled() and not syn else 0
        return min(peer.window >> shift, 0xFFFF)

    def offers(self, side: int) -> bytes:
        """The options of a SYN of *side*."""
        peer = self.peers[side]
        options = struct.pack("!BBH", 2, 4, peer.mss)
        if peer.sack:
            options += b"\4\2" + (b"" if peer.stamps else b"\1\1")
        if peer.stamps:
            options += (b"" if peer.sack else b"\1\1") + self.stamp()
        if peer.scale is not None:
            options += bytes((1, 3, 3, peer.scale))
        return options

    def stamp(self) -> bytes:
        """A time stamp option, ten bytes."""
        self.tick = self.tick + 1 & MASK
        return struct.pack("!BBII", 8, 10, self.tick, self.tick - 1)

    def usual(self, side: int) -> bytes:
        """The options of any later segment of *side*: a time stamp, and what arrived early."""
        ours, theirs = self.peers[side], self.peers[1 - side]
        options = b"\1\1" + self.stamp() if ours.stamps and theirs.stamps else b""
        if ours.early and ours.sack and theirs.sack:
            blocks = ours.early[: 3 if options else 4]
            options += struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(blocks))
            options += b"".join(struct.pack("!II", *block) for block in blocks)
        return options

    def make(
        self,
        side: int,
        flags: int,
        data: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int | None = None,
        options: bytes | None = None,
        doff: int | None = None,
        urgent: int = 0,
        spoil: int = 0,
        cut: int | None = None,
        ip_options: bytes = b"",
        ttl: int = 64,
    ) -> bytes:
        """A packet of *side*. Without *seq* it is the next one in line and counted by the peer; with it, it is not.

        *cut* leaves only so many bytes of the segment.
        """
        peer = self.peers[side]
        if seq is None:
            seq = peer.seq
            peer.seq = seq + len(data) + bool(flags & SYN) + bool(flags & FIN) & MASK
        if ack is None:
            ack = (peer.heard or 0) if flags & ACK else 0
        if window is None:
            window = self.field(side, syn=bool(flags & SYN))
        if options is None:
            options = self.offers(side) if flags & SYN else b"" if flags & RST else self.usual(side)
        (source, sport), (destination, dport) = self._real[side], self._reach[1 - side]
        segment = tcp(
            source,
            destination,
            (sport, dport),
            (seq, ack),
            flags,
            window,
            data,
            options=options,
            doff=doff,
            urgent=urgent,
            spoil=spoil,
        )
        if cut is not None:
            segment = segment[:cut]
        ident = self.site.rng.getrandbits(16)
        if len(source) == 16:
            ip_options = b""
        return ip(source, destination, TCP, segment, ttl=ttl, ident=ident, tos=self.tos, options=ip_options)

    def put(self, side: int, packet: bytes, *, heed: bool = True) -> Script[bytes | None]:
        """Send a packet; the other peer takes in what arrives if *heed*. Returns the payload that arrived."""
        forwarded = yield from self.site.send(side, packet)
        if self.guarded:
            self._guard(side, packet, forwarded)
        return self._hear(1 - side, forwarded) if heed else None

    def emit(
        self,
        side: int,
        flags: int,
        data: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int | None = None,
        options: bytes | None = None,
        heed: bool = True,
    ) -> Script[bytes | None]:
        """`make` and `put` in one."""
        packet = self.make(side, flags, data, seq=seq, ack=ack, window=window, options=options)
        return (yield from self.put(side, packet, heed=heed))

    def say(self, side: int, data: bytes) -> Script[bytes | None]:
        """Data of *side* that the other peer acknowledges. Returns what arrived."""
        arrived = yield from self.emit(side, PSH | ACK, data)
        yield from self.emit(1 - side, ACK)
        return arrived

    def open(self) -> Script[None]:
        """The three-way handshake."""
        yield from self.emit(self.client, SYN)
        yield from self.emit(self.server, SYN | ACK)
        yield from self.emit(self.client, ACK)

    def close(self, side: int) -> Script[None]:
        """*side* ends, then the other; each acknowledges."""
        yield from self.emit(side, FIN | ACK)
        yield from self.emit(1 - side, ACK)
        yield from self.emit(1 - side, FIN | ACK)
        yield from self.emit(side, ACK)

    def restart(self) -> None:
        """Both peers begin anew, with higher numbers as RFC 6191 wants of a reused port, or any."""
        rng = self.site.rng
        for peer in self.peers:
            far = rng.getrandbits(32) if rng.random() < 0.4 else peer.seq + rng.randrange(1, 500_000)
            peer.restart(far & MASK)

    def _guard(self, side: int, packet: bytes, forwarded: Sequence[bytes]) -> None:
        """Break off when the answering side has perhaps opened a flow of its own with the ports of this one.

        That is so when the gateway has forgotten the connection (a reset before any answer, a port used again) and
        what the side sends comes out astray. Anything that the other side sends then gets a port picked at random.
        """
        at = 40 if packet[0] >> 4 == 6 else (packet[0] & 15) * 4
        flags = packet[at + 13] & (SYN | ACK | RST | FIN) if len(packet) > at + 13 else 0
        if side != self.site.answerer:
            if flags == SYN:
                self._answered = False
        elif not self.site.astray(side, forwarded):
            self._answered |= not flags & RST
        elif flags == SYN or (flags == ACK and not self._answered):
            raise BrokenOffError

    def _addressed(self, side: int, packet: bytes) -> bool:
        """Whether *packet* comes from where *side* knows its peer, and goes to *side*."""
        start, size = (12, 4) if packet[0] >> 4 == 4 else (8, 16)
        ends = self._reach[1 - side][0] + self._real[side][0]
        return packet[start : start + 2 * size] == ends

    def _hear(self, side: int, packets: Sequence[bytes]) -> bytes | None:
        """*side* takes in what arrived; returns the payload of the first packet that is a whole segment of TCP."""
        payload: bytes | None = None
        for packet in packets:
            if not self._addressed(side, packet):
                continue
            if packet[0] >> 4 == 4:
                at = (packet[0] & 15) * 4
                if packet[9] != TCP or (packet[6] & 0x3F) << 8 | packet[7]:
                    continue
            else:
                at = 40
                if packet[6] != TCP:
                    continue
            body = packet[at + (packet[at + 12] >> 4) * 4 :]
            self._take(side, int.from_bytes(packet[at + 4 : at + 8]), packet[at + 13], len(body))
            payload = body if payload is None else payload
        return payload

    def _take(self, side: int, seq: int, flags: int, length: int) -> None:
        """Count what a segment carries into the numbers that *side* has heard."""
        if flags & RST:
            return
        peer = self.peers[side]
        end = seq + length + bool(flags & SYN) + bool(flags & FIN) & MASK
        if flags & SYN or peer.heard is None:
            peer.heard, peer.early = end, []
            return
        if seq - peer.heard & MASK and seq - peer.heard & MASK < _HALF:
            if end != seq and (seq, end) not in peer.early:
                peer.early.append((seq, end))
            return
        _advance(peer, end)
        while ready := [block for block in peer.early if block[0] - 1 - peer.heard & MASK >= _HALF]:
            for block in ready:
                peer.early.remove(block)
                _advance(peer, block[1])


def _advance(peer: Peer, end: int) -> None:
    if peer.heard is not None and end - peer.heard & MASK < _HALF:
        peer.heard = end
