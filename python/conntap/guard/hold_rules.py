"""The rules that hold consists of, as nft text for people and as messages for the kernel.

Source: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
from typing import Final

from conntap.guard.nft_wire import NLM_F_APPEND, NLM_F_CREATE, attribute, nested

__all__ = ["DELTABLE", "FAMILY", "GETTABLE", "QUEUE", "TABLE", "element", "install", "rules_text", "table"]

TABLE: Final = "conntap_guard"
SET: Final = "let_in"
QUEUE: Final = 4747
#: NFPROTO_INET: one table for IPv4 and IPv6.
FAMILY: Final = 1
PRIORITY: Final = -10
HOOKS: Final = {"input": 1, "forward": 2}
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM = 0, 1, 2, 3, 6, 9, 12
OWNER, PERSIST = 2, 4
SET_TIMEOUT: Final = 0x10
REG: Final = 1
CT_STATE, CT_STATUS, CT_ID = 0, 2, 23
META_L4PROTO: Final = 16
CMP_EQ, CMP_NEQ = 0, 1
RELATED: Final = 4
EXPECTED: Final = 1
ICMPS: Final = (1, 58)
KEY_TYPE: Final = 0
ACCEPT: Final = 1


def rules_text(queue: int = QUEUE) -> str:
    """What hold puts up, as nft writes it. `persist` and the owner are the guard's."""
    chains = "".join(
        f"""\
    chain {name} {{
        type filter hook {name} priority {PRIORITY}; policy accept;
        meta l4proto != icmp meta l4proto != ipv6-icmp ct state related ct status expected ct id @{SET} counter accept
        meta l4proto != icmp meta l4proto != ipv6-icmp ct state related ct status expected counter queue num {queue}
    }}
"""
        for name in HOOKS
    )
    return f"""\
table inet {TABLE} {{
    set {SET} {{
        typeof ct id
        flags timeout
    }}
{chains}}}
"""


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def be32(value: int) -> bytes:
    return struct.pack("!I", value)


def table() -> bytes:
    """The table's name."""
    return attribute(1, text(TABLE))


def expression(name: str, *inner: bytes) -> bytes:
    return nested(1, attribute(1, text(name)), nested(2, *inner))


def compared(operator: int, value: bytes) -> bytes:
    return expression("cmp", attribute(1, be32(REG)), attribute(2, be32(operator)), nested(3, attribute(1, value)))


def has_bit(key: int, bit: int) -> list[bytes]:
    """A field of ct has this bit."""
    mask, zero = struct.pack("=I", bit), bytes(4)
    return [
        expression("ct", attribute(1, be32(REG)), attribute(2, be32(key))),
        expression(
            "bitwise",
            attribute(1, be32(REG)),
            attribute(2, be32(REG)),
            attribute(3, be32(4)),
            nested(4, attribute(1, mask)),
            nested(5, attribute(1, zero)),
        ),
        compared(CMP_NEQ, zero),
    ]


def of_expected() -> list[bytes]:
    """A RELATED packet of a connection that was expected; not an ICMP error about one."""
    parts = [expression("meta", attribute(1, be32(REG)), attribute(2, be32(META_L4PROTO)))]
    parts += [compared(CMP_NEQ, bytes([protocol])) for protocol in ICMPS]
    return [*parts, *has_bit(CT_STATE, RELATED), *has_bit(CT_STATUS, EXPECTED)]


def let_in() -> list[bytes]:
    """Its id is in the set: accept."""
    return [
        expression("ct", attribute(1, be32(REG)), attribute(2, be32(CT_ID))),
        expression("lookup", attribute(1, text(SET)), attribute(2, be32(REG)), attribute(4, be32(1))),
        expression("counter"),
        # NFTA_IMMEDIATE_DATA → NFTA_DATA_VERDICT → NFTA_VERDICT_CODE.
        expression("immediate", attribute(1, be32(0)), nested(2, nested(2, attribute(1, be32(ACCEPT))))),
    ]


def queued(number: int) -> list[bytes]:
    return [
        expression("counter"),
        expression("queue", attribute(1, struct.pack("!H", number)), attribute(2, struct.pack("!H", 1))),
    ]


def install(queue: int) -> list[tuple[int, int, bytes]]:
    """The messages that put it up. The first alone adopts a table that its owner has left."""
    made = [(NEWTABLE, NLM_F_CREATE, table() + attribute(2, be32(OWNER | PERSIST)))]
    made.append(
        (
            NEWSET,
            NLM_F_CREATE,
            table()
            + attribute(2, text(SET))
            + attribute(3, be32(SET_TIMEOUT))
            + attribute(4, be32(KEY_TYPE))
            + attribute(5, be32(4))
            + attribute(10, be32(1)),
        )
    )
    for name, hook in HOOKS.items():
        body = table() + attribute(3, text(name))
        place = nested(4, attribute(1, be32(hook)), attribute(2, struct.pack("!i", PRIORITY)))
        made.append((NEWCHAIN, NLM_F_CREATE, body + place + attribute(5, be32(ACCEPT)) + attribute(7, text("filter"))))
        for last in (let_in(), queued(queue)):
            rule = table() + attribute(2, text(name)) + nested(4, *of_expected(), *last)
            made.append((NEWRULE, NLM_F_CREATE | NLM_F_APPEND, rule))
    return made


def element(connection: int, milliseconds: int) -> tuple[int, int, bytes]:
    """The message that lets a connection's further packets pass for a time."""
    key = nested(1, attribute(1, struct.pack("=I", connection)))
    item = nested(1, key, attribute(4, struct.pack("!Q", milliseconds)))
    return NEWSETELEM, NLM_F_CREATE, table() + attribute(2, text(SET)) + nested(3, item) if False else (
        attribute(1, text(TABLE)) + attribute(2, text(SET)) + nested(3, item)
    )
