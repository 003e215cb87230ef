"""What a protocol helper is: a small class that reads one connection's payload and announces connections.

A helper does no I/O and knows no clock. The engine makes one instance for each connection that carries the helper
and hands it every packet of that connection; the helper answers by calling methods of the packet. `docs/helpers.md`
has an example of thirty lines.

Source of the rules: kernel net/netfilter/nf_conntrack_helper.c, nf_conntrack_expect.c, nf_nat_helper.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ORIGINAL",
    "REPLY",
    "TCP",
    "UDP",
    "Address",
    "Drop",
    "Expect",
    "Expectation",
    "Helper",
    "Nat",
    "Packet",
    "Policy",
    "Refused",
    "Tuple",
]

Address = IPv4Address | IPv6Address

#: Directions of a connection.
ORIGINAL: Final = 0
REPLY: Final = 1

TCP: Final = 6
UDP: Final = 17
GRE: Final = 47


class Tuple(NamedTuple):
    """One direction of a connection. For GRE the ports are the keys of RFC 2637."""

    src: Address
    dst: Address
    l4proto: int
    sport: int
    dport: int

    def inverse(self) -> Tuple:
        """What the answer to this looks like where nothing is translated."""
        return Tuple(self.dst, self.src, self.l4proto, self.dport, self.sport)


class Policy(NamedTuple):
    """How many expectations of one class a connection may have, and how long each lives.

    Attributes:
        name: for people: "signalling", "audio".
        max_expected: the oldest gives way to one more.
        timeout: seconds.
    """

    name: str
    max_expected: int
    timeout: int


class Nat(NamedTuple):
    """What an expectation remembers so that its child inherits the master's NAT.

    Attributes:
        direction: of the child with respect to the master: ORIGINAL or REPLY.
        saved_port: destination port before translation.
        saved_addr: destination address before translation; None where the function does not need it.
        function: which rule translates the child: "nat-follow-master", "sip", "Q.931", "callforwarding", "pptp".
    """

    direction: int
    saved_port: int
    saved_addr: Address | None = None
    function: str = "nat-follow-master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """A connection that is to be expected.

    Attributes:
        dst, dport: where it will go; always exact.
        l4proto: 6, 17 or 47.
        src: who may open it; None: anyone.
        src_prefix: length of the network around `src` that may; None: that address alone.
        sport: from which port; None: any.
        expect_class: index into the helper's policies.
        permanent: stays when used.
        inactive: not matched until activated.
        timeout: seconds; None: the policy's.
        helper: which helper the child gets.
        nat: how the child is translated.
        removes_inverse: when used, the expectation for the other direction goes too (PPTP).
        any_master: the same expectation of another connection is no clash: "already", not "busy" (SIP).
    """

    dst: Address
    dport: int
    l4proto: int
    src: Address | None = None
    src_prefix: int | None = None
    sport: int | None = None
    expect_class: int = 0
    permanent: bool = False
    inactive: bool = False
    timeout: int | None = None
    helper: str | None = None
    nat: Nat | None = None
    removes_inverse: bool = False
    any_master: bool = False


class Expectation(Protocol):
    """An expectation that is in the table."""

    @property
    def wanted(self) -> Expect:
        """What was asked for."""
        ...

    @property
    def mine(self) -> bool:
        """Was it made by this connection?"""
        ...

    @property
    def same_helper(self) -> bool:
        """Was it made by a connection with this helper, of this transport and family?"""
        ...

    def remove(self) -> None:
        """Take it out of the table."""
        ...

    def refresh(self, seconds: int, *, activate: bool = False) -> None:
        """Let it live so long from now on; with *activate* it may be matched from now on."""
        ...


class Drop(Exception):
    """The kernel's helper drops this packet: it is not forwarded, a new connection is not entered in the table."""


class Refused(Drop):
    """The expectation was refused; not catching it drops the packet, as most of the kernel's helpers do.

    Attributes:
        why: "busy" (another one would match the same packets), "already" (the same one, of another class or, where
            `Expect.any_master`, of another connection), "full" (too many in the table).
    """

    def __init__(self, why: Literal["busy", "already", "full"]) -> None:
        super().__init__(f"the expectation was refused: {why}")
        self.why: Literal["busy", "already", "full"] = why


