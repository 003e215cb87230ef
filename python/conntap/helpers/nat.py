"""What helpers of translated connections have in common: a free port, and the payload that names it.

Source: kernel net/netfilter/nf_nat_helper.c, `nf_nat_exp_find_port`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from conntap.helpers.base import Drop, Expect, Expectation, Packet, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ATTEMPTS", "announce", "expect_at_free_port"]

#: Ports that are tried beside the announced one.
ATTEMPTS: Final = 128

# The kernel draws from [announced, 65534]: 65535 is used only where it was announced.
_LAST: Final = 65534


def expect_at_free_port(packet: Packet, wanted: Expect) -> Expectation:
    """Enter *wanted* at its port, or at the next one above that no other expectation stands in the way of.

    The kernel tries the announced port first as well, but then draws at random; counting upwards makes two runs equal.

    Raises:
        Drop: 128 ports are in use; or port 0 was announced, whose expectation stays (the kernel takes the port for
            "none found").
        Refused: for another reason than "busy".
    """
    first = wanted.dport
    for port in range(first, max(first, min(first + ATTEMPTS, _LAST)) + 1):
        try:
            made = packet.expect(replace(wanted, dport=port))
        except Refused as refused:
            if refused.why != "busy":
                raise
        else:
            if port == 0:
                raise Drop("port 0 was announced")
            return made
    raise Drop("all ports are in use")


def announce(packet: Packet, wanted: Expect, start: int, length: int, text: Callable[[int], bytes]) -> None:
    """Enter *wanted* at a free port and write what *text* makes of that port over the announcement.

    Args:
        packet: has the announcement.
        wanted: with the announced port, and `nat`.
        start, length: where in the payload the announcement stands.
        text: from the port to what the payload shall say.

    Raises:
        Drop: no port is free, or the packet cannot grow; then nothing is expected.
    """
    made = expect_at_free_port(packet, wanted)
    try:
        packet.mangle(start, length, text(made.wanted.dport))
    except Drop:
        made.remove()
        raise
