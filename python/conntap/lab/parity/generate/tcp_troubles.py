"""What happens to TCP connections on their way: lost, late, doubled, overlapping, lying and hostile segments."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from conntap.lab.parity.generate.tcp import MASK, Tcp

if TYPE_CHECKING:
    import random

    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["TROUBLES", "chat"]


def _bytes(rng: random.Random) -> bytes:
    """Some data: mostly little, sometimes a full segment."""
    return rng.randbytes(rng.choice((1, 10, 10, 100, 100, rng.randrange(1, 1461), 1460)))


def _side(t: Tcp) -> int:
    return t.site.rng.choice((0, 1))


def chat(t: Tcp) -> Script[None]:
    """Data of one side, several segments perhaps, acknowledged."""
    rng, side = t.site.rng, _side(t)
    for _ in range(rng.choice((1, 1, 2, 3))):
        yield from t.emit(side, ACK | rng.choice((0, PSH)), _bytes(rng))
    answer = _bytes(rng) if rng.random() < 0.3 else b""
    yield from t.emit(1 - side, ACK, answer)


def _lost_before(t: Tcp) -> Script[None]:
    """A segment is lost before the gateway: later ones arrive, are acknowledged selectively, the lost one follows."""
    rng, side = t.site.rng, _side(t)
    lost, at = _bytes(rng), t.peers[side].seq
    t.make(side, ACK, lost)
    for _ in range(rng.randrange(1, 4)):
        yield from t.emit(side, ACK, _bytes(rng))
        yield from t.emit(1 - side, ACK)
    yield from t.emit(side, PSH | ACK, lost, seq=at)
    yield from t.emit(1 - side, ACK)


def _lost_behind(t: Tcp) -> Script[None]:
    """A segment or its ACK is lost behind the gateway and comes again."""
    rng, side = t.site.rng, _side(t)
    data, at = _bytes(rng), t.peers[side].seq
    first = t.make(side, PSH | ACK, data)
    heard = rng.random() < 0.5
    yield from t.put(side, first, heed=heard)
    if heard:
        yield from t.emit(1 - side, ACK, heed=False)
    for _ in range(rng.randrange(1, 4)):
        if rng.random() < 0.5:
            yield from t.put(side, first)
        else:
            yield from t.emit(side, PSH | ACK, data, seq=at)
    yield from t.emit(1 - side, ACK)


def _reordered(t: Tcp) -> Script[None]:
    """Segments overtake each other."""
    rng, side = t.site.rng, _side(t)
    packets = [t.make(side, ACK, _bytes(rng)) for _ in range(rng.randrange(2, 6))]
    rng.shuffle(packets)
    for packet in packets:
        yield from t.put(side, packet)
        if rng.random() < 0.5:
            yield from t.emit(1 - side, ACK)
    yield from t.emit(1 - side, ACK)


def _crossed(t: Tcp) -> Script[None]:
    """Both sides' segments pass each other: the ACK in each is older than the data met on the way."""
    rng = t.site.rng
    packets = [(side, t.make(side, PSH | ACK, _bytes(rng))) for side in (0, 1, 0, 1)]
    rng.shuffle(packets)
    for side, packet in packets:
        yield from t.put(side, packet)
    for side in (0, 1):
        yield from t.emit(side, ACK)


def _duplicated(t: Tcp) -> Script[None]:
    """The net doubles packets: data, ACKs, or both."""
    rng, side = t.site.rng, _side(t)
    packet = t.make(side, PSH | ACK, _bytes(rng))
    for _ in range(rng.randrange(2, 4)):
        yield from t.put(side, packet)
    answer = t.make(1 - side, ACK)
    for _ in range(rng.randrange(1, 6)):  # four alike reach the limit of unanswered repeats
        yield from t.put(1 - side, answer)


def _overlapping(t: Tcp) -> Script[None]:
    """Retransmissions with other borders: from further back, shorter, longer than what was sent."""
    rng, side = t.site.rng, _side(t)
    start = t.peers[side].seq
    yield from t.emit(side, ACK, rng.randbytes(200))
    if rng.random() < 0.5:
        yield from t.emit(1 - side, ACK)
    back, size = rng.choice(((0, 100), (0, 300), (100, 200), (50, 60), (199, 2), (-100, 400)))
    yield from t.emit(side, PSH | ACK, rng.randbytes(size), seq=start + back & MASK)
    t.peers[side].seq = start + max(200, back + size) & MASK
    yield from t.emit(1 - side, ACK)


