"""SCTP (RFC 9260): whole associations, and chunks in and out of order with right and wrong tags and bundles."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import SCTP, chunk, ip, sctp
from conntap.lab.parity.generate.talk import BrokenOffError, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["SCTP_TROUBLES", "association", "sctp_storm"]

DATA: Final = 0
INIT: Final = 1
INIT_ACK: Final = 2
SACK: Final = 3
HEARTBEAT: Final = 4
HEARTBEAT_ACK: Final = 5
ABORT: Final = 6
SHUTDOWN: Final = 7
SHUTDOWN_ACK: Final = 8
ERROR: Final = 9
COOKIE_ECHO: Final = 10
COOKIE_ACK: Final = 11
SHUTDOWN_COMPLETE: Final = 14


class Association:
    """Two ends; *tags[side]* is the tag that packets to *side* must carry."""

    __slots__ = ("_answered", "client", "ports", "server", "site", "tags", "tsn")

    def __init__(self, site: Site) -> None:
        self.site = site
        self._answered = False
        self.client = site.client
        self.server = 1 - site.client
        ports = site.port(), site.service()
        self.ports = ports if self.client == 0 else ports[::-1]
        self.tags = [site.rng.getrandbits(32) or 1, site.rng.getrandbits(32) or 1]
        self.tsn = [site.rng.getrandbits(32), site.rng.getrandbits(32)]

    def piece(self, side: int, kind: int) -> bytes:
        """A chunk of *kind* as *side* would send it."""
        rng = self.site.rng
        if kind in {INIT, INIT_ACK}:
            body = struct.pack("!IIHHI", self.tags[side], 65536, 10, 10, self.tsn[side])
            if kind == INIT_ACK:
                body += struct.pack("!HH", 7, 12) + rng.randbytes(8)
            return chunk(kind, 0, body)
        if kind == DATA:
            self.tsn[side] = self.tsn[side] + 1 & 0xFFFF_FFFF
            data = rng.randbytes(rng.randrange(1, 40))
            return chunk(DATA, 3, struct.pack("!IHHI", self.tsn[side], 0, 0, 0) + data)
        if kind == SACK:
            return chunk(SACK, 0, struct.pack("!IIHH", self.tsn[1 - side], 65536, 0, 0))
        if kind == SHUTDOWN:
            return chunk(SHUTDOWN, 0, struct.pack("!I", self.tsn[1 - side]))
        if kind in {HEARTBEAT, HEARTBEAT_ACK}:
            return chunk(kind, 0, struct.pack("!HH", 1, 12) + bytes(8))
        if kind in {ABORT, SHUTDOWN_COMPLETE}:
            return chunk(kind, 0)
        if kind == ERROR:
            return chunk(ERROR, 0, struct.pack("!HHI", 3, 8, 0))
        return chunk(kind, 0, rng.randbytes(12) if kind == COOKIE_ECHO else b"")

    def tag(self, side: int, kinds: Sequence[int]) -> int:
        """The tag that a packet of *side* with these chunks carries."""
        return 0 if INIT in kinds else self.tags[1 - side]

    def raw(self, side: int, tag: int, chunks: bytes, *, spoil: int = 0, cut: int | None = None) -> Script[None]:
        """Send these very chunks."""
        source, destination = self.site.between(side)
        ports = (self.ports[side], self.ports[1 - side])
        body = sctp(ports, tag, chunks, spoil=spoil)[:cut]
        ident = self.site.rng.getrandbits(16)
        forwarded = yield from self.site.send(side, ip(source, destination, SCTP, body, ident=ident))
        if side == self.site.answerer:
            if not self.site.astray(side, forwarded):
                self._answered = True
            elif not self._answered:  # nothing was there to answer: it may have opened a flow of its own
                raise BrokenOffError

    def emit(self, side: int, *kinds: int, tag: int | None = None, spoil: int = 0) -> Script[None]:
        """Send chunks of these kinds in one packet."""
        chunks = b"".join(self.piece(side, kind) for kind in kinds)
        yield from self.raw(side, self.tag(side, kinds) if tag is None else tag, chunks, spoil=spoil)


def _usual(a: Association) -> Script[None]:
    """INIT, INIT ACK, COOKIE ECHO, COOKIE ACK."""
    rng = a.site.rng
    for _ in range(rng.choice((1, 1, 1, 2))):
        yield from a.emit(a.client, INIT)
    for _ in range(rng.choice((1, 1, 1, 2))):
        yield from a.emit(a.server, INIT_ACK)
    yield from a.emit(a.client, COOKIE_ECHO, *rng.choice(((), (), (DATA,), (DATA, DATA))))
    yield from a.emit(a.server, COOKIE_ACK, *rng.choice(((), (), (SACK,), (SACK, DATA))))


def _both_at_once(a: Association) -> Script[None]:
    """Both ends begin (RFC 9260 section 5.2.1)."""
    for kind in (INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK):
        yield from a.emit(a.client, kind)
        yield from a.emit(a.server, kind)


def _heartbeat_first(a: Association) -> Script[None]:
    """A second path of a known association: HEARTBEATs come first."""
    rng = a.site.rng
    for _ in range(rng.choice((1, 1, 2))):
        yield from a.emit(a.client, HEARTBEAT)
    if rng.random() < 0.3:
        yield from a.emit(a.server, HEARTBEAT)
    if rng.random() < 0.8:
        yield from a.emit(a.server, HEARTBEAT_ACK)


def _refused(a: Association) -> Script[None]:
    """INIT answered by ABORT, with or without the T bit; then again."""
    rng = a.site.rng
    yield from a.emit(a.client, INIT)
    yield from a.raw(a.server, a.tags[a.client], chunk(ABORT, rng.choice((0, 1))))
    if rng.random() < 0.6:
        yield from _usual(a)


def _out_of_nowhere(a: Association) -> Script[None]:
    """First packets that cannot begin an association; then a right beginning."""
    rng = a.site.rng
    for _ in range(rng.randrange(1, 4)):
        kind = rng.choice((DATA, SACK, ABORT, SHUTDOWN_COMPLETE, COOKIE_ACK, SHUTDOWN_COMPLETE, DATA))
        yield from a.emit(a.client if a.site.nat else rng.choice((0, 1)), kind)
    if rng.random() < 0.4:
        yield from a.emit(a.client, INIT, tag=rng.getrandbits(32) or 1)
    yield from _usual(a)


def _middle(a: Association) -> Script[None]:
    """Later chunks come first, as after a gateway's restart."""
    rng = a.site.rng
    kind = rng.choice((INIT_ACK, COOKIE_ECHO, SHUTDOWN, SHUTDOWN_ACK, ERROR, HEARTBEAT_ACK))
    yield from a.emit(a.client, kind)
    if not a.site.nat:
        yield from a.emit(a.server, rng.choice((COOKIE_ACK, DATA, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, HEARTBEAT)))
    if rng.random() < 0.5:
        yield from _usual(a)


