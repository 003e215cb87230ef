"""FTP: PORT and EPRT of the client, 227 and 229 of the server name a data connection (RFC 959, 1123, 2428).

Lines are not reassembled. A segment is read only where it is known to begin a line: where the segment before it, in
the same direction, ended in a line feed. A segment in which an announcement begins and does not end is dropped, so
that it comes again, whole.

Source: kernel net/netfilter/nf_conntrack_ftp.c, nf_nat_ftp.c.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from conntap.helpers.base import TCP, Address, Drop, Expect, Helper, Nat, Packet, Policy
from conntap.helpers.digits import wrapped
from conntap.helpers.nat import announce

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Ftp"]

_SEQUENCES: Final = 1 << 32
_COMMANDS: Final = ((b"PORT", b"EPRT"), (b"227 ", b"229 "))  # by direction

_SIX_NUMBERS: Final = re.compile(rb"([0-9]*),([0-9]*),([0-9]*),([0-9]*),([0-9]*),([0-9]*)")
_FOUR_NUMBERS: Final = re.compile(rb"([0-9]*)\.([0-9]*)\.([0-9]*)\.([0-9]*)")
_DIGITS: Final = re.compile(rb"[0-9]*")
_DIGIT: Final = re.compile(rb"[0-9]")
_LEADING_ZEROS: Final = re.compile(rb"(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])")
_LONGEST_IPV6: Final = 45


class _Found(NamedTuple):
    """An announcement: which command, where in the segment, and what it names.

    `address` replaces the first bytes of the sender's own address; empty where the command names none (229).
    """

    command: bytes
    start: int
    length: int
    address: bytes
    port: int


class Ftp(Helper):
    """Reads the control connection of FTP.

    Parameters:
        loose: 1: expect connections to whatever address is announced; 0: only to who announces it.
    """

    name: ClassVar[str] = "ftp"
    port: ClassVar[int] = 21
    policies: ClassVar[tuple[Policy, ...]] = (Policy("data", 1, 300),)
    parameters: ClassVar[Mapping[str, int]] = {"loose": 0}

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        super().__init__(options)
        self._line_starts: tuple[list[int], list[int]] = ([], [])

    def packet(self, packet: Packet) -> None:
        """Read one segment.

        Raises:
            Drop: an announcement is cut off or malformed, or its expectation is refused.
        """
        payload = packet.payload
        if packet.state != "established" or not payload:
            return
        starts = self._line_starts[packet.direction]
        # The sender's own numbers: what translation does to the length comes later.
        end = (packet.seq + len(payload)) % _SEQUENCES
        found = _find(payload, packet) if packet.seq in starts else None
        try:
            if found is not None:
                self._expect(packet, found)
        finally:
            if payload.endswith(b"\n"):
                _remember(starts, end)

    def _expect(self, packet: Packet, found: _Found) -> None:
        sender, seen = packet.tuple.src, packet.inverse.dst
        announced = _address(found.address + sender.packed[len(found.address) :])
        if announced != sender and not self.options["loose"]:
            return  # a server that names others would open holes to them
        wanted = Expect(
            src=packet.inverse.src,
            dst=seen if announced == sender else announced,
            dport=found.port,
            l4proto=TCP,
            nat=Nat(1 - packet.direction, found.port) if packet.natted else None,
        )
        if not packet.natted:
            packet.expect(wanted)
            return
        announce(packet, wanted, found.start, found.length, lambda port: _announcement(found.command, seen, port))


def _address(packed: bytes) -> Address:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _remember(starts: list[int], end: int) -> None:
    """Note where a line begins: the two latest are kept."""
    if end in starts:
        return
    if len(starts) < 2:
        starts.append(end)
        return
    oldest = 0 if _before(starts[0], starts[1]) else 1
    if _before(starts[oldest], end):
        starts[oldest] = end


def _before(one: int, other: int) -> bool:
    return (one - other) % _SEQUENCES >= _SEQUENCES // 2


def _announcement(command: bytes, address: Address, port: int) -> bytes:
    """What replaces an announcement: the address as the other side sees it, and the port."""
    if command == b"229 ":
        return b"|||%d|" % port
    if command == b"EPRT":
        # The kernel prints IPv6 addresses at full length (%pI6).
        return f"|{1 if address.version == 4 else 2}|{address.exploded}|{port}|".encode()
    return b"%d,%d,%d,%d,%d,%d" % (*address.packed[:4], port >> 8, port & 0xFF)


def _find(payload: bytes, packet: Packet) -> _Found | None:
    """Find an announcement at the start of *payload*.

    Raises:
        Drop: one begins, but is cut off or malformed.
    """
    for command in _COMMANDS[packet.direction]:
        head = payload[: len(command)].upper()
        if len(payload) <= len(command):
            if command.startswith(head):
                raise Drop(f"cut off within {command.decode().strip()}")
        elif head == command:
            found = _READERS[command](payload, packet.original.src.version)
            if found is None:
                raise Drop(f"{command.decode().strip()} is cut off or malformed")
            return found
    return None


def _port(payload: bytes, _version: int) -> _Found | None:
    """Read `PORT 10,0,1,2,195,80`, which a carriage return must end."""
    start = payload.find(b" ", 4) + 1
    found = _SIX_NUMBERS.match(payload, start) if start else None
    if found is None or payload[found.end() : found.end() + 1] != b"\r":
        return None
    return _six(b"PORT", found)


def _passive(payload: bytes, _version: int) -> _Found | None:
    """Read `227 … (10,0,2,2,200,10).`: from the first digit on; whatever is no number may end it (RFC 1123)."""
    first = _DIGIT.search(payload, 4)
    found = _SIX_NUMBERS.match(payload, first.start()) if first else None
    if found is None or payload[found.end() : found.end() + 1] in {b"", b","}:
        return None
    return _six(b"227 ", found)


def _six(command: bytes, found: re.Match[bytes]) -> _Found:
    """Put the numbers in their places; too large ones run into each other, as in the kernel."""
    numbers = [wrapped(text, 32) for text in found.groups()]
    port = (numbers[4] << 8 | numbers[5]) & 0xFFFF
    return _Found(command, found.start(), found.end() - found.start(), _four(numbers), port)


def _four(numbers: list[int]) -> bytes:
    value = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def _extended_port(payload: bytes, version: int) -> _Found | None:
    """Read `EPRT |1|10.0.1.2|6275|` or `EPRT |2|2001:db8::1|6275|`; the delimiter is free."""
    start = payload.find(b" ", 4) + 1
    delimiter = _delimiter(payload, start)
    if not start or delimiter is None or payload[start + 2 : start + 3] != delimiter:
        return None
    if payload[start + 1 : start + 2] != (b"1" if version == 4 else b"2"):
        return None
    text = start + 3
    read = _ipv4(payload, text, delimiter) if version == 4 else _ipv6(payload, text, delimiter)
    if read is None:
        return None
    address, end = read
    ported = _delimited_port(payload, end + 1, delimiter)
    return ported and _Found(b"EPRT", start, ported[1] - start, address, ported[0])


def _extended_passive(payload: bytes, _version: int) -> _Found | None:
    """Read `229 … (|||6446|)`."""
    start = payload.find(b"(", 4) + 1
    delimiter = _delimiter(payload, start)
    if not start or delimiter is None or payload[start + 1 : start + 3] != delimiter * 2:
        return None
    ported = _delimited_port(payload, start + 3, delimiter)
    return ported and _Found(b"229 ", start, ported[1] - start, b"", ported[0])


def _delimiter(payload: bytes, at: int) -> bytes | None:
    delimiter = payload[at : at + 1]
    # Three more bytes must follow.
    return delimiter if len(payload) > at + 3 and b"!" <= delimiter <= b"~" and not delimiter.isdigit() else None


def _delimited_port(payload: bytes, at: int, delimiter: bytes) -> tuple[int, int] | None:
    """A port from *at* up to a delimiter, and the end behind that; not port 0."""
    found = _DIGITS.match(payload, at)
    if found is None or payload[found.end() : found.end() + 1] != delimiter:
        return None
    port = wrapped(found.group(), 16)
    return (port, found.end() + 1) if port else None


def _ipv4(payload: bytes, at: int, delimiter: bytes) -> tuple[bytes, int] | None:
    """Four numbers with points between, and where they end."""
    found = _FOUR_NUMBERS.match(payload, at)
    if found is None or delimiter == b"." or payload[found.end() : found.end() + 1] != delimiter:
        return None
    return _four([wrapped(text, 32) for text in found.groups()]), found.end()


def _ipv6(payload: bytes, at: int, delimiter: bytes) -> tuple[bytes, int] | None:
    """The address's bytes, and where its text ends: at the delimiter, a zero byte or the end (lib: `in6_pton`)."""
    ends = [end for end in (payload.find(delimiter, at), payload.find(b"\0", at)) if end >= 0]
    end = min(ends, default=len(payload))
    text = _LEADING_ZEROS.sub(b"", payload[at:end])
    if len(text) > _LONGEST_IPV6 or b"%" in text:
        return None
    try:
        return IPv6Address(text.decode("ascii")).packed, end
    except (AddressValueError, UnicodeDecodeError):
        return None


_READERS: Final = {b"PORT": _port, b"EPRT": _extended_port, b"227 ": _passive, b"229 ": _extended_passive}
