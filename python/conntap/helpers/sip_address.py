"""Addresses in SIP and SDP text: which bytes the kernel takes for one, and how it writes one.

Source of the rules: kernel net/core/utils.c (in4_pton, in6_pton), lib/vsprintf.c (%pI4, %pI6c), as
net/netfilter/nf_conntrack_sip.c and nf_nat_sip.c use them.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conntap.helpers.base import Address

__all__ = ["parse", "parse_bracketed", "text", "text_with_port", "unspecified"]

# Possessive: a run of digits is read once, however long.
_DOTTED: Final = re.compile(rb"([0-9]++)\.([0-9]++)\.([0-9]++)\.([0-9]++)(?![A-Fa-f.])")
_HEX: Final = re.compile(rb"[0-9A-Fa-f]++")


def parse(data: bytes, at: int, limit: int, family: int) -> tuple[Address, int] | None:
    """Read an address.

    Args:
        data: the payload.
        at, limit: where the text begins, and before which byte it must end.
        family: 4 or 6.

    Returns:
        The address and the offset of the first byte behind it; None where there is none.
    """
    return _parse_v4(data, at, limit) if family == 4 else _parse_v6(data, at, limit)


def parse_bracketed(data: bytes, at: int, limit: int, family: int, *, must: bool) -> tuple[Address, int] | None:
    """Read an address that has brackets around it where it is one of IPv6; they count as its text.

    Args:
        data, at, limit, family: as for `parse`.
        must: an IPv6 address without brackets is none; otherwise each of both may be missing.
    """
    if family == 4:
        return _parse_v4(data, at, limit)
    if at < limit and data[at] == 0x5B:
        at += 1
    elif must:
        return None
    found = _parse_v6(data, at, limit)
    if found is None:
        return None
    address, end = found
    if end < limit and data[end] == 0x5D:
        return address, end + 1
    return None if must else found


def text(address: Address, *, bracketed: bool = False) -> bytes:
    """Write an address as the kernel does; *bracketed* concerns IPv6 only."""
    if isinstance(address, IPv4Address):
        return str(address).encode()
    plain = _text_v6(address)
    return b"[%s]" % plain if bracketed else plain


def text_with_port(address: Address, port: int) -> bytes:
    """Write an address and a port: `192.0.2.1:5060`, `[2001:db8::1]:5060`."""
    return b"%s:%d" % (text(address, bracketed=True), port)


def unspecified(family: int) -> Address:
    """The address of zeros."""
    return IPv4Address(0) if family == 4 else IPv6Address(0)


def _parse_v4(data: bytes, at: int, limit: int) -> tuple[IPv4Address, int] | None:
    """Four decimal numbers up to 255; zeros may lead; neither a dot nor a hexadecimal digit may follow."""
    found = _DOTTED.match(data, at, limit)
    if found is None:
        return None
    octets = [_number(digits, 3, 10) for digits in found.groups()]
    if max(octets) > 255:
        return None
    return IPv4Address(bytes(octets)), found.end()


def _number(digits: bytes, most: int, base: int) -> int:
    """The number, however many zeros lead; one too large where there are more than *most* other digits."""
    digits = digits.lstrip(b"0")
    return int(digits or b"0", base) if len(digits) <= most else 1 << 16


def _parse_v6(data: bytes, at: int, limit: int) -> tuple[IPv6Address, int] | None:
    """Eight groups, or fewer with one `::` that stands for at least one of zeros; the last two may be dotted."""
    groups: list[int] = []
    gap: int | None = None
    if data[at : min(at + 2, limit)] == b"::":
        groups, gap, at = [0], 1, at + 2
    while (found := _HEX.match(data, at, limit)) is not None:
        group = _number(found[0], 4, 16)
        if group > 0xFFFF or len(groups) == 8:
            return None
        end = found.end()
        after = data[end : min(end + 2, limit)]
        if after[:1] == b".":
            room = len(groups) == 6 or (gap is not None and len(groups) < 6)
            return _with_dotted_end(data, at, limit, groups, gap) if room else None
        groups.append(group)
        if after[:1] != b":":
            return (_joined(groups, gap), end) if gap is not None or len(groups) == 8 else None
        if len(groups) == 8:
            return None
        at = end + 1
        if after == b"::":
            if gap is not None:
                return None
            groups.append(0)
            gap = len(groups)
            at += 1
    # No digit: a trailing "::" ends the address, unless what follows cannot be the end.
    if gap != len(groups) or data[at : min(at + 1, limit)] in _CANNOT_FOLLOW:
        return None
    return _joined(groups, gap), at


def _with_dotted_end(
    data: bytes, at: int, limit: int, groups: list[int], gap: int | None
) -> tuple[IPv6Address, int] | None:
    found = _parse_v4(data, at, limit)
    if found is None:
        return None
    low = int(found[0])
    return _joined([*groups, low >> 16, low & 0xFFFF], gap), found[1]


#: Directly behind a trailing `::`.
_CANNOT_FOLLOW: Final = frozenset((b":", b"."))


def _joined(groups: list[int], gap: int | None) -> IPv6Address:
    """Put the groups in place: those behind the gap stand at the end."""
    if gap is not None:
        groups = [*groups[:gap], *[0] * (8 - len(groups)), *groups[gap:]]
    value = 0
    for group in groups:
        value = value << 16 | group
    return IPv6Address(value)


def _text_v6(address: IPv6Address) -> bytes:
    """RFC 5952, with a dotted end for addresses that hold one of IPv4 (mapped, ISATAP)."""
    value = int(address)
    dotted = value >> 32 == 0xFFFF or (value >> 32 & 0xFFFF_FFFF | 0x0200_0000) == 0x0200_5EFE
    groups = [b"%x" % (value >> shift & 0xFFFF) for shift in range(112, 16 if dotted else -16, -16)]
    longest, begin = 1, -1
    run = 0
    for place, group in enumerate(groups):
        run = run + 1 if group == b"0" else 0
        if run > longest:
            longest, begin = run, place - run + 1
    if dotted:
        groups.append(str(IPv4Address(value & 0xFFFF_FFFF)).encode())
    if begin < 0:
        return b":".join(groups)
    return b"%s::%s" % (b":".join(groups[:begin]), b":".join(groups[begin + longest :]))
