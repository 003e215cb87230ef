"""The hosts of one way, fresh ports for each session, and what a session left to knock at."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import GRE, TCP, UDP
from conntap.lab.prove.wire import End, Tcp, Udp, packed, send_gre, send_syn, send_udp, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap import _core
    from conntap.lab.prove.model import Step, Way
    from conntap.lab.prove.stage import Stage

__all__ = ["Door", "Scene", "closed_because", "words_of"]

#: Data of a segment that the luring server announces: the least that hosts take without asking (RFC 9293, 3.7.1).
LURED_MSS: Final = 536
FIRST_PORT: Final = 40001


@dataclass(frozen=True, slots=True)
class Door:
    """Where a knock goes: as the kernel expects it, or, where it expects nothing, as the host announced it.

    Attributes:
        l4proto, address, port: the destination; of GRE the port is the call id.
        sport: the source port that is expected; 0 any.
        expected: the expectation; None where the kernel has none.
        outward: the inside host goes through it.
    """

    l4proto: int
    address: bytes
    port: int
    sport: int = 0
    expected: _core.Expectation | None = None
    outward: bool = False


class Scene:
    """One way of a stage, with its hosts."""

    __slots__ = ("_data", "_ports", "friend", "host", "server", "stage", "third", "way")

    def __init__(self, stage: Stage, way: Way, *, data: int = 0) -> None:
        self.stage, self.way = stage, way
        self.host, self.friend, self.server, self.third = (
            packed(one) for one in (way.host, way.friend, way.server, way.third)
        )
        self._data = data
        self._ports: Iterator[int] = iter(range(FIRST_PORT, 65000))

    def port(self) -> int:
        """A port of the inside host that has not been used."""
        return next(self._ports)

    def data(self) -> int:
        """The port that the inside host offers: the one that was asked for, else any."""
        return self._data or self.port()

    def far_data(self, usual: int) -> int:
        """The port that the server offers, likewise."""
        return self._data or usual

    def tcp(self, remote: bytes, port: int, *, mss: int = 1460) -> Tcp:
        """A connection of the inside host, not yet open."""
        inside = End(self.way.inside, self.host, self.port())
        return Tcp(self.stage, inside, End(self.way.outside, remote, port), mss=mss)

    def udp(self, remote: bytes, port: int, *, source: int = 0) -> Udp:
        """Datagrams of the inside host."""
        inside = End(self.way.inside, self.host, source or self.port())
        return Udp(self.stage, inside, End(self.way.outside, remote, port))

    def doors(self, remote: bytes, *announced: Door) -> list[Door]:
        """All that is expected now; where that is nothing, what was announced."""
        found: list[Door] = []
        for one in self.stage.expectations():
            to, mask = one.tuple, one.mask
            if to.dst is None or to.l4proto is None:
                continue
            address = ipaddress.ip_address(str(to.dst)).packed
            exact = bool(mask.sport)
            sport = (to.sport or 0) if exact and to.l4proto in (TCP, UDP) else 0
            found.append(Door(to.l4proto, address, to.dport or 0, sport, one, address == remote))
        return found or list(announced)

    def through(self, door: Door, remote: bytes) -> bool:
        """Let the two talk as the session wants it; whether the first packet arrives."""
        if door.outward:
            sender = End(self.way.inside, self.host, self.port(), door.address, door.port)
            receiver = End(self.way.outside, remote, door.port)
        else:
            sender = End(self.way.outside, remote, door.sport or 2020, door.address, door.port)
            receiver = End(self.way.inside, self.host, door.port)
        return self._knock(door, sender, receiver)

    def knock(self, door: Door, remote: bytes) -> bool:
        """A stranger's knock from outside; whether it arrives at the inside host."""
        sender = End(self.way.outside, remote, door.sport or 3333, door.address, door.port)
        return self._knock(door, sender, End(self.way.inside, self.host, door.port))

    def _knock(self, door: Door, sender: End, receiver: End) -> bool:
        if door.l4proto == GRE:
            return send_gre(self.stage, sender, receiver, door.port)
        return (send_syn if door.l4proto == TCP else send_udp)(self.stage, sender, receiver)


def closed_because(door: Door, remote: bytes, trace: tuple[Step, ...]) -> str:
    """Why a knock did not arrive, in words."""
    if door.expected is None:
        return "no expectation was made"
    if ipaddress.ip_address(remote) not in callers(door.expected):
        return "it is not expected from there"
    return "the rules dropped it" if trace and trace[-1].verdict == "drop" else ""


def callers(one: _core.Expectation) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """From where an expectation lets somebody come."""
    source = ipaddress.ip_address(str(one.tuple.src))
    bits = int(ipaddress.ip_address(str(one.mask.src))).bit_count()
    return ipaddress.ip_network((source, bits), strict=False)


def words_of(one: _core.Expectation | None) -> str:
    """An expectation in one line: from where to where."""
    if one is None:
        return ""
    source = "anybody"
    if not one.any_source:
        network = callers(one)
        source = str(network if network.num_addresses > 1 else network.network_address)
    name = {TCP: "tcp", UDP: "udp", GRE: "gre"}.get(one.tuple.l4proto or 0, str(one.tuple.l4proto))
    return f"{one.helper}: {source} to {one.tuple.dst} {name}/{one.tuple.dport}"


def address_text(address: bytes) -> str:
    """An address as it stands in a URI."""
    text = text_of(address)
    return text if len(address) == 4 else f"[{text}]"
