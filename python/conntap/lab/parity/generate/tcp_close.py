"""How TCP connections end, and what may come after the end on the same addresses and ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, FIN, PSH, RST, SYN, URG
from conntap.lab.parity.generate.tcp import MASK, Tcp

if TYPE_CHECKING:
    import random

    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["AFTER", "ENDS"]


def _first(t: Tcp) -> int:
    """The side that ends: the client a little more often."""
    return t.site.rng.choice((t.client, t.client, t.server))


def _orderly(t: Tcp) -> Script[None]:
    """FIN, ACK, FIN, ACK."""
    yield from t.close(_first(t))


def _three_way(t: Tcp) -> Script[None]:
    """FIN answered by FIN+ACK at once, perhaps with last data."""
    side, rng = _first(t), t.site.rng
    yield from t.emit(side, FIN | ACK | rng.choice((0, PSH)), rng.choice((b"", b"bye")))
    yield from t.emit(1 - side, FIN | ACK, rng.choice((b"", b"bye bye")))
    yield from t.emit(side, ACK)


def _half_close(t: Tcp) -> Script[None]:
    """One side ends, the other goes on for a while."""
    side, rng = _first(t), t.site.rng
    yield from t.emit(side, FIN | ACK)
    yield from t.emit(1 - side, ACK)
    for _ in range(rng.randrange(1, 4)):
        yield from t.emit(1 - side, PSH | ACK, rng.randbytes(200))
        yield from t.emit(side, ACK)
    if rng.random() < 0.7:
        yield from t.emit(1 - side, FIN | ACK)
        yield from t.emit(side, ACK)


def _at_once(t: Tcp) -> Script[None]:
    """Simultaneous close (RFC 9293 figure 13): both FINs cross, both are acknowledged, in either order."""
    rng, sides = t.site.rng, [0, 1]
    rng.shuffle(sides)
    packets = [(side, t.make(side, FIN | ACK)) for side in sides]
    for side, packet in packets:
        yield from t.put(side, packet)
    rng.shuffle(sides)
    for side in sides[: rng.choice((1, 2, 2, 2))]:
        yield from t.emit(side, ACK)


def _fin_again(t: Tcp) -> Script[None]:
    """FINs and their ACKs are lost behind the gateway and come again."""
    side, rng = _first(t), t.site.rng
    fin = t.make(side, FIN | ACK)
    for _ in range(rng.randrange(1, 4)):
        yield from t.put(side, fin)
    yield from t.emit(1 - side, ACK)
    yield from t.put(side, fin, heed=False)
    yield from t.emit(1 - side, ACK)
    answer = t.make(1 - side, FIN | ACK)
    for _ in range(rng.randrange(1, 4)):
        yield from t.put(1 - side, answer)
    for _ in range(rng.randrange(1, 4)):
        yield from t.emit(side, ACK)


def _fin_lost(t: Tcp) -> Script[None]:
    """The FIN is lost before the gateway: only what comes after it is seen."""
    side, rng = _first(t), t.site.rng
    t.make(side, FIN | ACK)
    yield from t.emit(1 - side, ACK, ack=t.peers[side].seq)
    yield from t.emit(side, FIN | ACK, seq=t.peers[side].seq - 1 & MASK)
    yield from t.emit(1 - side, FIN | ACK)
    if rng.random() < 0.7:
        yield from t.emit(side, ACK)


def _early_fin(t: Tcp) -> Script[None]:
    """The FIN overtakes the last data."""
    side = _first(t)
    data, fin = t.make(side, PSH | ACK, b"last words"), t.make(side, FIN | ACK)
    yield from t.put(side, fin)
    yield from t.emit(1 - side, ACK)
    yield from t.put(side, data)
    yield from t.emit(1 - side, ACK)
    yield from t.emit(1 - side, FIN | ACK)
    yield from t.emit(side, ACK)


def _far_fin(t: Tcp) -> Script[None]:
    """FIN or reset outside the window from one side, then from the other."""
    rng = t.site.rng
    sides = [0, 1]
    rng.shuffle(sides)
    for side in sides:
        flags = rng.choice((FIN | ACK, RST, RST | ACK))
        far = t.peers[side].seq + rng.choice((20_000_000, -20_000_000, 0x7FFF_0000))
        yield from t.emit(side, flags, seq=far & MASK, heed=False)
    if rng.random() < 0.5:
        yield from t.close(_first(t))


def _reset(t: Tcp) -> Script[None]:
    """A reset that hits the expected number, in one of its forms, once or twice."""
    side, rng = _any_side(t)
    right = t.peers[1 - side].heard
    number = t.peers[side].seq if right is None or rng.random() < 0.5 else right
    flags = rng.choice((RST, RST, RST | ACK, RST | ACK, RST | ACK | PSH, RST | PSH, RST | ACK | URG))
    t.site.note("rst-with-ack" if flags & ACK else "rst-without-ack")
    data = b"reason" if rng.random() < 0.1 else b""
    for _ in range(rng.choice((1, 1, 2))):
        yield from t.emit(side, flags, data, seq=number)
    if rng.random() < 0.3:
        yield from t.emit(1 - side, rng.choice((ACK, RST, RST | ACK)))


def _any_side(t: Tcp) -> tuple[int, random.Random]:
    """Any side, and the random numbers."""
    rng = t.site.rng
    return rng.choice((0, 1)), rng


def _reset_after_ack(t: Tcp) -> Script[None]:
    """A reset right behind one's own last segment, which the other side has not acknowledged."""
    side, rng = _any_side(t)
    yield from t.emit(side, rng.choice((ACK, PSH | ACK)), rng.choice((b"", b"last")), heed=False)
    yield from t.emit(side, RST, seq=t.peers[side].seq)
    if rng.random() < 0.3:
        yield from t.emit(1 - side, ACK)


