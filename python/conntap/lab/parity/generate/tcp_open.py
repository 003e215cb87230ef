"""How TCP connections begin: rightly, twice, from both ends at once, in the middle, or not at all.

After an opening both peers know each other's numbers, as far as anything arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from conntap.lab.parity.generate.tcp import MASK, Tcp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["BROKEN", "OPENINGS", "knock"]


def knock(t: Tcp) -> Script[None]:
    """SYN, answered, acknowledged."""
    yield from t.open()


def _syn_again(t: Tcp) -> Script[None]:
    """The SYN is lost behind the gateway once or more, the answer and the last ACK perhaps too."""
    rng, peer = t.site.rng, t.peers[t.client]
    syn = t.make(t.client, SYN)
    for _ in range(rng.randrange(1, 4)):
        yield from t.put(t.client, syn, heed=False)
    yield from t.put(t.client, syn)
    if rng.random() < 0.3:  # the client gives up and begins with another number
        peer.restart(rng.getrandbits(32))
        yield from t.emit(t.client, SYN)
    answer = t.make(t.server, SYN | ACK)
    for _ in range(rng.randrange(0, 3)):
        yield from t.put(t.server, answer, heed=False)
    yield from t.put(t.server, answer)
    for _ in range(rng.randrange(1, 3)):
        yield from t.emit(t.client, ACK)


def _answer_lost_before(t: Tcp) -> Script[None]:
    """The first answer never reaches the gateway; the client asks again."""
    yield from t.emit(t.client, SYN)
    t.make(t.server, SYN | ACK)
    yield from t.emit(t.client, SYN, seq=t.peers[t.client].isn)
    yield from t.emit(t.server, SYN | ACK, seq=t.peers[t.server].isn)
    yield from t.emit(t.client, ACK)


def _syn_with_data(t: Tcp) -> Script[None]:
    """TCP Fast Open (RFC 7413): data on the SYN, acknowledged or not, perhaps on the answer too."""
    rng = t.site.rng
    data = rng.randbytes(rng.randrange(1, 300))
    yield from t.emit(t.client, SYN, data)
    heard = t.peers[t.server].heard or 0
    taken = rng.random() < 0.6
    ack = heard if taken else heard - len(data)
    yield from t.emit(t.server, SYN | ACK, rng.randbytes(rng.choice((0, 0, 20))), ack=ack & MASK)
    if not taken:
        yield from t.emit(t.client, ACK | PSH, data, seq=t.peers[t.client].isn + 1 & MASK)
    else:
        yield from t.emit(t.client, ACK)
    yield from t.emit(t.server, ACK)


def _both_at_once(t: Tcp) -> Script[None]:
    """Simultaneous open (RFC 9293 figure 7): two SYNs cross, then two answers or two plain ACKs."""
    rng, (client, server) = t.site.rng, (t.client, t.server)
    first, second = t.make(client, SYN), t.make(server, SYN)
    yield from t.put(client, first)
    yield from t.put(server, second)
    with_syn = SYN | ACK if rng.random() < 0.7 else ACK
    sides = [client, server]
    rng.shuffle(sides)
    for side in sides[: rng.choice((1, 2, 2, 2))]:
        number = t.peers[side].isn if with_syn & SYN else t.peers[side].seq
        yield from t.emit(side, with_syn, seq=number)
    rng.shuffle(sides)
    for side in sides:
        yield from t.emit(side, ACK)


def _half_open(t: Tcp) -> Script[None]:
    """The server still knows an old connection: it acknowledges something else, the client resets, asks again."""
    rng = t.site.rng
    yield from t.emit(t.client, SYN)
    old = rng.getrandbits(32)
    yield from t.emit(t.server, ACK, seq=rng.getrandbits(32), ack=old, heed=False)
    if rng.random() < 0.8:
        yield from t.emit(t.client, RST, seq=old if rng.random() < 0.7 else rng.getrandbits(32))
    if rng.random() < 0.7:
        yield from t.emit(t.client, SYN, seq=t.peers[t.client].isn)
        yield from t.emit(t.server, SYN | ACK)
        yield from t.emit(t.client, ACK)


def _wrong_answer(t: Tcp) -> Script[None]:
    """A SYN+ACK that acknowledges another number; the client resets with that number; then the right one."""
    rng = t.site.rng
    yield from t.emit(t.client, SYN)
    wrong = (t.peers[t.server].heard or 0) + rng.choice((-1, 1, 1000, 0x4000_0000)) & MASK
    yield from t.emit(t.server, SYN | ACK, seq=rng.getrandbits(32), ack=wrong, heed=False)
    if rng.random() < 0.6:
        yield from t.emit(t.client, RST, seq=wrong)
    yield from t.emit(t.client, SYN, seq=t.peers[t.client].isn)
    yield from t.emit(t.server, SYN | ACK)
    yield from t.emit(t.client, ACK)


def _odd_syn(t: Tcp) -> Script[None]:
    """SYNs that carry ECN bits (RFC 3168), PSH or URG, and answers with them."""
    rng = t.site.rng
    more = rng.choice((ECE | CWR, ECE, PSH, URG, URG | PSH | ECE | CWR))
    yield from t.put(t.client, t.make(t.client, SYN | more, urgent=rng.choice((0, 1))))
    yield from t.emit(t.server, SYN | ACK | rng.choice((0, ECE, PSH)))
    yield from t.emit(t.client, ACK)


# Options that a careless reader stumbles over. Lengths are multiples of four.
_BAD_OPTIONS: Final = (
    b"\3\3\x0f\0",  # window scale above 14
    b"\3\3\xff\0",
    b"\3\2\1\1",  # too short to hold a shift
    b"\3\4\7\0",  # too long
    b"\3\0\1\1",  # length 0
    b"\3\1\1\1",  # length 1
    b"\1\1\1\3",  # ends after the kind
    b"\1\1\3\3",  # ends before the shift
    b"\4\3\0\0",  # SACK permitted, wrong length
    b"\4\2\4\2",
    b"\0\3\3\7",  # after the end of the list
    b"\xfd\4\1\1\3\3\5\1",  # unknown, then a scale
    b"\xfe\xff\1\1",  # longer than the header
    b"\1" * 40,
    b"\3\3\2\1\3\3\x09\1",  # two scales
    b"\x13\x12" + bytes(16) + b"\4\2\3\3\6\1\1\1"[:6],  # MD5 signature (RFC 2385), then SACK and scale
)


def _odd_options(t: Tcp) -> Script[None]:
    """Options that are cut off, lie about their length, come twice or after the end."""
    rng = t.site.rng
    yield from t.emit(t.client, SYN, options=rng.choice(_BAD_OPTIONS))
    options = rng.choice(_BAD_OPTIONS) if rng.random() < 0.5 else None
    yield from t.emit(t.server, SYN | ACK, options=options)
    yield from t.emit(t.client, ACK)


def _middle(t: Tcp) -> Script[None]:
    """The gateway meets the connection in its middle, from either side."""
    rng = t.site.rng
    for peer, other in ((t.peers[0], t.peers[1]), (t.peers[1], t.peers[0])):
        other.heard = peer.seq
    first = rng.choice((t.client, t.site.caller()))
    yield from t.emit(first, ACK, rng.randbytes(rng.choice((0, 1, 100))))
    if rng.random() < 0.8:
        yield from t.emit(1 - first, ACK, rng.randbytes(rng.choice((0, 0, 50))))


def _one_way(t: Tcp) -> Script[None]:
    """Answers go another way: the gateway sees only what the client sends."""
    yield from t.emit(t.client, SYN)
    t.make(t.server, SYN | ACK)
    t.peers[t.client].heard = t.peers[t.server].seq
    yield from t.emit(t.client, ACK)
    yield from t.emit(t.client, PSH | ACK, t.site.rng.randbytes(40))


def _other_way(t: Tcp) -> Script[None]:
    """The gateway sees only what the server sends, then both."""
    if t.site.nat == "snat":
        yield from t.open()
        return
    t.make(t.client, SYN)
    t.peers[t.server].heard = t.peers[t.client].seq
    yield from t.emit(t.server, SYN | ACK)
    yield from t.emit(t.server, PSH | ACK, t.site.rng.randbytes(40))
    yield from t.emit(t.client, ACK)


OPENINGS: Final[Table[Tcp]] = {
    "handshake": (40, knock),
    "syn-again": (6, _syn_again),
    "syn-ack-lost": (3, _answer_lost_before),
    "syn-with-data": (4, _syn_with_data),
    "simultaneous-open": (5, _both_at_once),
    "half-open": (3, _half_open),
    "wrong-syn-ack": (3, _wrong_answer),
    "odd-syn": (3, _odd_syn),
    "odd-options": (4, _odd_options),
    "mid-stream": (6, _middle),
    "one-way": (2, _one_way),
    "other-way": (2, _other_way),
}
"""Ways to begin that may be followed by anything."""


def _refused(t: Tcp) -> Script[None]:
    """The SYN is answered by a reset of some kind; perhaps once more."""
    rng = t.site.rng
    for _ in range(rng.choice((1, 1, 2, 3))):
        yield from t.emit(t.client, SYN, seq=t.peers[t.client].isn)
        right = t.peers[t.client].isn + 1 & MASK
        kind = rng.choice(("usual", "usual", "bare", "wrong", "numbered", "from-client", "both"))
        if kind in {"usual", "both"}:
            yield from t.emit(t.server, RST | ACK, seq=0, ack=right)
        if kind == "bare":
            yield from t.emit(t.server, RST, seq=0)
        if kind == "wrong":
            yield from t.emit(t.server, RST | ACK, seq=0, ack=rng.getrandbits(32))
        if kind == "numbered":
            yield from t.emit(t.server, RST | ACK, seq=rng.getrandbits(32), ack=right)
        if kind in {"from-client", "both"}:
            yield from t.emit(t.client, RST, seq=right)
        if rng.random() < 0.4:  # another attempt, another number
            t.peers[t.client].restart(rng.getrandbits(32))


def _wrong_first(t: Tcp) -> Script[None]:
    """A first packet that cannot begin a connection, then perhaps one that can."""
    rng = t.site.rng
    for _ in range(rng.randrange(1, 4)):
        side = rng.choice((t.client, t.server))
        flags = rng.choice(
            (SYN | ACK, FIN | ACK, RST, RST | ACK, FIN, 0, SYN | FIN, SYN | RST, PSH, URG, FIN | PSH | URG)
        )
        number = rng.getrandbits(32)
        yield from t.emit(side, flags, seq=number, ack=rng.getrandbits(32), heed=False)
    if rng.random() < 0.6:
        yield from t.open()


def _reset_first(t: Tcp) -> Script[None]:
    """The very first packet is a reset, with or without ACK; the connection opens after it."""
    rng = t.site.rng
    flags = rng.choice((RST, RST | ACK))
    yield from t.emit(rng.choice((0, 1)), flags, seq=rng.choice((0, rng.getrandbits(32))), heed=False)
    yield from t.open()


BROKEN: Final[Table[Tcp]] = {
    "refused": (5, _refused),
    "wrong-first-packet": (4, _wrong_first),
    "rst-first": (2, _reset_first),
}
"""Beginnings that are mostly ends."""
