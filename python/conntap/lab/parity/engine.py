"""The userspace engine as a subject of the parity harness."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from conntap.filter import Filter
from conntap.helpers.assign import PROTOCOLS, Assignment
from conntap.lab.parity.generate.nat import INSIDE
from conntap.lab.parity.generate.sites import SERVER, SHIFTED, SHIFTING, SNAT, VIRTUAL, as_text
from conntap.lab.parity.rules import IPV4_ONLY
from conntap.lab.parity.subject import RIGHT, Answer
from conntap.nat import NatRule
from conntap.tracker import Setup, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conntap import _core

__all__ = ["EngineSubject", "generated_nat"]

#: What the engine says of a packet that its IP layer keeps or drops.
UNSEEN: Final = "UNSEEN"


class EngineSubject:
    """Tracks connections in userspace: `conntap.lab.parity.subject.Subject`.

    Args:
        helpers: helper name → (protocol, destination port) pairs, as the gateway's rules assign them.
        sysctls: settings by path below /proc/sys/net, or by name.
        rules: what the gateway's own rules do with each packet; see `conntap.tracker.Setup`.
        nat: what the gateway translates; interfaces are RIGHT and LEFT.
        zone: of all packets.
        tables: tell the tables after every packet (`Answer.table`): slow.

    Raises:
        UsageError: a setting or helper does not exist.
    """

    def __init__(
        self,
        *,
        helpers: Mapping[str, Iterable[tuple[str, int]]] | None = None,
        sysctls: Mapping[str, int | str] | None = None,
        rules: Callable[[_core.Engine, _core.HelperCall], bool] | None = None,
        nat: Iterable[NatRule] = (),
        zone: int = 0,
        tables: bool = False,
    ) -> None:
        settings = {name.rpartition("/")[2]: int(value) for name, value in (sysctls or {}).items()}
        assigned = tuple(
            Assignment(name, PROTOCOLS[protocol], port, 4 if name in IPV4_ONLY else 0)
            for name, places in (helpers or {}).items()
            for protocol, port in places
        )
        self.tracker = Tracker(Setup(settings=settings, helpers=assigned, nat=tuple(nat), rules=rules))
        self.tracker.engine.forward_packets()
        self._zone = zone
        self._tables = tables

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        """Take one packet."""
        verdict = self.tracker.packet(now_ns, ip, zone=self._zone, came_by=side, goes_by=1 - side)
        return Answer(
            self._events(),
            [] if verdict.dropped else self.tracker.engine.forwarded,
            "" if verdict.state == UNSEEN else verdict.state.lower(),
            self._dump() if self._tables else None,
        )

    def settle(self, now_ns: int) -> list[bytes]:
        """Return what time alone has caused."""
        self.tracker.engine.advance(now_ns)
        return self._events()

    def flush(self, now_ns: int) -> list[bytes]:
        """Delete every entry."""
        self.tracker.engine.advance(now_ns)
        self.tracker.flush()
        return self._events()

    def _events(self) -> list[bytes]:
        return messages(self.tracker.take_events())

    def _dump(self) -> list[bytes]:
        return messages(self.tracker.flows()) + messages(self.tracker.expectations())


def messages(batch: _core.Batch) -> list[bytes]:
    """The messages of a batch."""
    return [message for message, _ in batch.messages()]


def generated_nat() -> list[NatRule]:
    """What a gateway under `generate.nat.ruleset` translates."""
    found: list[NatRule] = []
    for version in (4, 6):
        virtual, shifting, server, outside = (as_text(place[version]) for place in (VIRTUAL, SHIFTING, SERVER, SNAT))
        for (protocol, port), real in SHIFTED.items():
            found.append(_rule(f"l4proto {protocol} and dst {shifting} and dport {port}", server, real))
        found += [_rule(f"dst {address}", server) for address in (virtual, shifting)]
        found += [_rule(f"src {INSIDE[version]}", outside), _rule(f"src {server}", virtual)]
    return found


def _rule(where: str, to: str, port: int | None = None) -> NatRule:
    address = ip_address(to)
    return NatRule(
        source=where.startswith("src"),
        family=address.version,
        where=Filter(where),
        addresses=(address, address),
        ports=None if port is None else (port, port),
        interface=RIGHT,
    )
