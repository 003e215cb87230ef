"""The proof: every assigned helper on every way, honest sessions and knocks, on the real kernel."""

from __future__ import annotations

import time
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from conntap.audit.assigned import called
from conntap.audit.known import HELPERS
from conntap.lab.parity.generate.build import TCP, UDP
from conntap.lab.prove import broadcasts, own
from conntap.lab.prove.automatic import automatic_of
from conntap.lab.prove.honest import HONEST
from conntap.lab.prove.load import RefusedError, cannot_prove, load, read_back
from conntap.lab.prove.lured import LURED
from conntap.lab.prove.model import Cell, Proof, Row
from conntap.lab.prove.plan import first_address, friends, links, ways, wide_ports
from conntap.lab.prove.scene import Door, Scene, closed_because, words_of
from conntap.lab.prove.stage import Stage
from conntap.lab.prove.trace import Trace
from conntap.rules.assigned import assignments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from conntap.audit.sides import Sides
    from conntap.gateway.state import Gateway
    from conntap.lab.host import Host
    from conntap.lab.prove.model import Kind, Outcome, Way, Who
    from conntap.rules.assigned import Assigned

__all__ = ["PORTS", "prove"]

#: A port of a service and one of nobody's.
PORTS: Final = (22, 45678)
STRANGERS: Final[tuple[Who, ...]] = ("server", "third")


def prove(
    gateway: Gateway,
    sides: Sides,
    *,
    helpers: Collection[str] | None = None,
    ports: Sequence[int] = (),
    change: Callable[[Host], None] | None = None,
) -> Proof:
    """Play all sessions through a gateway's rules.

    Args:
        gateway: its rules and settings.
        sides: which interface leads where.
        helpers: only these, and these also where no rule assigns them; None: all that rules assign.
        ports: at which strangers knock; none: `PORTS`, and one of each wide span that rules speak of.
        change: what is done in the gateway's namespace when the rules are loaded, a fix.

    Raises:
        LabError: *change* failed.
        MissingProgramError: `ip`, `nft` or `iptables-restore` is not installed.
        NamespaceError: the kernel refuses namespaces.
    """
    began = time.monotonic()
    cannot = cannot_prove(gateway)
    rows: list[Row] = []
    with Stage(links(gateway, sides)) as stage:
        try:
            load(stage.gateway, gateway)
        except RefusedError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Proof(refused=f"{error}{hint}", cannot=tuple(cannot), seconds=time.monotonic() - began)
        shown = gateway
        if change is not None:
            change(stage.gateway)
            shown = read_back(stage.gateway, gateway)
        with Trace(stage.gateway, shown) as trace:
            player = Player(stage, trace, gateway, ports or (*PORTS, *wide_ports(gateway.rules)))
            for nfproto in (4, 6):
                for way in ways(gateway.rules, sides, nfproto):
                    rows += player.rows(way, helpers)
                    if way.inside == sides.inside[0]:
                        rows += player.own_rows(way, helpers)
                        rows += player.broadcast_rows(way, way.outside, helpers)
                    if way.outside == sides.outside[0]:
                        rows += player.broadcast_rows(way, way.inside, helpers)
    return Proof(tuple(rows), "", tuple(cannot), time.monotonic() - began)


