"""Netlink messages and attributes as bytes: just enough to take them apart without losing or reordering anything.

Source: struct nlmsghdr, struct nlattr in linux/netlink.h; struct nfgenmsg in linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ATTRIBUTES_AT",
    "HEAD",
    "NESTED",
    "SUBSYSTEM_CT",
    "SUBSYSTEM_EXP",
    "SUBSYSTEM_LOG",
    "TYPE",
    "attributes",
    "messages",
    "pack",
    "values",
]

SUBSYSTEM_CT: Final = 1
SUBSYSTEM_EXP: Final = 2
SUBSYSTEM_LOG: Final = 4

#: Attributes begin after nlmsghdr (16 bytes) and nfgenmsg (4).
ATTRIBUTES_AT: Final = 20

#: Bits of nla_type: a container, and the number proper.
NESTED: Final = 0x8000
TYPE: Final = 0x3FFF

#: struct nlmsghdr: length, type, flags, sequence number, port.
HEAD: Final = struct.Struct("=IHHII")
_LENGTH: Final = struct.Struct("=I")
_ATTRIBUTE: Final = struct.Struct("=HH")


def messages(datagram: bytes) -> list[bytes]:
    """Cut a datagram into its messages, without padding; a length that cannot be ends the walk."""
    found: list[bytes] = []
    at = 0
    while at + 16 <= len(datagram):
        (length,) = _LENGTH.unpack_from(datagram, at)
        if length < 16 or at + length > len(datagram):
            break
        found.append(datagram[at : at + length])
        at += length + 3 & ~3
    return found


def attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (nla_type with its flag bits, payload) in order; what cannot be an attribute comes last, as type -1."""
    end = len(data)
    while at < end:
        if at + 4 > end:
            yield -1, data[at:]
            return
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > end:
            yield -1, data[at:]
            return
        yield kind, data[at + 4 : at + length]
        at += length + 3 & ~3


def values(data: bytes, at: int = 0) -> dict[int, bytes]:
    """Attributes by number, flag bits left out; what cannot be one ends the walk, the last of a number counts."""
    return {kind & TYPE: value for kind, value in attributes(data, at) if kind >= 0}


def pack(kind: int, payload: bytes) -> bytes:
    """Build one attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)
