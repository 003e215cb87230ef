"""What a story is made of: connections that belong together, and what happened to them, step by step.

All objects are frozen and hold plain values; only `Told.row` is an object of the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conntap._core import Event

__all__ = ["ORDINARY", "Connection", "Ends", "Packet", "Segment", "Step", "Story", "Told", "Window", "endpoint"]


#: Reasons of packets that only fit.
ORDINARY: Final = frozenset({"in_window", "again"})


def endpoint(address: str, port: int | None = None) -> str:
    """Write an address with its port: `10.0.0.1:21`, `[2001:db8::1]:21`."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Ends(NamedTuple):
    """One direction of a connection. Ports are None where the protocol has none (ICMP, GRE without keys)."""

    src: str
    sport: int | None
    dst: str
    dport: int | None

    @property
    def source(self) -> str:
        return endpoint(self.src, self.sport)

    @property
    def destination(self) -> str:
        return endpoint(self.dst, self.dport)

    @property
    def inverse(self) -> Ends:
        return Ends(self.dst, self.dport, self.src, self.sport)

    def __str__(self) -> str:
        return f"{self.source} → {self.destination}"


class Segment(NamedTuple):
    """A TCP header: flags (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32), numbers and window as they stand in it."""

    flags: int
    seq: int
    ack: int
    window: int


