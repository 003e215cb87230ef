"""What can be compared: anything that takes packets one at a time and says what conntrack said of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

__all__ = ["LEFT", "RIGHT", "STATES", "Answer", "Packet", "Subject"]

#: The interface by which a packet reaches the gateway; it leaves by the other.
LEFT: Final = 0
RIGHT: Final = 1

#: What `Answer.verdict` may be, besides "" for not known: the words of nft's `ct state`.
STATES: Final = ("new", "established", "related", "invalid", "untracked")


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet on its way to the gateway.

    Attributes:
        number: its place in the capture, counted from 1, as a person finds it there.
        time_ns: when it was captured, in nanoseconds since the epoch.
        side: LEFT or RIGHT.
        ip: from the first byte of the IP header to the last of the datagram, without link layer and padding.
    """

    number: int
    time_ns: int
    side: int
    ip: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What one packet caused.

    Attributes:
        messages: ctnetlink event messages, each with its netlink header, in the order in which they were sent. Those
            that time alone has caused since the packet before come first.
        forwarded: IP packets that left on the other side, as bytes; the hop that a router takes from TTL or hop limit
            is not taken, so that a packet which nobody rewrites leaves as it came. None for not known: not compared.
        verdict: the packet's connection tracking state, one of STATES, or "" for not known: that is not compared.
        table: all entries and expectations after the packet, as rows of dumps (`conntrack -L`) in any order; None for
            not known: that is not compared. Shows what no event tells: refreshed timeouts, counters, window flags.
    """

    messages: list[bytes] = field(default_factory=list[bytes])
    forwarded: list[bytes] | None = field(default_factory=list[bytes])
    verdict: str = ""
    table: list[bytes] | None = None


class Subject(Protocol):
    """Tracks connections. Starts with an empty table; is fed by one thread, in order of time."""

    def packet(self, now_ns: int, side: int, ip: bytes) -> Answer:
        """Take one packet at *now_ns* (CLOCK_REALTIME; a live subject takes it now, whatever that says)."""
        ...

    def settle(self, now_ns: int) -> list[bytes]:
        """Return the messages that time alone has caused until *now_ns*, since the last call of any kind."""
        ...

    def flush(self, now_ns: int) -> list[bytes]:
        """Delete every entry, as `conntrack -F` does at *now_ns*, and return the messages: DESTROY of each."""
        ...