class Player:
    """Plays sessions on a stage and judges what came through."""

    def __init__(self, stage: Stage, trace: Trace, gateway: Gateway, ports: Sequence[int]) -> None:
        self.stage, self.trace, self.gateway, self.ports = stage, trace, gateway, ports
        self.automatic = automatic_of(gateway)
        self.wide = wide_ports(gateway.rules)
        self.assigned = [one for one in assignments(gateway.rules) if one.reachable]

    def rows(self, way: Way, helpers: Collection[str] | None) -> Iterator[Row]:
        """The rows of one way; of helpers that do not know the IP version there is none."""
        self.stage.set_out(way)
        for helper, l4proto in HONEST:
            known = HELPERS[helper]
            given = [one for one in self.assigned if fits(one, helper, l4proto, way)]
            if way.nfproto not in known.nfprotos or (helpers is not None and helper not in helpers):
                continue
            if not given and helpers is None and (helper, l4proto) not in self.automatic:
                continue
            port = port_of(given, known.port)
            host = way.host if not given else first_address(given[0].saddrs, way.nfproto, way.host)
            yield self.row(replace(way, host=host), helper, l4proto, port, given)

    def own_rows(self, way: Way, helpers: Collection[str] | None) -> Iterator[Row]:
        """The rows of the gateway's own connections, where rules give them a helper."""
        for helper, given, port in self.of_gateway(own.PLAYED, TCP, way, helpers):
            server = first_address(given[0].daddrs, way.nfproto, way.server)
            yield own.rows(self.stage, self.trace, replace(way, server=server), helper, port, self.ports)

    def broadcast_rows(self, way: Way, link: str, helpers: Collection[str] | None) -> Iterator[Row]:
        """The rows of the gateway's own broadcasts into one of its networks, where rules give them a helper."""
        for helper, _, port in self.of_gateway(broadcasts.PLAYED, UDP, way, helpers):
            row = broadcasts.row(self.stage, self.trace, way, link, helper, port)
            if row is not None:
                yield row

    def of_gateway(
        self, played: Iterable[str], l4proto: int, way: Way, helpers: Collection[str] | None
    ) -> Iterator[tuple[str, list[Assigned], int]]:
        """Those of some helpers that rules give to the gateway's own connections: the rules, and at which port."""
        for helper in played:
            given = [one for one in self.assigned if of_gateway(one, helper, l4proto, way)]
            if given and way.nfproto in HELPERS[helper].nfprotos and (helpers is None or helper in helpers):
                yield helper, given, port_of(given, HELPERS[helper].port)

    def row(self, way: Way, helper: str, l4proto: int, port: int, given: list[Assigned]) -> Row:
        """One helper: the first honest server that is reached, then the strangers."""
        cells: list[Cell] = []
        for name in friends(self.gateway.rules, given, way):
            way = replace(way, friend=name)
            cells = [self.honest(way, helper, l4proto, port, session) for session in HONEST[helper, l4proto]]
            if any(one.outcome == "works" for one in cells):
                break
        cells += self.overheard(way, helper, l4proto, port)
        cells += self.lured(way, helper, l4proto, port)
        return Row(helper, l4proto, port, way, tuple(cells))

    def honest(self, way: Way, helper: str, l4proto: int, port: int, session: str) -> Cell:
        """An honest session and its second connection; offered is any port, then one that rules speak of."""
        cell = self.try_honest(way, helper, l4proto, port, session, 0)
        for data in self.wide:
            if cell.outcome == "works":
                break
            again = self.try_honest(way, helper, l4proto, port, session, data)
            cell = again if again.outcome == "works" else cell
        return cell

    def try_honest(self, way: Way, helper: str, l4proto: int, port: int, session: str, data: int) -> Cell:
        scene = self.fresh(way, data)
        doors = HONEST[helper, l4proto][session](scene, scene.friend, port)
        if not doors:
            why = "the session itself does not get through"
            return Cell("friend", session, l4proto, port, "fails", why, kind="session")
        door = doors[0]
        arrived = scene.through(door, scene.friend)
        why = "" if door.expected else "without an expectation"
        outcome: Outcome = "works" if arrived else "fails"
        words = words_of(door.expected)
        return Cell("friend", session, door.l4proto, door.port, outcome, why, words, self.trace.read(), "session")

    def overheard(self, way: Way, helper: str, l4proto: int, port: int) -> Iterator[Cell]:
        """A third party knocks at what an honest session opened."""
        for session, play in HONEST[helper, l4proto].items():
            scene = self.fresh(way)
            for door in play(scene, scene.friend, port) or ():
                if not door.outward:
                    yield self.knock(scene, "third", f"{session} with the honest server", door.port, door, "overheard")
                    break

    def lured(self, way: Way, helper: str, l4proto: int, port: int) -> Iterator[Cell]:
        """The inside host is lured to a server; that one and a third party knock."""
        for lure in LURED.get((helper, l4proto), ()):
            for who in STRANGERS:
                for wanted in self.ports:
                    if wanted < lure.least:
                        continue
                    scene = self.fresh(way)
                    doors = lure.play(scene, scene.server, port, wanted)
                    if doors is None:
                        why = "the inside host's text does not get through to the server"
                        yield Cell(who, lure.name, lure.l4proto, wanted, "closed", why, kind=lure.kind)
                        continue
                    # Where all that is expected leads outside there is nothing to knock at but what was announced.
                    inward = [one for one in doors if not one.outward] or [Door(lure.l4proto, scene.host, wanted)]
                    exact = [one for one in inward if one.port == wanted]
                    yield self.knock(scene, who, lure.name, wanted, (exact or inward)[0], lure.kind)

    def knock(self, scene: Scene, who: Who, session: str, wanted: int, door: Door, kind: Kind) -> Cell:
        """Knock; where it arrives, once more when nothing is expected, to know whether the helper did it."""
        self.trace.read()
        remote = scene.server if who == "server" else scene.third
        arrived = scene.knock(door, remote)
        trace = self.trace.read()
        outcome: Outcome = "closed"
        why = "" if arrived else closed_because(door, remote, trace)
        if arrived:
            self.stage.forget()
            outcome = "anyway" if scene.knock(door, remote) else "open"
            self.trace.read()
        return Cell(who, session, door.l4proto, wanted, outcome, why, words_of(door.expected), trace, kind)

    def fresh(self, way: Way, data: int = 0) -> Scene:
        self.stage.forget()
        self.trace.read()
        return Scene(self.stage, way, data=data)


def fits(one: Assigned, helper: str, l4proto: int, way: Way) -> bool:
    """The assignment is for such connections of inside hosts."""
    return (
        one.helper == helper
        and one.hook in ("prerouting", "forward", "postrouting")
        and one.l4proto in (0, l4proto)
        and one.nfproto in (0, way.nfproto)
        and (one.iifnames is None or any(fnmatchcase(way.inside, name) for name in one.iifnames))
        and called(one)
    )


def of_gateway(one: Assigned, helper: str, l4proto: int, way: Way) -> bool:
    """The assignment is for such connections that the gateway itself begins."""
    return (
        (one.hook, one.helper) == ("output", helper)
        and one.l4proto in (0, l4proto)
        and one.nfproto in (0, way.nfproto)
        and called(one)
    )


def port_of(given: list[Assigned], usual: int) -> int:
    """The helper's usual port where it is assigned there, else the first one."""
    spans = [span for one in given for span in one.ports]
    if not spans or any(span.first <= usual <= span.last for span in spans):
        return usual
    return spans[0].first
