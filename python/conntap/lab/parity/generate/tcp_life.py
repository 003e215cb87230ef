"""Whole TCP conversations: ordinary lives with troubles in them, and storms of segments without any plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import MASK, Tcp
from conntap.lab.parity.generate.tcp_close import AFTER, ENDS
from conntap.lab.parity.generate.tcp_open import BROKEN, OPENINGS
from conntap.lab.parity.generate.tcp_troubles import TROUBLES

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script

__all__ = ["TCP_TROUBLES", "life", "storm"]

_ALSO: Final = (
    "challenge-ack",
    "resync",
    "rst-above-window",
    "rst-below-ack",
    "rst-in-window",
    "rst-with-ack",
    "rst-without-ack",
    "rst-zero",
    "sequence-wrap",
)

TCP_TROUBLES: Final = frozenset({*OPENINGS, *BROKEN, *TROUBLES, *ENDS, *AFTER, *_ALSO})
"""Every name that `life` may note."""


def life(site: Site) -> Script[None]:
    """One connection: an opening, some troubles, an end, perhaps something after it."""
    rng, t = site.rng, Tcp(site)
    t.tos = rng.choice((0, 0, 0, 2))
    if rng.random() < 0.1:
        name, script = pick(rng, BROKEN)
        site.note(name)
        yield from script(t)
        return
    name, script = pick(rng, OPENINGS)
    site.note(name)
    yield from script(t)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        name, script = pick(rng, TROUBLES)
        site.note(name)
        yield from script(t)
    for table in (ENDS, AFTER):
        name, script = pick(rng, table)
        site.note(name)
        yield from script(t)
    if any(peer.seq < peer.isn for peer in t.peers):
        site.note("sequence-wrap")


# One set of flags for each class of the tracker's table, with harmless decorations.
_CLASSES: Final = (SYN, SYN, SYN | ACK, SYN | ACK, FIN | ACK, FIN | ACK, ACK, ACK, ACK, PSH | ACK, RST, RST | ACK, 0)


def storm(site: Site) -> Script[None]:
    """Segments of all classes from both sides, their numbers near or far from what would be right.

    Peers count what they send and hear, so that some of it makes sense; all states of the tracker are met.
    """
    rng, t = site.rng, Tcp(site)
    site.note("storm")
    if rng.random() < 0.7:
        yield from pick(rng, OPENINGS)[1](t)
    for _ in range(rng.randrange(4, 22)):
        side = rng.choice((0, 1))
        ours, theirs = t.peers[side], t.peers[1 - side]
        flags = rng.choice(_CLASSES)
        if rng.random() < 0.15:
            flags |= rng.choice((PSH, URG, ECE, CWR, ECE | CWR))
        seq: int | None = None
        if rng.random() < 0.45:
            base = rng.choice((ours.seq, ours.seq, ours.isn, theirs.heard or 0, 0))
            seq = base + rng.choice((0, -1, 1, 10, -10, 500, ours.window, -theirs.window, 66_000, -70_000)) & MASK
        ack: int | None = None
        if rng.random() < 0.35:
            base = rng.choice((ours.heard or 0, theirs.seq, theirs.isn, 0))
            ack = base + rng.choice((0, -1, 1, 10, -10, 500, -66_010, 100_000)) & MASK
        window = rng.choice((None, None, None, 0, 1, 0xFFFF))
        data = rng.randbytes(rng.choice((0, 0, 1, 30, 1400)))
        yield from t.emit(side, flags, data, seq=seq, ack=ack, window=window, heed=rng.random() < 0.8)
