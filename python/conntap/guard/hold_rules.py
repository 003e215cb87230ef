"""The rules that hold consists of, as nft text for people and as messages for the kernel.

Source: include/uapi/linux/netfilter/nf_tables.h; numbers of data types: nftables' datatype.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from conntap.guard.nft_wire import NLM_F_APPEND, NLM_F_CREATE, attribute, nested

if TYPE_CHECKING:
    from conntap.guard.subject import Subject

__all__ = [
    "DELTABLE",
    "FAMILY",
    "GETSETELEM",
    "GETTABLE",
    "TABLE",
    "Message",
    "add",
    "held_element",
    "install",
    "key_of",
    "remove",
    "rules_text",
    "table",
]

Message = tuple[int, int, bytes]

TABLE: Final = "conntap_guard"
#: NFPROTO_INET: one table for IPv4 and IPv6.
FAMILY: Final = 1
PRIORITY: Final = -10
HOOKS: Final = {"input": 1, "forward": 2}
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, NEWRULE, NEWSET = 0, 1, 2, 3, 6, 9
NEWSETELEM, GETSETELEM, DELSETELEM = 12, 13, 14
OWNER, PERSIST = 2, 4
SET_TIMEOUT, SET_EVAL = 0x10, 0x20
#: Registers of 4 bytes; the keys of a set are loaded one behind the other.
FIRST: Final = 8
CT_STATE, CT_STATUS, CT_PROTO_DST, CT_SRC, CT_DST, CT_SRC6, CT_DST6 = 0, 2, 12, 19, 20, 21, 22
META_NFPROTO, META_L4PROTO = 15, 16
CMP_EQ, CMP_NEQ = 0, 1
RELATED: Final = 4
EXPECTED, CONFIRMED = 1, 8
ICMPS: Final = (1, 58)
DROP, ACCEPT = 0, 1
#: How long a refused first packet is remembered, so that an expectation it used up can be put back, milliseconds.
HELD_MS: Final = 5_000
#: IP version → (its number, data type of addresses, bytes of one, ct keys of source and destination).
FAMILIES: Final = {4: (2, 7, 4, CT_SRC, CT_DST), 6: (10, 8, 16, CT_SRC6, CT_DST6)}
INET_PROTO, INET_SERVICE = 12, 13

TEXT: Final = """\
table inet {table} {{
{sets}{chains}}}
"""
SETS: Final = """\
    set approved{n} {{
        typeof ct original {ip} saddr . ct original {ip} daddr . meta l4proto . ct original proto-dst
        flags timeout
    }}
    set anybody{n} {{
        typeof ct original {ip} daddr . meta l4proto . ct original proto-dst
        flags timeout
    }}
    set held{n} {{
        typeof ct original {ip} daddr . meta l4proto . ct original proto-dst
        flags dynamic,timeout
    }}
"""
CHAIN: Final = """\
    chain {hook} {{
        type filter hook {hook} priority {priority}; policy accept;
{rules}    }}
"""
ASKED: Final = "meta l4proto != icmp meta l4proto != ipv6-icmp ct state related ct status expected / expected,confirmed"
ENDS: Final = "ct original {ip} daddr . meta l4proto . ct original proto-dst"
RULES: Final = (
    "meta nfproto {nfproto} {asked} ct original {ip} saddr . {ends} @approved{n} counter accept",
    "meta nfproto {nfproto} {asked} {ends} @anybody{n} counter accept",
    "meta nfproto {nfproto} {asked} add @held{n} {{ {ends} timeout 5s }} counter drop",
)


def rules_text() -> str:
    """What hold puts up, as nft lists it. nft 1.0.6 cannot load it: ports of ct in concatenations, and `persist`."""
    words = [(4, "ip", "ipv4"), (6, "ip6", "ipv6")]
    rules = "".join(
        f"        {rule.format(nfproto=nfproto, n=n, ip=ip, asked=ASKED, ends=ENDS.format(ip=ip))}\n"
        for n, ip, nfproto in words
        for rule in RULES
    )
    chains = "".join(CHAIN.format(hook=hook, priority=PRIORITY, rules=rules) for hook in HOOKS)
    return TEXT.format(table=TABLE, sets="".join(SETS.format(n=n, ip=ip) for n, ip, _ in words), chains=chains)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def be32(value: int) -> bytes:
    return struct.pack("!I", value)


def table() -> bytes:
    """The table's name."""
    return attribute(1, text(TABLE))


def expression(name: str, *inner: bytes) -> bytes:
    return nested(1, attribute(1, text(name)), nested(2, *inner))


def compared(register: int, operator: int, value: bytes) -> bytes:
    return expression("cmp", attribute(1, be32(register)), attribute(2, be32(operator)), nested(3, attribute(1, value)))


def masked(register: int, mask: int) -> bytes:
    return expression(
        "bitwise",
        attribute(1, be32(register)),
        attribute(2, be32(register)),
        attribute(3, be32(4)),
        nested(4, attribute(1, struct.pack("=I", mask))),
        nested(5, attribute(1, bytes(4))),
    )


def meta(key: int, register: int) -> bytes:
    return expression("meta", attribute(1, be32(register)), attribute(2, be32(key)))


def ct(key: int, register: int, *, original: bool = False) -> bytes:
    direction = [attribute(3, bytes([0]))] if original else []
    return expression("ct", attribute(1, be32(register)), attribute(2, be32(key)), *direction)