_BEGIN: Final[Table[Association]] = {
    "sctp-handshake": (30, _usual),
    "sctp-both-at-once": (4, _both_at_once),
    "sctp-heartbeat-first": (8, _heartbeat_first),
    "sctp-refused": (5, _refused),
    "sctp-wrong-first": (5, _out_of_nowhere),
    "sctp-middle": (5, _middle),
}


def _data(a: Association) -> Script[None]:
    """Data and SACKs both ways, bundled."""
    rng = a.site.rng
    for _ in range(rng.randrange(1, 4)):
        side = rng.choice((0, 1))
        yield from a.emit(side, *([DATA] * rng.randrange(1, 4)))
        yield from a.emit(1 - side, SACK, *([DATA] * rng.randrange(0, 2)))


def _heartbeats(a: Association) -> Script[None]:
    """HEARTBEATs, answered or not, once with a wrong tag."""
    rng = a.site.rng
    for _ in range(rng.randrange(1, 4)):
        side = rng.choice((0, 1))
        yield from a.emit(side, HEARTBEAT, tag=rng.choice((None, None, rng.getrandbits(32))))
        if rng.random() < 0.7:
            yield from a.emit(1 - side, HEARTBEAT_ACK, tag=rng.choice((None, None, None, rng.getrandbits(32))))