class Packet(Protocol):
    """One packet of the helper's connection.

    Attributes:
        payload: bytes behind the TCP or UDP header; what `mangle` has changed so far included.
        direction: ORIGINAL or REPLY.
        state: what rules see: "new", "established" or "related"; the first answer is "established" already.
        seq: sequence number of the payload's first byte (TCP; 0 otherwise).
        original, reply: both tuples of the connection.
        natted: the connection is translated (SRC_NAT or DST_NAT).
        expected: the connection was itself expected.
        local_network: of the interface, where the packet was sent by the gateway itself to the broadcast address of
            one of its own networks; None otherwise.
    """

    payload: bytes
    direction: int
    state: Literal["new", "established", "related"]
    seq: int
    original: Tuple
    reply: Tuple
    natted: bool
    expected: bool
    local_network: IPv4Interface | None

    @property
    def tuple(self) -> Tuple:
        """The connection's tuple of this packet's direction."""
        ...

    @property
    def inverse(self) -> Tuple:
        """The connection's tuple of the other direction: its dst is how the world sees this packet's sender."""
        ...

    def expect(self, wanted: Expect) -> Expectation:
        """Enter an expectation.

        Raises:
            Refused: the table does not take it.
        """
        ...

    def expectations(self) -> list[Expectation]:
        """Those of this connection, newest first."""
        ...

    def find(self, wanted: Tuple) -> Expectation | None:
        """The active or inactive expectation, of whichever connection, that this tuple would match."""
        ...

    def refresh(self, seconds: int) -> None:
        """Let the connection live so long from now on."""
        ...

    def mangle(self, start: int, length: int, replacement: bytes, *, adjust: bool = True) -> None:
        """Replace bytes of the payload; lengths and checksums follow.

        Args:
            start, length: which bytes of `payload`.
            replacement: what they become.
            adjust: TCP: shift the sequence numbers behind by the difference; False: `adjust_sequence` will.

        Raises:
            Drop: the packet would become longer than 65,535 bytes.
        """
        ...

    def adjust_sequence(self, difference: int) -> None:
        """Shift this direction's later sequence numbers by *difference* (TCP)."""
        ...

    def leaves_alike(self, address: Address) -> bool:
        """Would packets to *address* leave by the interface that this one leaves by? False where that is unknown."""
        ...

    def set_dport(self, port: int) -> None:
        """Change the destination port in the UDP header (SIP phones that answer elsewhere)."""
        ...

    def map_gre(self, original: Tuple, reply: Tuple) -> bool:
        """Let GRE packets, which carry only the receiver's key, find the sender's: one entry a direction (PPTP).

        The same again changes nothing. False: the connection has another one, which stays (where only that of the
        reply direction differs, both go).
        """
        ...

    def unmap_gre(self) -> None:
        """Forget what `map_gre` said."""
        ...

    def kill(self, flow: Tuple) -> bool:
        """End the connection with this original tuple; False if there is none."""
        ...


class Helper:
    """Base of all protocol helpers: one instance serves one connection.

    Class attributes:
        name: as netlink and rules say it.
        l4protos: of the connections that it reads.
        port: the well-known one, for `--auto-helpers`.
        families: 4, 6 or both.
        policies: one for each class of expectations.
        parameters: the kernel module's, with its defaults.
    """

    name: ClassVar[str]
    l4protos: ClassVar[tuple[int, ...]] = (TCP,)
    port: ClassVar[int] = 0
    families: ClassVar[tuple[int, ...]] = (4, 6)
    policies: ClassVar[tuple[Policy, ...]]
    parameters: ClassVar[Mapping[str, int]] = {}

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        """Serve one connection; *options* override `parameters`."""
        self.options: dict[str, int] = {**self.parameters, **(options or {})}

    @classmethod
    def policies_for(cls, options: Mapping[str, int]) -> tuple[Policy, ...]:
        """The policies where parameters have these values; override where they depend on them."""
        return cls.policies

    def packet(self, packet: Packet) -> None:
        """Read one packet.

        Raises:
            Drop: the packet is not to be forwarded.
        """
        raise NotImplementedError