def asked(version: int) -> list[bytes]:
    """The first packet of a connection that was expected, of one IP version; no ICMP error about one."""
    nfproto, _, width, source, destination = FAMILIES[version]
    words = width // 4
    return [
        meta(META_NFPROTO, FIRST),
        compared(FIRST, CMP_EQ, bytes([nfproto])),
        meta(META_L4PROTO, FIRST),
        *(compared(FIRST, CMP_NEQ, bytes([protocol])) for protocol in ICMPS),
        ct(CT_STATE, FIRST),
        masked(FIRST, RELATED),
        compared(FIRST, CMP_NEQ, bytes(4)),
        ct(CT_STATUS, FIRST),
        masked(FIRST, EXPECTED | CONFIRMED),
        compared(FIRST, CMP_EQ, struct.pack("=I", EXPECTED)),
        # The expectation's own tuple is the connection's original one, before any translation.
        ct(source, FIRST, original=True),
        ct(destination, FIRST + words, original=True),
        meta(META_L4PROTO, FIRST + 2 * words),
        ct(CT_PROTO_DST, FIRST + 2 * words + 1, original=True),
    ]


def looked_up(name: str, register: int) -> bytes:
    return expression("lookup", attribute(1, text(name)), attribute(2, be32(register)))


def verdict(code: int) -> list[bytes]:
    """Count, and decide. NFTA_IMMEDIATE_DATA has a NFTA_DATA_VERDICT with its NFTA_VERDICT_CODE."""
    data = nested(2, nested(2, attribute(1, be32(code))))
    return [expression("counter"), expression("immediate", attribute(1, be32(0)), data)]


def remembered(name: str, register: int) -> bytes:
    return expression(
        "dynset",
        attribute(1, text(name)),
        attribute(3, be32(0)),
        attribute(4, be32(register)),
        attribute(6, struct.pack("!Q", HELD_MS)),
    )


def sets(version: int) -> list[Message]:
    _, address, width, _, _ = FAMILIES[version]
    made: list[Message] = []
    for name, addresses, flags in (
        ("approved", 2, SET_TIMEOUT),
        ("anybody", 1, SET_TIMEOUT),
        ("held", 1, SET_TIMEOUT | SET_EVAL),
    ):
        kind = 0
        for part in [address] * addresses + [INET_PROTO, INET_SERVICE]:
            kind = kind << 6 | part
        body = attribute(3, be32(flags)) + attribute(4, be32(kind)) + attribute(5, be32(width * addresses + 8))
        number = attribute(10, be32(version * 10 + len(made)))
        made.append((NEWSET, NLM_F_CREATE, table() + attribute(2, text(f"{name}{version}")) + body + number))
    return made


def install() -> list[Message]:
    """The messages that put it up, for one transaction; what a killed guard left is replaced without a moment open."""
    owned = (NEWTABLE, NLM_F_CREATE, table() + attribute(2, be32(OWNER | PERSIST)))
    made = [owned, (DELTABLE, 0, table()), owned, *sets(4), *sets(6)]
    for name, hook in HOOKS.items():
        body = table() + attribute(3, text(name))
        place = nested(4, attribute(1, be32(hook)), attribute(2, struct.pack("!i", PRIORITY)))
        made.append((NEWCHAIN, NLM_F_CREATE, body + place + attribute(5, be32(ACCEPT)) + attribute(7, text("filter"))))
        for version, (_, _, width, _, _) in FAMILIES.items():
            ends = FIRST + width // 4
            for last in (
                [looked_up(f"approved{version}", FIRST), *verdict(ACCEPT)],
                [looked_up(f"anybody{version}", ends), *verdict(ACCEPT)],
                [remembered(f"held{version}", ends), *verdict(DROP)],
            ):
                rule = table() + attribute(2, text(name)) + nested(4, *asked(version), *last)
                made.append((NEWRULE, NLM_F_CREATE | NLM_F_APPEND, rule))
    return made


def ends_of(subject: Subject) -> bytes:
    """The key of a destination: address, protocol, port, each filled up to four bytes."""
    return subject.dst + bytes([subject.protocol, 0, 0, 0]) + struct.pack("!HH", subject.dport, 0)


def key_of(subject: Subject) -> tuple[str, bytes]:
    """In which set a subject is, and as what."""
    version = 4 if len(subject.dst) == 4 else 6
    if subject.exact:
        return f"approved{version}", subject.src + ends_of(subject)
    return f"anybody{version}", ends_of(subject)


def element(name: str, key: bytes, milliseconds: int = 0) -> bytes:
    item = nested(1, attribute(1, key))
    if milliseconds:
        item += attribute(4, struct.pack("!Q", milliseconds))
    return table() + attribute(2, text(name)) + nested(3, nested(1, item))


def add(subject: Subject, milliseconds: int) -> Message:
    """The message that approves a subject for a time."""
    return NEWSETELEM, NLM_F_CREATE, element(*key_of(subject), milliseconds)


def remove(subject: Subject) -> Message:
    """The message that takes the approval back."""
    return DELSETELEM, 0, element(*key_of(subject))


def held_element(subject: Subject) -> bytes:
    """What asks whether a first packet to this destination was dropped lately."""
    return element(f"held{4 if len(subject.dst) == 4 else 6}", ends_of(subject))