def _zero_window(t: Tcp) -> Script[None]:
    """The receiver closes its window; the sender probes; it opens again."""
    rng, side = t.site.rng, _side(t)
    other = 1 - side
    yield from t.emit(side, PSH | ACK, _bytes(rng))
    yield from t.emit(other, ACK, window=0)
    for _ in range(rng.randrange(1, 4)):
        probe = rng.choice((-1, 0))
        data = b"p" if probe == 0 or rng.random() < 0.3 else b""
        yield from t.emit(side, ACK, data, seq=t.peers[side].seq + probe & MASK, heed=False)
        yield from t.emit(other, ACK, window=0)
    if rng.random() < 0.7:
        yield from t.emit(other, ACK)
        yield from t.emit(side, PSH | ACK, b"p" + _bytes(rng))
        yield from t.emit(other, ACK)


def _window_moves(t: Tcp) -> Script[None]:
    """The window shrinks, jumps or is announced again and again."""
    rng, side = t.site.rng, _side(t)
    for _ in range(rng.randrange(1, 4)):
        yield from t.emit(side, ACK, window=rng.choice((1, 2, 100, 0xFFFF, rng.getrandbits(16))))
    yield from t.emit(1 - side, PSH | ACK, rng.randbytes(600))
    yield from t.emit(side, ACK)


def _keepalive(t: Tcp) -> Script[None]:
    """RFC 1122 section 4.2.3.6: an old number, no data or one stray byte; answered."""
    rng, side = t.site.rng, _side(t)
    for _ in range(rng.randrange(1, 5)):
        yield from t.emit(side, ACK, rng.choice((b"", b"\0")), seq=t.peers[side].seq - 1 & MASK, heed=False)
        if rng.random() < 0.8:
            yield from t.emit(1 - side, ACK)


def _beyond_window(t: Tcp) -> Script[None]:
    """Data past what the receiver allows: by little, by much, by half the number space."""
    rng, side = t.site.rng, _side(t)
    ours, theirs = t.peers[side], t.peers[1 - side]
    far = rng.choice((theirs.window, theirs.window - 10, theirs.window + 66_000, 20_000_000, 0x7FFF_FFFF, 0x8000_0001))
    yield from t.emit(side, PSH | ACK, _bytes(rng), seq=ours.seq + far & MASK, heed=False)
    if rng.random() < 0.5:
        yield from t.emit(1 - side, ACK)


def _overshoot(t: Tcp) -> Script[None]:
    """A small window is announced; a segment begins within it and ends after, or begins just behind it."""
    rng, side = t.site.rng, _side(t)
    yield from t.emit(1 - side, ACK, window=rng.choice((10, 100)))
    at = t.peers[side].seq
    for step in rng.sample((0, 1, 90, 110, 150, 1400, 2900), rng.randrange(1, 4)):
        yield from t.emit(side, ACK, rng.randbytes(1400), seq=at + step & MASK, heed=False)
    yield from t.emit(1 - side, ACK)


def _ack_of_unseen(t: Tcp) -> Script[None]:
    """An acknowledgement of what was never sent."""
    rng, side = t.site.rng, _side(t)
    far = rng.choice((1, 2, 1000, 300_000, 0x7FFF_FFFF))
    ack = t.peers[1 - side].seq + far & MASK
    yield from t.emit(side, ACK, rng.choice((b"", b"data")), seq=t.peers[side].seq, ack=ack, heed=False)


def _old_ack(t: Tcp) -> Script[None]:
    """An acknowledgement long overtaken."""
    rng, side = t.site.rng, _side(t)
    back = rng.choice((1, 100, 65_999, 66_001, 70_000, 2_000_000, 0x7FFF_FFF0))
    data = rng.choice((b"", b"data"))
    yield from t.emit(side, ACK, data, ack=(t.peers[side].heard or 0) - back & MASK)