def _reset_while_closing(t: Tcp) -> Script[None]:
    """FIN on its way, then a reset instead of the rest."""
    side, rng = _any_side(t)
    yield from t.emit(side, FIN | ACK)
    if rng.random() < 0.5:
        yield from t.emit(1 - side, ACK)
    breaker = rng.choice((0, 1))
    number = rng.choice((t.peers[breaker].seq, 0, t.peers[breaker].seq + 100, rng.getrandbits(32)))
    yield from t.emit(breaker, RST | rng.choice((0, ACK)), seq=number & MASK)
    if rng.random() < 0.3:
        yield from t.emit(1 - side, FIN | ACK)


def _left_open(_: Tcp) -> Script[None]:
    """No end."""
    yield from ()


ENDS: Final[Table[Tcp]] = {
    "orderly-close": (24, _orderly),
    "three-way-close": (8, _three_way),
    "half-close": (5, _half_close),
    "simultaneous-close": (6, _at_once),
    "fin-again": (5, _fin_again),
    "fin-lost": (3, _fin_lost),
    "early-fin": (3, _early_fin),
    "far-fin": (3, _far_fin),
    "rst": (12, _reset),
    "rst-after-ack": (3, _reset_after_ack),
    "rst-while-closing": (4, _reset_while_closing),
    "left-open": (12, _left_open),
}
"""Ways to end."""


def _reused_by(t: Tcp, side: int) -> Script[None]:
    t.restart()
    yield from t.emit(side, SYN)
    rng = t.site.rng
    way = rng.choice(("opens", "opens", "opens", "refused", "nothing", "challenge"))
    if way == "opens":
        yield from t.emit(1 - side, SYN | ACK)
        yield from t.emit(side, ACK)
        if rng.random() < 0.5:
            yield from t.say(side, b"again")
        if rng.random() < 0.5:
            yield from t.close(side)
    if way == "refused":
        yield from t.emit(1 - side, RST | ACK, seq=0)
    if way == "challenge":
        yield from t.emit(1 - side, ACK, ack=rng.getrandbits(32))


def _reused_by_client(t: Tcp) -> Script[None]:
    """The client opens again from the same port."""
    yield from _reused_by(t, t.client)


def _reused_by_server(t: Tcp) -> Script[None]:
    """The former server opens a connection between the same ports."""
    yield from _reused_by(t, t.server)


def _late_packets(t: Tcp) -> Script[None]:
    """FIN, data, ACK, SYN+ACK and resets that come after the end."""
    rng = t.site.rng
    for _ in range(rng.randrange(1, 5)):
        side = rng.choice((0, 1))
        flags, data = rng.choice(
            ((FIN | ACK, b""), (ACK, b""), (PSH | ACK, b"late"), (RST, b""), (SYN | ACK, b""), (RST | ACK, b""))
        )
        back = rng.choice((0, 1, 1, 5))
        yield from t.emit(side, flags, data, seq=t.peers[side].seq - back & MASK, heed=False)


def _syn_in_last_ack(t: Tcp) -> Script[None]:
    """After the end a SYN is ignored, answered by a challenge ACK, and the close ends after all."""
    rng, side = t.site.rng, t.site.rng.choice((0, 1))
    yield from t.emit(side, SYN, seq=rng.getrandbits(32), heed=False)
    t.site.note("challenge-ack")
    yield from t.emit(1 - side, ACK)
    for who in rng.sample((0, 1), 2):
        yield from t.emit(who, ACK)


def _nothing(_: Tcp) -> Script[None]:
    """Silence."""
    yield from ()


AFTER: Final[Table[Tcp]] = {
    "silence": (40, _nothing),
    "reuse-by-client": (14, _reused_by_client),
    "reuse-by-server": (8, _reused_by_server),
    "late-packets": (10, _late_packets),
    "syn-after-close": (5, _syn_in_last_ack),
}
"""What comes after the end."""
