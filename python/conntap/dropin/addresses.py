"""Addresses of the command line: plain, with a prefix length, and with a NAT port."""

from __future__ import annotations

from .messages import usage_fault
from .numbers import strtol

__all__ = ["AF_INET", "AF_INET6", "parse_address", "parse_nat", "prefix_mask", "show"]

AF_INET, AF_INET6 = 2, 10

_LONGEST = 45  # characters that are looked at: the longest IPv6 text


def parse_address(text: str, option: str, *, prefix: bool) -> tuple[int, bytes, int | None]:
    """Return family, packed address and prefix length (None: none, or the whole address) of an option's argument.

    Raises:
        Stop: no address, a prefix length where none is allowed, or one that is too long.
    """
    # Reading is libc's inet_aton: "10.1" is 10.0.0.1.
    plain, slash, length = text[:_LONGEST].partition("/")
    packed = _packed(plain)
    if packed is None:
        raise usage_fault(f"Invalid IP address `{text}'")
    family, whole = (AF_INET, 32) if len(packed) == 4 else (AF_INET6, 128)
    if not slash:
        return family, packed, None
    if not prefix:
        raise usage_fault(f"CIDR notation unavailable for `--{option}'")
    bits, rest = strtol(length, 10)
    if (rest and length) or not 0 <= bits <= whole:
        raise usage_fault("Invalid netmask")
    return family, packed, None if bits == whole else bits


def prefix_mask(bits: int, size: int) -> bytes:
    """Return the mask of a prefix length for addresses of `size` bytes."""
    whole = size * 8
    return (((1 << bits) - 1) << (whole - bits)).to_bytes(size, "big")


def parse_nat(text: str, option: str) -> tuple[int, bytes, int | None]:
    """Return family, packed address and port (None: any) of `ADDR`, `ADDR4:PORT` or `[ADDR]:PORT`."""
    address, port_text = text, None
    opening = text.find("[")
    if opening >= 0:
        closing = text.find("]", opening)
        if closing < 0:
            raise usage_fault("No closing ']' around IPv6 address")
        if closing == opening + 1:
            raise usage_fault("No IPv6 address specified")
        colon = text.find(":", closing)
        if colon >= 0:
            address, port_text = text[opening + 1 : closing], text[colon + 1 :]
    elif text.count(":") == 1:
        address, _, port_text = text.partition(":")
    port = None if port_text is None else _port(port_text)
    family, packed, _ = parse_address(address, option, prefix=False)
    return family, packed, port


def show(packed: bytes) -> str:
    """Return the text of a packed address."""
    import _socket

    return _socket.inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def _packed(text: str) -> bytes | None:
    import _socket  # the C half of `socket`, whose Python half costs milliseconds at start

    try:
        return _socket.inet_aton(text)
    except (OSError, ValueError):  # ValueError: bytes that are no text
        pass
    try:
        return _socket.inet_pton(AF_INET6, text)
    except (OSError, ValueError):  # ValueError: bytes that are no text
        return None


def _port(text: str) -> int:
    if not text:
        raise usage_fault("No port specified after `:'")
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise usage_fault(f"Invalid port `{text}'")
    return int(text)
