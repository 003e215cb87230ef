"""The userspace engine as a subject of the parity harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from conntap._core import Engine
from conntap.filter import Filter
from conntap.helpers.registry import load
from conntap.helpers.runtime import HelperHost
from conntap.lab.parity.generate.nat import INSIDE
from conntap.lab.parity.generate.sites import SERVER, SHIFTED, SHIFTING, SNAT, VIRTUAL, as_text
from conntap.lab.parity.subject import RIGHT, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conntap import _core
    from conntap.helpers.base import Helper

__all__ = ["EngineSubject", "Translation", "generated_nat"]

PROTOCOLS: Final = {"tcp": 6, "udp": 17}
AF_INET, AF_INET6 = 2, 10


class Translation(NamedTuple):
    """One rule of translation; the first that fits a new connection is taken.

    Attributes:
        source: the source is translated (after routing), else the destination (before).
        family: AF_INET or AF_INET6.
        where: which connections, by their original tuple; None for all.
        interface: RIGHT or LEFT: by which they leave (source) or come (destination); None for both.
        addresses: first and last of the range, packed.
        ports: first and last port of the range; None keeps the port where it is free.
        persistent: one client always gets the same address of the range.
    """

    source: bool
    family: int
    where: Filter | None
    interface: int | None
    addresses: tuple[bytes, bytes]
    ports: tuple[int, int] | None = None
    persistent: bool = False


class EngineSubject:
    """Tracks connections in userspace: `conntap.lab.parity.subject.Subject`.

    Args:
        helpers: helper name → (protocol, destination port) pairs, as the gateway's rules assign them.
        sysctls: settings by path below /proc/sys/net, or by name.
        rules: what the gateway's own rules do with each packet; see `conntap.helpers.runtime.HelperHost`.
        nat: what the gateway translates.
        zone: of all packets.
        tables: tell the tables after every packet (`Answer.table`): slow.
    """

    def __init__(
        self,
        *,
        helpers: Mapping[str, Iterable[tuple[str, int]]] | None = None,
        sysctls: Mapping[str, int | str] | None = None,
        rules: Callable[[_core.Engine, _core.HelperCall], bool] | None = None,
        nat: Iterable[Translation] = (),
        zone: int = 0,
        tables: bool = False,
    ) -> None:
        settings = [(name.rpartition("/")[2], int(value)) for name, value in (sysctls or {}).items()]
        self.engine = Engine(settings, bytes(16))
        assigned = dict(helpers or {})
        known: dict[str, type[Helper]] = {name: load(name) for name in (*assigned, *children(assigned))}
        self._host = HelperHost(self.engine, known, {}, rules=rules)
        self._zone = zone
        self.engine.forward_packets()
        for name, places in assigned.items():
            for protocol, port in places:
                number = list(known).index(name)
                self.engine.assign(number, PROTOCOLS[protocol], port, family_of(known[name]))
        for translation in nat:
            self.engine.add_nat(*translation)
        self._tables = tables

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        """Take one packet."""
        state, _, _, dropped, _ = self.engine.packet(
            now_ns, ip, self._host.ask, zone=self._zone, came_by=side, goes_by=1 - side
        )
        return Answer(
            messages(self.engine.take_events()[0]),
            [] if dropped else [self.engine.forwarded],
            "" if state == "UNSEEN" else state.lower(),
            [*messages(self.engine.flows()), *messages(self.engine.expectations())] if self._tables else None,
        )

    def settle(self, now_ns: int) -> list[bytes]:
        """Return what time alone has caused."""
        self.engine.advance(now_ns)
        return messages(self.engine.take_events()[0])

    def flush(self, now_ns: int) -> list[bytes]:
        """Delete every entry."""
        self.engine.advance(now_ns)
        before = messages(self.engine.take_events()[0])
        self.engine.flush()
        return before + messages(self.engine.take_events()[0])


def messages(batch: _core.Batch) -> list[bytes]:
    """The messages of a batch."""
    return [message for message, _ in batch.messages()]


def family_of(helper: type[Helper]) -> int:
    """AF_INET, AF_INET6, or 0 for both."""
    versions = tuple(helper.families)
    return 0 if len(versions) != 1 else AF_INET if versions == (4,) else AF_INET6


def children(assigned: Iterable[str]) -> list[str]:
    """Helpers that others give to their children."""
    needs = {"Q.931": ("H.245",), "RAS": ("Q.931", "H.245")}
    return [name for parent in assigned for name in needs.get(parent, ()) if name not in set(assigned)]


def generated_nat() -> list[Translation]:
    """What a gateway under `generate.nat.ruleset` translates."""
    found: list[Translation] = []
    for version, family in ((4, AF_INET), (6, AF_INET6)):
        virtual, shifting, server, outside = (place[version] for place in (VIRTUAL, SHIFTING, SERVER, SNAT))
        for (protocol, port), real in SHIFTED.items():
            where = Filter(f"l4proto {protocol} and dst {as_text(shifting)} and dport {port}")
            found.append(Translation(False, family, where, RIGHT, (server, server), (real, real)))
        for address in (virtual, shifting):
            where = Filter(f"dst {as_text(address)}")
            found.append(Translation(False, family, where, RIGHT, (server, server)))
        found.append(Translation(True, family, Filter(f"src {INSIDE[version]}"), RIGHT, (outside, outside)))
        found.append(Translation(True, family, Filter(f"src {as_text(server)}"), RIGHT, (virtual, virtual)))
    return found
