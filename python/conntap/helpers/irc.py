r"""IRC: a client that offers a file or a chat by DCC waits for the other client at the address it names.

Read is one message a segment, from the client: `PRIVMSG bob :\x01DCC SEND file 167772418 5001 100\x01`, the address
as one decimal number. Who will connect is not known, so the expectation lets anyone.

Source: kernel net/netfilter/nf_conntrack_irc.c, nf_nat_irc.c.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from conntap.errors import UsageError
from conntap.helpers.base import ORIGINAL, REPLY, TCP, Expect, Helper, Nat, Packet, Policy
from conntap.helpers.digits import wrapped
from conntap.helpers.nat import announce

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Irc"]

_LONGEST: Final = 4095
_MESSAGE: Final = b"PRIVMSG "
_DCC: Final = b"\x01DCC "
_KINDS: Final = (b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT ")
_DIGITS: Final = re.compile(rb"[0-9]*")

# How many bytes the shortest message has from a place on; the kernel looks no further where fewer are left.
_FROM_MESSAGE: Final = 10  # "PRIVMSG x "
_FROM_TEXT: Final = 26  # " :\1DCC SENT t AAAAAAAA P\1\n"
_FROM_ADDRESS: Final = 12  # "AAAAAAAA P\1\n"


class _Offer(NamedTuple):
    """Address and port of an offer, and where they stand in the segment."""

    address: IPv4Address
    port: int
    start: int
    end: int


class Irc(Helper):
    """Reads what a client sends to its server.

    Parameters:
        max_dcc_channels: offers that may be open at once, 1 to 255.
        dcc_timeout: seconds that an offer stays open.
    """

    name: ClassVar[str] = "irc"
    port: ClassVar[int] = 6667
    families: ClassVar[tuple[int, ...]] = (4,)
    policies: ClassVar[tuple[Policy, ...]] = (Policy("dcc", 8, 300),)
    parameters: ClassVar[Mapping[str, int]] = {"max_dcc_channels": 8, "dcc_timeout": 300}

    @classmethod
    def policies_for(cls, options: Mapping[str, int]) -> tuple[Policy, ...]:
        """One policy, made of both parameters.

        Raises:
            UsageError: max_dcc_channels is not 1 to 255.
        """
        given = {**cls.parameters, **options}
        if not 1 <= given["max_dcc_channels"] <= 255:
            raise UsageError(f"irc: max_dcc_channels is {given['max_dcc_channels']}, must be 1 to 255")
        return (Policy("dcc", given["max_dcc_channels"], given["dcc_timeout"]),)

    def packet(self, packet: Packet) -> None:
        """Read one segment.

        Raises:
            Drop: the expectation is refused.
        """
        if packet.direction != ORIGINAL or packet.state != "established":
            return
        offer = _offer(packet.payload[:_LONGEST])
        # Its own address, inside or as the world sees it; else the offer is forged.
        if offer is None or offer.port == 0 or offer.address not in {packet.tuple.src, packet.inverse.dst}:
            return
        seen = packet.inverse.dst
        wanted = Expect(
            dst=seen,
            dport=offer.port,
            l4proto=TCP,
            nat=Nat(REPLY, offer.port) if packet.natted else None,
        )
        if packet.natted:
            announce(packet, wanted, offer.start, offer.end - offer.start, lambda port: b"%d %d" % (int(seen), port))
        else:
            packet.expect(wanted)


def _offer(data: bytes) -> _Offer | None:
    """The offer in a segment whose first message is one."""
    end = len(data)
    at = 0
    while at < end - _FROM_MESSAGE and data[at : at + 1] in {b" ", b"\r", b"\n"}:
        at += 1
    if at < end - _FROM_MESSAGE:
        if data[at : at + len(_MESSAGE)].upper() != _MESSAGE:
            return None
        at += len(_MESSAGE)
    while True:
        # Only the first text of the message counts, and only its start; behind one of no known kind the next.
        at = data.find(b" :", at)
        if at < 0 or at >= end - _FROM_TEXT or not data.startswith(_DCC, at + 2):
            return None
        at += 2 + len(_DCC)
        kind = next((kind for kind in _KINDS if data.startswith(kind, at)), None)
        if kind is not None:
            return _arguments(data, at + len(kind))


def _arguments(data: bytes, at: int) -> _Offer | None:
    """Read behind the kind: a word to skip, the address as a number, the port."""
    space = data.find(b" ", at)
    start = space + 1
    # The kernel compares after each byte that is no space.
    if space < 0 or (space > at and space > len(data) - _FROM_ADDRESS) or data.find(b"\n", start) < 0:
        return None
    address = _DIGITS.match(data, start)
    if address is None:
        return None
    place = address.end()
    while data[place : place + 1] == b" ":
        place += 1
    port = _DIGITS.match(data, place)
    if port is None:
        return None
    return _Offer(IPv4Address(wrapped(address.group(), 32)), wrapped(port.group(), 16), start, port.end())