def _old_data(t: Tcp) -> Script[None]:
    """Data long overtaken."""
    rng, side = t.site.rng, _side(t)
    back = rng.choice((10, 1000, 66_000, t.peers[1 - side].window + 1, 2_000_000, 0x7FFF_FFF0))
    yield from t.emit(side, PSH | ACK, _bytes(rng), seq=t.peers[side].seq - back & MASK, heed=False)


def _bad_sum(t: Tcp) -> Script[None]:
    """A segment with a wrong checksum; the right one follows or not."""
    rng, side = t.site.rng, _side(t)
    at, data = t.peers[side].seq, _bytes(rng)
    flags = rng.choice((ACK, ACK, PSH | ACK, FIN | ACK, RST, SYN))
    packet = t.make(side, flags, data, seq=at, spoil=rng.choice((1, 0x8000, 0x1234)))
    yield from t.put(side, packet, heed=False)
    if rng.random() < 0.5:
        yield from t.emit(side, PSH | ACK, data)


_ODD: Final = (SYN | FIN, SYN | RST, 0, FIN | PSH | URG, FIN, PSH, URG, URG | PSH, SYN | FIN | ACK, FIN | RST, 0xFF)


def _odd_flags(t: Tcp) -> Script[None]:
    """Sets of flags that no peer sends."""
    rng, side = t.site.rng, _side(t)
    for _ in range(rng.randrange(1, 5)):
        flags = rng.choice(_ODD) if rng.random() < 0.7 else rng.getrandbits(8) & ~(RST | SYN)
        packet = t.make(side, flags, rng.choice((b"", b"x")), seq=t.peers[side].seq, urgent=rng.choice((0, 0, 1)))
        yield from t.put(side, packet, heed=False)


def _decorated(t: Tcp) -> Script[None]:
    """Data with urgent pointer, ECN bits, IP options, or another time to live."""
    rng, side = t.site.rng, _side(t)
    flags = ACK | rng.choice((URG, URG | PSH, ECE, CWR, ECE | CWR))
    options = rng.choice((b"", b"\1\1\1\1", b"\1" * 39 + b"\0"))  # IPv4 no-operation options
    packet = t.make(
        side, flags, _bytes(rng), urgent=rng.choice((0, 1, 9999)), ip_options=options, ttl=rng.choice((64, 255))
    )
    yield from t.put(side, packet)
    yield from t.emit(1 - side, ACK | rng.choice((0, ECE)))


def _syn_inside(t: Tcp) -> Script[None]:
    """A SYN within an open connection: answered by a challenge ACK (RFC 5961), a reset, a new handshake or not."""
    rng, side = t.site.rng, _side(t)
    ours, theirs = t.peers[side], t.peers[1 - side]
    number = rng.choice((ours.isn, ours.seq, ours.seq + 100, rng.getrandbits(32))) & MASK
    yield from t.emit(side, SYN | rng.choice((0, 0, 0, ECE | CWR)), seq=number, heed=False)
    answer = rng.choice(("challenge", "challenge", "resync", "reset", "none"))
    if answer == "challenge":
        t.site.note("challenge-ack")
        yield from t.emit(1 - side, ACK)
        if rng.random() < 0.5:
            yield from t.emit(side, RST, seq=theirs.heard or 0)
    if answer == "reset":
        yield from t.emit(1 - side, RST | ACK, seq=0, ack=number + 1 & MASK)
    if answer == "resync":  # the far end had lost the connection and takes the SYN for a new one
        t.site.note("resync")
        ours.restart(number)
        ours.seq = number + 1 & MASK
        theirs.restart(rng.getrandbits(32))
        theirs.heard = ours.seq + rng.choice((0, 0, 0, 1)) & MASK
        yield from t.emit(1 - side, SYN | ACK)
        yield from t.emit(side, ACK)


def _syn_ack_inside(t: Tcp) -> Script[None]:
    """A SYN+ACK within an open connection: the old one again, or one out of nowhere, from either side."""
    rng, side = t.site.rng, _side(t)
    number = t.peers[side].isn if rng.random() < 0.6 else rng.getrandbits(32)
    yield from t.emit(side, SYN | ACK, seq=number, heed=False)
    yield from t.emit(1 - side, ACK)


