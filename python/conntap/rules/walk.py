"""One packet's ways through the base chains of a hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from conntap.rules.facts import TRACKING, Facts, World
from conntap.rules.fits import fits_ports, holds, row_fits
from conntap.rules.index import places
from conntap.rules.model import Assign, Change, Condition, Notrack, Translate, Unread, Verdict, VerdictMap

if TYPE_CHECKING:
    from conntap.rules.index import Indexed
    from conntap.rules.model import Chain
    from conntap.rules.packet import Asked

__all__ = ["Event", "Note", "TooManyWaysError", "Walk"]

#: Ports by what rules have changed on the way there.
Ways = dict[World, int]
Key = tuple[str, str, str, str]

#: nft allows 16 jumps within each other; this is for texts by hand and for iptables.
MAX_DEPTH: Final = 100
#: Rules looked at for one question.
MAX_RULES: Final = 500_000
#: So many different marks are kept apart on the ways through one chain; then they count as not known.
MAX_WORLDS: Final = 16


class TooManyWaysError(Exception):
    """The rule set has more ways through it than can be followed."""


@dataclass(frozen=True, slots=True)
class Event:
    """A rule (`at` of its chain; None: the policy) that may have decided for some ports."""

    kind: Literal["accept", "drop", "unsure"]
    ports: int
    chain: Chain
    at: int | None
    facts: Facts
    why: str = ""


Note = Callable[["Indexed", int, int, bool, bool], None]


class Walk:
    """Follows one question.

    Args:
        find: a chain by its key, laid out; None: there is none.
        asked: the question.
        note: told of every rule that assigns a helper or says `notrack`: the chain, the rule's place in it, for which
            ports it may be met, whether connections are looked up by then, and whether the packet is tracked at all.

    Attributes:
        events: what decided, in order.
    """

    def __init__(self, find: Callable[[Key], Indexed | None], asked: Asked, note: Note | None = None) -> None:
        self.events: list[Event] = []
        self._note = note
        self._find = find
        self._asked = asked
        self._looked = 0
        self._facts: dict[tuple[World, bool, bool], Facts] = {}
        self._early = False
        # Of the base chain that is followed:
        self._accepted: Ways = {}
        self._dropped = 0
        self._done: dict[tuple[Key, World, int], Ways] = {}

    def through(self, chains: list[Chain], ways: Ways) -> tuple[Ways, int]:
        """Follow all base chains: (what passes them all, what one of them drops)."""
        dropped = 0
        for chain in chains:
            untracked = self._asked.ct_state in ("established", "invalid", "untracked")
            if chain.kind == "nat" and untracked:  # only the first packet of a connection is shown to them
                continue
            ways, out = self._base(chain, ways)
            dropped |= out
        return ways, dropped

    def _base(self, chain: Chain, ways: Ways) -> tuple[Ways, int]:
        self._accepted, self._dropped, self._done = {}, 0, {}
        self._early = chain.hook in ("prerouting", "output") and chain.priority < TRACKING
        place = chain.place
        indexed = self._find((place.source, place.family, place.table, place.chain))
        if indexed is None:  # a chain that is in no rule set; only by a caller's mistake
            return ways, 0
        for world, ports in ways.items():
            for ended, left in self._chain(indexed, world, ports, ()).items():
                self._end(chain.policy, left, ended, indexed, None, left)
        return self._accepted, self._dropped

    def _chain(self, indexed: Indexed, world: World, ports: int, active: tuple[Key, ...]) -> Ways:
        """Follow a chain; what comes back from it."""
        place = indexed.chain.place
        key = (place.source, place.family, place.table, place.chain)
        done = self._done.get((key, world, ports))
        if done is not None:
            return done
        if key in active:
            path = " → ".join([*(name for *_, name in active[active.index(key) :]), place.chain])
            return self._anything(world, ports, indexed, None, f"chains jump in a circle: {path}")
        if len(active) >= MAX_DEPTH:
            return self._anything(world, ports, indexed, None, f"more than {MAX_DEPTH} chains jump into each other")
        back: Ways = {}
        waiting: dict[tuple[int, World], int] = {(0, world): ports}
        worlds = {world}
        while waiting:
            at, world_now = key_now = min(waiting, key=lambda one: one[0])
            going = waiting.pop(key_now)
            for (next_at, next_world), bits in self._run(indexed, at, world_now, going, back, (*active, key)).items():
                if next_world not in worlds and len(worlds) >= MAX_WORLDS:
                    next_world = World(None, None, None, next_world.untracked, next_world.changed)
                worlds.add(next_world)
                waiting[next_at, next_world] = waiting.get((next_at, next_world), 0) | bits
        self._done[key, world, ports] = back
        return back

    def _run(
        self, indexed: Indexed, start: int, world: World, ports: int, back: Ways, active: tuple[Key, ...]
    ) -> dict[tuple[int, World], int]:
        """Follow a chain from one rule on, as long as nothing is changed; where it goes on otherwise.

        Args:
            back: what comes back from the chain is added to it.
        """
        facts = self._facts_of(world, indexed)
        alive, unsure = indexed.alive(facts, ports)
        for at in places(alive, start):
            self._looked += 1
            if self._looked > MAX_RULES:
                raise TooManyWaysError(f"the rule set has too many ways through it: {MAX_RULES} rules were looked at")
            sure, maybe = ports, 0
            for condition in indexed.left[at]:
                certain, possible = fits_ports(condition, facts)
                maybe = (sure & possible) | (maybe & (certain | possible))
                sure &= certain
            if unsure >> at & 1:
                sure, maybe = 0, sure | maybe
            if not (sure or maybe):
                continue
            effect = indexed.effects[at]
            if effect != "other" and not (self._note is not None and at in indexed.noted):
                self._decide(effect, sure, maybe, world, indexed, at)
                ports &= ~sure
            else:
                on = self._act(indexed, at, world, sure, maybe, back, active)
                same = on.pop(world, 0)
                ports = ports & ~sure | same
                if on:
                    gone = {(at + 1, other): bits for other, bits in on.items()}
                    if ports:
                        gone[at + 1, world] = ports
                    return gone
            if not ports:
                return {}
        back[world] = back.get(world, 0) | ports
        return {}

    def _decide(self, effect: str, sure: int, maybe: int, world: World, indexed: Indexed, at: int) -> None:
        """A rule that only accepts, or only drops."""
        before = self._accepted.get(world, 0) if effect == "accept" else self._dropped
        maybe &= ~before  # it could end so already
        if sure:
            self._end(effect, sure, world, indexed, at, sure)
        if maybe:
            self._end(effect, maybe, world, indexed, at, 0)

    def _end(self, effect: str, ports: int, world: World, indexed: Indexed, at: int | None, sure: int) -> None:
        """Some ports end here, for this base chain (accept) or for good."""
        if effect == "accept":
            self._accepted[world] = self._accepted.get(world, 0) | ports
        else:
            self._dropped |= ports
        facts = self._facts_of(world, indexed)
        if ports & sure:
            self.events.append(
                Event("accept" if effect == "accept" else "drop", ports & sure, indexed.chain, at, facts)
            )
        if ports & ~sure:
            self.events.append(Event("unsure", ports & ~sure, indexed.chain, at, facts))

    def _anything(self, world: World, ports: int, indexed: Indexed, at: int | None, why: str) -> Ways:
        """What cannot be followed may accept, drop, or go on, having changed anything."""
        self._accepted[world] = self._accepted.get(world, 0) | ports
        self._dropped |= ports
        self.events.append(Event("unsure", ports, indexed.chain, at, self._facts_of(world, indexed), why))
        return {World(None, None, None, world.untracked, changed=True): ports}

    def _act(
        self, indexed: Indexed, at: int, world: World, sure: int, maybe: int, back: Ways, active: tuple[Key, ...]
    ) -> Ways:
        """Do what a rule says to the ports that fit; those that go on with the next rule."""
        chain = indexed.chain
        ways: Ways = {world: sure | maybe}
        if self._note is not None and at in indexed.noted:
            self._note(indexed, at, sure | maybe, self._early, not world.untracked)
        beside: Ways = {}
        for statement in chain.rules[at].statements:
            on: Ways = {}
            for now, ports in ways.items():
                match statement:
                    case Assign():
                        after = {now: ports}
                    case Verdict():
                        after = self._verdict(statement, indexed, at, now, ports, sure, back, active)
                    case VerdictMap():
                        after = self._map(statement, indexed, at, now, ports, sure, back, active)
                    case Translate():
                        self._end("accept", ports, now, indexed, at, sure)
                        after = {}
                    case Notrack():
                        after = {now._replace(untracked=True) if self._early else now: ports}
                    case Change():
                        after = {_changed(now, statement): ports}
                    case Condition():
                        certain, possible = holds(statement, self._facts_of(now, indexed))
                        sure &= ~(ports & possible)
                        after = {now: ports & (certain | possible)} if ports & (certain | possible) else {}
                        if ports & ~certain:
                            _join(beside, {now: ports & ~certain})
                    case Unread():
                        after = self._anything(now, ports, indexed, at, f"`{statement.text}` is not understood")
                if isinstance(statement, Change | Notrack) and after != {now: ports}:
                    self._unclear(indexed, at, now, ports & ~sure)
                _join(on, after)
            ways = on
            if not ways:
                break
        _join(ways, beside)
        return ways

    def _verdict(
        self,
        verdict: Verdict,
        indexed: Indexed,
        at: int,
        world: World,
        ports: int,
        sure: int,
        back: Ways,
        active: tuple[Key, ...],
    ) -> Ways:
        match verdict.kind:
            case "continue":
                return {world: ports}
            case "accept" | "drop" | "reject":
                self._end("accept" if verdict.kind == "accept" else "drop", ports, world, indexed, at, sure)
                return {}
            case "return":
                back[world] = back.get(world, 0) | ports
                self._unclear(indexed, at, world, ports & ~sure)
                return {}
            case "queue":
                self._anything(world, ports, indexed, at, "a program decides: `queue`")
                return {}
            case "jump" | "goto":
                place = indexed.chain.place
                target = self._find((place.source, place.family, place.table, verdict.chain))
                if target is None:
                    return self._anything(world, ports, indexed, at, f"there is no chain '{verdict.chain}'")
                came = self._chain(target, world, ports, active)
                if verdict.kind == "goto" or came != {world: ports}:
                    self._unclear(indexed, at, world, ports & ~sure)
                if verdict.kind == "jump":
                    return dict(came)
                _join(back, came)
                return {}

    def _map(
        self,
        mapped: VerdictMap,
        indexed: Indexed,
        at: int,
        world: World,
        ports: int,
        sure: int,
        back: Ways,
        active: tuple[Key, ...],
    ) -> Ways:
        """The first entry that fits; what fits none goes on."""
        facts = self._facts_of(world, indexed)
        found: dict[tuple[Verdict, bool], int] = {}
        for row, verdict in mapped.entries:
            certain, bits = row_fits(mapped.fields, row, facts)
            bits &= ports
            if not bits:
                continue
            found[verdict, certain] = found.get((verdict, certain), 0) | bits
            if certain:
                ports &= ~bits
                if not ports:
                    break
        on: Ways = {}
        for (verdict, certain), bits in found.items():
            _join(on, self._verdict(verdict, indexed, at, world, bits, sure if certain else 0, back, active))
        if ports and mapped.grows:
            text = f"`{mapped.text}` asks for a map that changes while packets pass"
            _join(on, self._anything(world, ports, indexed, at, text))
        elif ports:
            _join(on, {world: ports})
        return on

    def _unclear(self, indexed: Indexed, at: int, world: World, ports: int) -> None:
        """Note that it cannot be told whether some ports go this way."""
        if ports:
            self.events.append(Event("unsure", ports, indexed.chain, at, self._facts_of(world, indexed)))

    def _facts_of(self, world: World, indexed: Indexed) -> Facts:
        nft = indexed.chain.place.source == "nft"
        key = (world, self._early, nft)
        found = self._facts.get(key)
        if found is None:
            found = self._facts[key] = Facts(self._asked, world, early=self._early, nft=nft)
        return found


def _changed(world: World, change: Change) -> World:
    old = world.value(change.copy or change.field)
    if change.value is None or (old is None and change.keep):
        return world.with_value(change.field, None)
    return world.with_value(change.field, ((old or 0) & change.keep) ^ change.value)


def _join(ways: Ways, more: Ways) -> None:
    for world, ports in more.items():
        ways[world] = ways.get(world, 0) | ports
