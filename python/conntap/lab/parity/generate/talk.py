"""What every conversation is made of: packets in order, the places they come from, and the object that hands them out.

A conversation is a script: a generator that yields one packet at a time and is told what the gateway forwarded of it.
Where no gateway translates, the script is told that each packet arrived as it was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    import random

    from conntap.lab.parity.generate.sites import Site

__all__ = ["LEFT", "RIGHT", "BrokenOffError", "Conversation", "Script", "Sent", "Table", "pick", "run_to_end"]

LEFT: Final = 0
"""The inside."""
RIGHT: Final = 1
"""The outside."""


class Sent(NamedTuple):
    """One packet: *delay_ns* after the one before it, from *side* (0 left, 1 right); *ip* starts at the IP header."""

    delay_ns: int
    side: int
    ip: bytes


_T = TypeVar("_T")
Script = Generator[Sent, Sequence[bytes], _T]
"""Yields packets, is sent what the gateway forwarded of each, returns a value to the script that runs it."""

_K = TypeVar("_K")
Table = dict[str, tuple[int, Callable[[_K], Script[None]]]]
"""Named scripts with their weights."""


def pick(rng: random.Random, table: Table[_K]) -> tuple[str, Callable[[_K], Script[None]]]:
    """One script of *table* and its name, by weight."""
    (name,) = rng.choices(list(table), [weight for weight, _ in table.values()])
    return name, table[name][1]


class BrokenOffError(Exception):
    """A script ends here: the gateway's next choice could not be foreseen. `Conversation` takes it as the end."""


class Conversation:
    """One conversation, handed out packet by packet.

    Attributes:
        kind: its name in `kinds()`.
        index: its number within the seed.
        nat: "" (the gateway translates nothing), "snat" or "dnat".
        version: 4 or 6.
        notes: names of the troubles that have happened so far, in order.
        marked: the gateway's own IP layer drops or answers a packet of this conversation before or after tracking it.
    """

    __slots__ = ("_last", "_script", "_site", "index", "kind", "marked", "nat", "notes", "version")

    def __init__(self, kind: str, index: int, site: Site, script: Script[None]) -> None:
        self.kind = kind
        self.index = index
        self.nat = site.nat
        self.version = site.version
        self.notes = site.notes
        self.marked = False
        self._site = site
        self._script = script
        self._last: Sent | None = None

    def next(self, forwarded: Sequence[bytes] = ()) -> Sent | None:
        """The next packet, or None after the last one.

        *forwarded* is what left the gateway on the other side because of the packet before (each from its IP header;
        empty if the gateway kept it). Without translation it is not looked at: everything is taken as delivered.
        """
        try:
            if self._last is None:
                self._last = next(self._script)
            else:
                self._last = self._script.send(forwarded if self.nat else (self._last.ip,))
        except (StopIteration, BrokenOffError):
            return None
        finally:
            self.marked = self._site.marked
        return self._last

    def packets(self) -> list[Sent]:
        """All packets that are left, each taken as delivered unchanged: for conversations without translation."""
        return run_to_end(self, lambda sent: (sent.ip,))

    def __repr__(self) -> str:
        return f"<Conversation {self.index}: {self.nat and self.nat + ' '}{self.kind}, IPv{self.version}>"


def run_to_end(conversation: Conversation, gateway: Callable[[Sent], Sequence[bytes]]) -> list[Sent]:
    """Let *conversation* speak through *gateway*, a function from a packet to what it forwards; returns the packets."""
    sent: list[Sent] = []
    packet = conversation.next()
    while packet is not None:
        sent.append(packet)
        packet = conversation.next(gateway(packet))
    return sent