def _wrong_tags(a: Association) -> Script[None]:
    """Each kind of chunk with zero, one's own, or any tag."""
    rng = a.site.rng
    for _ in range(rng.randrange(1, 5)):
        side = rng.choice((0, 1))
        kind = rng.choice((DATA, SACK, INIT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, COOKIE_ECHO, COOKIE_ACK, ERROR, INIT))
        yield from a.emit(side, kind, tag=rng.choice((0, a.tags[side], rng.getrandbits(32))))


def _bad_sum(a: Association) -> Script[None]:
    """A wrong CRC; the right one follows."""
    side = a.site.rng.choice((0, 1))
    kind = a.site.rng.choice((DATA, SHUTDOWN, ABORT, HEARTBEAT))
    yield from a.emit(side, kind, spoil=a.site.rng.choice((1, 0x8000_0000, 0xFFFF_FFFF)))
    yield from a.emit(side, DATA)


def _bad_bundles(a: Association) -> Script[None]:
    """Chunks that must be alone or first are not."""
    bundles = (
        (INIT, DATA),
        (DATA, INIT),
        (INIT_ACK, SACK),
        (SHUTDOWN_COMPLETE, DATA),
        (DATA, COOKIE_ECHO),
        (SACK, COOKIE_ACK),
        (SACK, SHUTDOWN),
        (ERROR, ABORT),
        (HEARTBEAT, DATA, SACK),
        (SHUTDOWN, SHUTDOWN_ACK),
        (COOKIE_ECHO, COOKIE_ACK),
    )
    for kinds in a.site.rng.sample(bundles, 2):
        yield from a.emit(a.site.rng.choice((0, 1)), *kinds)


def _bad_chunks(a: Association) -> Script[None]:
    """No chunk, no length, lengths past the packet, unknown kinds, packets cut short."""
    rng = a.site.rng
    for _ in range(rng.randrange(1, 4)):
        side = rng.choice((0, 1))
        tag = a.tags[1 - side]
        sack = a.piece(side, SACK)
        chunks, cut = rng.choice(
            (
                (b"", None),
                (b"\3\0", None),
                (b"\3\0\0", None),
                (chunk(SACK, 0, bytes(12), length=0), None),
                (chunk(SACK, 0, bytes(12), length=3), None),
                (chunk(SACK, 0, bytes(12), length=400), None),
                (chunk(SACK, 0, bytes(12), length=13), None),
                (sack + b"\0\3\0\0", None),
                (sack + chunk(64, 0, b"unknown!"), None),
                (chunk(13, 0, b"cwr!") + sack, None),
                (chunk(192, 0, b"fwd-tsn."), None),
                (chunk(130, 0, bytes(4)), None),
                (chunk(255, 255, b""), None),
                (chunk(INIT, 0, bytes(4)), None),
                (chunk(INIT_ACK, 0, b""), None),
                (sack, 11),
                (sack, 8),
                (sack, 3),
                (sack, 20),
            )
        )
        yield from a.raw(side, tag, chunks, cut=cut)


def _restart(a: Association) -> Script[None]:
    """One end lost its state and begins again within the association (RFC 9260 section 5.2.2)."""
    rng = a.site.rng
    side = a.client if a.site.nat else rng.choice((0, 1))
    a.tags[side] = rng.getrandbits(32) or 1
    yield from a.emit(side, INIT)
    a.tags[1 - side] = rng.getrandbits(32) or 1
    yield from a.emit(1 - side, INIT_ACK)
    if rng.random() < 0.8:
        yield from a.emit(side, COOKIE_ECHO)
        yield from a.emit(1 - side, COOKIE_ACK)


_DURING: Final[Table[Association]] = {
    "sctp-data": (14, _data),
    "sctp-heartbeats": (7, _heartbeats),
    "sctp-wrong-tags": (7, _wrong_tags),
    "sctp-bad-checksum": (4, _bad_sum),
    "sctp-bad-bundles": (5, _bad_bundles),
    "sctp-bad-chunks": (6, _bad_chunks),
    "sctp-restart": (4, _restart),
}


