"""Blocks masters that announced what is not allowed: a table of the guard's own, gone with it however it ends.

The table's owner is the guard's socket, and nothing persists: Source: nft_rcv_nl_event, nf_tables_api.c.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conntap.errors import KernelError
from conntap.guard import hold_rules as rules
from conntap.guard.nft_wire import NLM_F_APPEND, NLM_F_CREATE, Netlink, attribute, nested
from conntap.inside import within
from conntap.netns import path_of

if TYPE_CHECKING:
    from conntap.guard.hold_rules import Message
    from conntap.netns import NetNs

__all__ = ["Block"]

TABLE: Final = "conntap_blocked"
#: Before connections are looked up: what a blocked host sends makes no entry.
PRIORITY: Final = -310
PREROUTING: Final = 0
#: IP version → (its number, bytes of an address, where the source stands in the header).
SOURCES: Final = {4: (2, 4, 12), 6: (10, 16, 8)}
NETWORK_HEADER: Final = 1


class Block:
    """The set of blocked hosts of one namespace."""

    def __init__(self, netns: NetNs = None) -> None:
        """Put the table up.

        Raises:
            KernelError: the kernel refuses, or another guard has such a table.
        """
        self._link = within(path_of(netns), Netlink)
        try:
            self._link.transact("putting up the table of blocked hosts", install(), family=rules.FAMILY)
        except KernelError:
            self._link.close()
            raise

    def add(self, address: bytes, seconds: float) -> None:
        """Block a host for a time.

        Raises:
            KernelError: the kernel refuses.
        """
        name = f"hosts{4 if len(address) == 4 else 6}"
        item = nested(1, attribute(1, address)) + attribute(4, struct.pack("!Q", round(seconds * 1000)))
        body = table() + attribute(2, rules.text(name)) + nested(3, nested(1, item))
        self._link.transact("blocking a host", [(rules.NEWSETELEM, NLM_F_CREATE, body)], family=rules.FAMILY)

    def close(self) -> None:
        """Nobody is blocked any more."""
        with suppress(KernelError):
            self._link.transact("unblocking", [(rules.DELTABLE, 0, table())], family=rules.FAMILY)
        self._link.close()


def table() -> bytes:
    return attribute(1, rules.text(TABLE))


def install() -> list[Message]:
    """The messages that put it up."""
    made: list[Message] = [(rules.NEWTABLE, NLM_F_CREATE, table() + attribute(2, rules.be32(rules.OWNER)))]
    for version, (_, width, _) in SOURCES.items():
        kind = attribute(4, rules.be32(7 if version == 4 else 8)) + attribute(5, rules.be32(width))
        body = attribute(2, rules.text(f"hosts{version}")) + attribute(3, rules.be32(rules.SET_TIMEOUT)) + kind
        made.append((rules.NEWSET, NLM_F_CREATE, table() + body + attribute(10, rules.be32(version))))
    place = nested(4, attribute(1, rules.be32(PREROUTING)), attribute(2, struct.pack("!i", PRIORITY)))
    chain = table() + attribute(3, rules.text("arriving")) + place + attribute(5, rules.be32(rules.ACCEPT))
    made.append((rules.NEWCHAIN, NLM_F_CREATE, chain + attribute(7, rules.text("filter"))))
    for version, (nfproto, width, offset) in SOURCES.items():
        parts = [
            rules.meta(rules.META_NFPROTO, rules.FIRST),
            rules.compared(rules.FIRST, rules.CMP_EQ, bytes([nfproto])),
            rules.expression(
                "payload",
                attribute(1, rules.be32(rules.FIRST)),
                attribute(2, rules.be32(NETWORK_HEADER)),
                attribute(3, rules.be32(offset)),
                attribute(4, rules.be32(width)),
            ),
            rules.looked_up(f"hosts{version}", rules.FIRST),
            *rules.verdict(rules.DROP),
        ]
        rule = table() + attribute(2, rules.text("arriving")) + nested(4, *parts)
        made.append((rules.NEWRULE, NLM_F_CREATE | NLM_F_APPEND, rule))
    return made