class Window(NamedTuple):
    """What the tracker knows of one side of a TCP connection. Source: struct ip_ct_tcp_state.

    Attributes:
        end: highest sequence number sent, plus one.
        max_end: highest sequence number that may be sent: what the other side acknowledged plus its window.
        max_window: largest window that this side offered, in bytes.
        scale: by how many bits its windows are shifted.
    """

    end: int
    max_end: int
    max_window: int
    scale: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What a packet says of itself.

    Attributes:
        l4proto: protocol number.
        length: bytes from the IP header on.
        payload_length: bytes behind the transport header.
        payload: the first of them (at most 256).
        fragment: a part of a datagram.
        icmp: type and code.
    """

    l4proto: int
    ends: Ends
    length: int = 0
    payload_length: int = 0
    payload: bytes = b""
    fragment: bool = False
    tcp: Segment | None = None
    icmp: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of the story.

    Attributes:
        kind: NEW, UPDATE, DESTROY, EXP_NEW, EXP_UPDATE or EXP_DESTROY.
        connection: letter of the connection that it is about; of an expectation, of its master.
        text: as `conntrack -E` prints it.
        words: of expectations, what it means.
        row: the event itself.
    """

    kind: str
    connection: str
    text: str
    words: str
    row: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One packet of the story, or an event that no packet of it caused (then `packet` is None).

    Attributes:
        number: of the frame in its file, from 1; None where there is no packet.
        input: which file, from 0.
        time_ns: nanoseconds since the epoch.
        since_ns: nanoseconds since the story's first step.
        connection: letter of the connection.
        direction: which way the packet goes.
        short: the packet in a few words: its flags, or the first line of what it carries.
        more: numbers, the most telling first: `46 B`, `seq 5,020`, `ack 1,015`.
        seq, ack: relative to the connection's first numbers (SYN is 0); None where nothing is known.
        window: offered by the packet in bytes, scaled; None where it is no TCP.
        sent: source and destination as they leave the gateway, where it translates.
        sent_text: first line of the payload as it leaves, where the helper has rewritten it.
        verdict: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED or UNSEEN (the IP layer keeps or drops it).
        reason: why, as one word that stays.
        why: the same in words.
        dropped: the gateway does not send it on.
        before, state: of the entry, before and behind the packet: the protocol's, or UNREPLIED, REPLIED, ASSURED
            where it has none. None: there is no entry.
        status: IPS_* bits of the entry behind it.
        timeout: seconds that the entry lives on if nothing more comes.
        windows: of the original and of the reply side, behind the packet.
        bases: first numbers of both sides, by which `windows` are read.
        windows_said: the windows in words, where they changed or matter.
        events: what conntrack reports of it.
    """

    number: int | None
    input: int = 0
    time_ns: int
    since_ns: int
    connection: str
    direction: Literal["original", "reply"] | None = None
    packet: Packet | None = None
    short: str = ""
    more: tuple[str, ...] = ()
    seq: int | None = None
    ack: int | None = None
    window: int | None = None
    sent: Ends | None = None
    sent_text: str = ""
    verdict: str = ""
    reason: str = ""
    why: str = ""
    dropped: bool = False
    before: str | None = None
    state: str | None = None
    status: int = 0
    timeout: int | None = None
    windows: tuple[Window, Window] | None = None
    bases: tuple[int | None, int | None] = (None, None)
    windows_said: str = ""
    events: tuple[Told, ...] = ()

    @property
    def invalid(self) -> bool:
        return self.verdict == "INVALID"

    @property
    def eventful(self) -> bool:
        """Did anything happen but that another packet fitted?"""
        return bool(
            self.packet is None
            or self.events
            or self.dropped
            or self.windows_said
            or self.state != self.before
            or self.verdict not in ("ESTABLISHED", "")
            or self.reason not in ORDINARY
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One entry of the connection tracking table, or what would have been one.

    Attributes:
        letter: its name in the story.
        flow_id: in the engine; None: there was never an entry.
        original: from whom to whom the first packet went.
        reply: from whom to whom the answers go; differs from the inverse where the gateway translates.
        helper: attached when it began.
        master: letter of the connection whose helper announced it.
        announced_by: number of the packet that did.
        left: the entry when the capture ended, as `conntrack -L` prints it; None: it was gone.
        state: its state then.
        timeout: seconds it had left then.
    """

    letter: str
    flow_id: int | None
    protocol: str
    original: Ends
    reply: Ends
    helper: str | None = None
    master: str | None = None
    announced_by: int | None = None
    left: str | None = None
    state: str | None = None
    timeout: int | None = None

    @property
    def source_translated(self) -> bool:
        return self.reply[2:] != self.original[:2]

    @property
    def destination_translated(self) -> bool:
        return self.reply[:2] != self.original[2:]

    @property
    def translated(self) -> bool:
        return self.source_translated or self.destination_translated

    def __str__(self) -> str:
        """From whom to whom, `⇒` before what NAT makes of an end."""
        source = self.end(*self.original[:2])
        if self.source_translated:
            source += f" ⇒ {self.end(*self.reply[2:])}"
        destination = self.end(*self.original[2:])
        if self.destination_translated:
            destination += f" ⇒ {self.end(*self.reply[:2])}"
        return f"{self.protocol} {source} → {destination}"

    def end(self, address: str, port: int | None) -> str:
        """Write an end of it; GRE has keys where others have ports."""
        if self.protocol == "gre" and port is not None:
            return f"{endpoint(address, 0)[:-1]}0x{port:x}"
        return endpoint(address, port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One connection with those that it announced, from the first packet to the last.

    Attributes:
        connections: the first one, then its children, in order of appearance.
        steps: in order of time. Packets that did not fit (below) are missing.
        packets: how many there were.
        left_out: how many of them are no steps, since there were too many; each was an ordinary one unless `flooded`.
        flooded: also packets at which something happened were left out.
        invalid, dropped: how many packets were.
        events: number of events by kind.
    """

    connections: tuple[Connection, ...]
    steps: tuple[Step, ...]
    packets: int
    left_out: int = 0
    flooded: bool = False
    invalid: int = 0
    dropped: int = 0
    events: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def root(self) -> Connection:
        """The connection that all others are children of."""
        return self.connections[0]

    @property
    def title(self) -> str:
        """What it is, in a few words: `FTP control 10.0.0.5:50122 → 198.51.100.9:21`."""
        root = self.root
        kind = f"{root.helper.upper()} control" if root.helper else root.protocol.upper()
        return f"{kind} {str(root).partition(' ')[2]}"

    def flipped(self, letter: str) -> bool:
        """Does the connection's client stand where the root's server stands, as in FTP's active mode?

        Addresses count as they are behind the gateway.
        """
        root, other = self.root, self.connection(letter)
        if other.original.src in (root.original.src, root.reply.dst):
            return False
        return other.original.src == root.reply.src or other.reply.src == root.original.src

    def connection(self, letter: str) -> Connection:
        """Find a connection by its letter.

        Raises:
            KeyError: there is none.
        """
        for connection in self.connections:
            if connection.letter == letter:
                return connection
        raise KeyError(letter)