def _shutdown(a: Association) -> Script[None]:
    """SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE, each perhaps twice."""
    rng = a.site.rng
    side = rng.choice((0, 1))
    for who, kind in ((side, SHUTDOWN), (1 - side, SHUTDOWN_ACK), (side, SHUTDOWN_COMPLETE)):
        for _ in range(rng.choice((1, 1, 1, 2))):
            yield from a.emit(who, kind)


def _both_shut_down(a: Association) -> Script[None]:
    """Both ends shut down at once."""
    for kind in (SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE):
        for side in a.site.rng.sample((0, 1), 2):
            yield from a.emit(side, kind)


def _abort(a: Association) -> Script[None]:
    """ABORT with the right or the T-bit's tag, or a wrong one; perhaps a new association on the same ports."""
    rng = a.site.rng
    side = rng.choice((0, 1))
    flag = rng.choice((0, 1))
    tag = rng.choice((a.tags[1 - side], a.tags[side], rng.getrandbits(32)))
    yield from a.raw(side, tag, chunk(ABORT, flag))
    if rng.random() < 0.4:
        yield from a.emit(1 - side, DATA)
    if rng.random() < 0.4:
        a.site.note("sctp-reuse")
        a.tags = [rng.getrandbits(32) or 1, rng.getrandbits(32) or 1]
        yield from _usual(a)


def _complete_with_t(a: Association) -> Script[None]:
    """SHUTDOWN COMPLETE with the T bit, from an end that knows nothing any more."""
    rng = a.site.rng
    side = rng.choice((0, 1))
    yield from a.emit(side, SHUTDOWN)
    yield from a.emit(1 - side, SHUTDOWN_ACK)
    tag = rng.choice((a.tags[side], a.tags[1 - side], rng.getrandbits(32)))
    yield from a.raw(side, tag, chunk(SHUTDOWN_COMPLETE, rng.choice((1, 1, 0))))


def _left_open(_: Association) -> Script[None]:
    """No end."""
    yield from ()


_END: Final[Table[Association]] = {
    "sctp-shutdown": (14, _shutdown),
    "sctp-both-shut-down": (3, _both_shut_down),
    "sctp-abort": (8, _abort),
    "sctp-complete-t-bit": (4, _complete_with_t),
    "sctp-left-open": (8, _left_open),
}

SCTP_TROUBLES: Final = frozenset({*_BEGIN, *_DURING, *_END, "sctp-reuse"})


def association(site: Site) -> Script[None]:
    """One association: a beginning, some troubles, an end."""
    a, rng = Association(site), site.rng
    for table in (_BEGIN, *([_DURING] * rng.choice((0, 1, 1, 2))), _END):
        name, script = pick(rng, table)
        site.note(name)
        yield from script(a)


_ALL: Final = (
    *(INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK, HEARTBEAT, HEARTBEAT_ACK) * 2,
    *(SHUTDOWN, SHUTDOWN_ACK, SHUTDOWN_COMPLETE, ABORT, ERROR, DATA, SACK),
)


def sctp_storm(site: Site) -> Script[None]:
    """Chunks of all kinds from both sides, mostly with the right tag, without any plan."""
    a, rng = Association(site), site.rng
    site.note("sctp-storm")
    if site.nat or rng.random() < 0.4:
        yield from a.emit(a.client, rng.choice((INIT, INIT, HEARTBEAT)))
    for _ in range(rng.randrange(3, 18)):
        side = rng.choice((0, 1))
        kinds = rng.choices(_ALL, k=rng.choice((1, 1, 1, 1, 2, 3)))
        wrong = rng.choice((0, a.tags[side], rng.getrandbits(32))) if rng.random() < 0.12 else None
        yield from a.emit(side, *kinds, tag=wrong)
        if rng.random() < 0.05:
            a.tags[rng.choice((0, 1))] = rng.getrandbits(32) or 1