def _inexact_reset(t: Tcp) -> Script[None]:
    """Resets that do not hit the expected number: within the window, below what was acknowledged, far above, zero."""
    rng, side = t.site.rng, _side(t)
    for _ in range(rng.randrange(1, 3)):
        right = t.peers[1 - side].heard or 0
        where = rng.choice(("rst-in-window", "rst-in-window", "rst-below-ack", "rst-above-window", "rst-zero"))
        number = {
            "rst-in-window": right + rng.choice((1, 10, 400)),
            "rst-below-ack": right - rng.choice((1, 10, 70_000)),
            "rst-above-window": right + 30_000_000,
            "rst-zero": 0,
        }[where]
        t.site.note(where)
        flags = RST | rng.choice((0, ACK))
        yield from t.emit(side, flags, seq=number & MASK, ack=None if rng.random() < 0.7 else 0, heed=False)
    if rng.random() < 0.7:
        yield from t.emit(1 - side, ACK)
        yield from t.emit(side, PSH | ACK, b"still here")


def _header_lies(t: Tcp) -> Script[None]:
    """A data offset too small or past the packet."""
    rng, side = t.site.rng, _side(t)
    doff = rng.choice((0, 1, 4, 6, 15))
    packet = t.make(side, PSH | ACK, rng.choice((b"", b"abc", b"abcdefgh")), seq=t.peers[side].seq, doff=doff)
    yield from t.put(side, packet, heed=False)


def _cut_header(t: Tcp) -> Script[None]:
    """Fewer bytes than a TCP header."""
    rng, side = t.site.rng, _side(t)
    cut = rng.choice((0, 1, 3, 4, 7, 8, 13, 14, 19))
    yield from t.put(side, t.make(side, ACK, seq=t.peers[side].seq, cut=cut), heed=False)


def _odd_sack(t: Tcp) -> Script[None]:
    """Selective acknowledgements that are doubled (RFC 2883), turned round, above all data, cut off or too many."""
    rng, side = t.site.rng, _side(t)
    heard = t.peers[side].heard or 0

    def block(left: int, right: int) -> bytes:
        return struct.pack("!II", heard + left & MASK, heard + right & MASK)

    options = rng.choice(
        (
            b"\1\1\5\x0a" + block(-20, -10),
            b"\1\1\5\x0a" + block(0, 10),
            b"\1\1\5\x0a" + block(10, 1),
            b"\1\1\5\x0a" + block(5000, 6000),
            b"\1\1\5\x0a" + block(300_000, 400_000),
            b"\1\1\5\x12" + block(1, 2) + block(3, 4),
            b"\1\1\5\x22" + b"".join(block(n * 10, n * 10 + 5) for n in range(4)),
            b"\1\1\5\x09" + block(1, 9),
            b"\1\1\5\x1a" + block(1, 9),
            b"\1\1\1\5",
            b"\5\2\1\1",
            b"\1\1" + t.stamp() + b"\1\1\5\x0a" + block(1, 9),
            b"\5\x0a" + block(1, 9) + b"\0\5",
        )
    )
    yield from t.emit(side, ACK, options=options)
    yield from t.emit(1 - side, PSH | ACK, b"go on")


TROUBLES: Final[Table[Tcp]] = {
    "data": (24, chat),
    "loss": (6, _lost_before),
    "retransmission": (6, _lost_behind),
    "reordering": (6, _reordered),
    "crossing": (3, _crossed),
    "duplicates": (5, _duplicated),
    "overlap": (5, _overlapping),
    "zero-window": (4, _zero_window),
    "window-moves": (3, _window_moves),
    "keepalive": (4, _keepalive),
    "beyond-window": (4, _beyond_window),
    "overshoot": (3, _overshoot),
    "ack-of-unseen": (4, _ack_of_unseen),
    "old-ack": (3, _old_ack),
    "old-data": (3, _old_data),
    "bad-checksum": (4, _bad_sum),
    "odd-flags": (4, _odd_flags),
    "decorated": (3, _decorated),
    "syn-inside": (5, _syn_inside),
    "syn-ack-inside": (3, _syn_ack_inside),
    "inexact-rst": (6, _inexact_reset),
    "header-lies": (3, _header_lies),
    "cut-header": (3, _cut_header),
    "odd-sack": (3, _odd_sack),
}
"""What may happen between opening and end, any number of times."""
