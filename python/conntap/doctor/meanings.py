"""What the kernel's words about an INVALID packet mean: which check made them, what it says, what to do.

The words are those of `nf_l4proto_log_invalid` and `nf_ct_l4proto_log_invalid`, behind "nf_ct_proto_N: "; older
kernels had other ones, which are here too. Verified on Linux 6.18 in tests/lab/doctor are those that say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["MEANINGS", "UNKNOWN", "Meaning", "meaning", "words_of"]

TCP: Final = "nf_conntrack_proto_tcp.c"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One of the kernel's reasons.

    Attributes:
        id: stable, for programs.
        pattern: of the kernel's words.
        says: what it means, in words.
        check: the kernel's file and function.
        todo: what to do.
        passes: the packet was not INVALID: it was let pass without effect.
    """

    id: str
    pattern: str
    says: str
    check: str
    todo: str
    passes: bool = False


ASYMMETRIC: Final = (
    "see that both directions come through this machine and that nothing before it reorders or merges packets; "
    "nf_conntrack_tcp_be_liberal=1 if routes must be asymmetric"
)
LATE: Final = "harmless when it is rare: packets that come after their connection ended or timed out"
SENDER: Final = "look at who sends it: a scan, a broken stack, or a tunnel that cuts packets (MTU)"

MEANINGS: Final = (
    Meaning(
        "tcp_flags",
        r"invalid tcp flag combination",
        "flags that no TCP sends together, such as SYN and FIN",
        f"{TCP}, tcp_error",
        "a scan or an attack: drop it (ct state invalid drop)",
    ),
    Meaning(
        "tcp_new",
        r"invalid new",
        "it belongs to no connection and cannot begin one (no SYN)",
        f"{TCP}, tcp_new",
        f"{LATE}; many of them: a connection that went another way before, or timeouts that are too short",
    ),
    Meaning(
        "tcp_seq_over",
        r"SEQ is over (?:the )?upper bound",
        "data beyond the window that its receiver has offered",
        f"{TCP}, tcp_in_window",
        ASYMMETRIC,
    ),
    Meaning(
        "tcp_seq_under",
        r"SEQ is under (?:the )?lower bound",
        "old data, acknowledged long ago: a late repetition",
        f"{TCP}, tcp_in_window",
        "harmless when it is rare; many of them: the ACKs go another way, or get lost behind this machine",
        passes=True,
    ),
    Meaning(
        "tcp_ack_over",
        r"ACK is over (?:the )?upper bound",
        "it acknowledges data that this machine has not seen",
        f"{TCP}, tcp_in_window",
        ASYMMETRIC,
    ),
    Meaning(
        "tcp_ack_under",
        r"ACK (?:is )?under (?:the )?lower bound",
        "an ACK far below what was acknowledged already: it was on its way for long",
        f"{TCP}, tcp_in_window",
        "harmless when it is rare",
        passes=True,
    ),
    Meaning(
        "tcp_overshot",
        r"(?:\d+|N) bytes more than expected",
        "a little more data than the window has room for",
        f"{TCP}, tcp_in_window",
        "harmless: a sender that is ahead of a window update",
        passes=True,
    ),
    Meaning(
        "tcp_rst",
        r"invalid rst",
        "a RST below what its receiver has acknowledged: it may be forged, or late",
        f"{TCP}, nf_conntrack_tcp_packet",
        "when real resets are meant: nf_conntrack_tcp_ignore_invalid_rst=1, which lets forged ones through as well",
    ),
    Meaning(
        "tcp_ignored",
        r"packet \(index \d+\) in dir \d+ ignored, state|invalid packet ignored",
        "it does not fit the connection's state; this machine may be out of step: let pass, nothing changes",
        f"{TCP}, nf_conntrack_tcp_packet",
        "harmless when it is rare; a SYN in ESTABLISHED: a client that began anew with the same port",
        passes=True,
    ),
    Meaning(
        "tcp_state",
        r"packet \(index \d+\) in dir \d+ invalid, state|invalid state",
        "it does not fit the connection's state, such as SYN and ACK from the client",
        f"{TCP}, nf_conntrack_tcp_packet",
        SENDER,
    ),
    Meaning(
        "tcp_timeout_lowered",
        r"lower timeout to",
        "both sides want to end outside of the window: the entry's time is cut",
        f"{TCP}, nf_tcp_handle_invalid",
        "harmless",
    ),
    Meaning(
        "checksum",
        r"bad (?:hw )?(?:icmp |TCP |UDP |CRC |DCCP |udplite )?checksum|checksum failed|bad CRC",
        "its checksum is wrong: damaged on the way, or written by a program that leaves it to a card",
        "the protocol's error check, nf_checksum",
        "damage: look at ethtool -S of the interface it came by; otherwise turn checksum offload off where it is sent "
        "(ethtool -K IF tx off), or nf_conntrack_checksum=0",
    ),
    Meaning(
        "short",
        r"short packet|too short",
        "it ends within its own header",
        "the protocol's error check",
        SENDER,
    ),
    Meaning(
        "truncated",
        r"truncated(?:/malformed)? packet|invalid length",
        "its header says more than there is",
        "the protocol's error check",
        SENDER,
    ),
    Meaning(
        "icmp_type",
        r"invalid icmp type",
        "a type of ICMP that nobody knows",
        "nf_conntrack_proto_icmp.c, nf_conntrack_icmpv4_error",
        SENDER,
    ),
    Meaning(
        "icmp_elsewhere",
        r"outer daddr .* != inner",
        "an ICMP error about a connection of somebody else than it is sent to",
        "nf_conntrack_proto_icmp.c, nf_conntrack_inet_error",
        "forged, or sent by a router behind another NAT",
    ),
    Meaning(
        "udplite_coverage",
        r"invalid checksum coverage",
        "a checksum over more than there is, or over less than the header",
        "nf_conntrack_proto_udp.c, udplite_error",
        SENDER,
    ),
    Meaning(
        "udplite_none",
        r"checksum missing",
        "UDP-Lite without a checksum",
        "nf_conntrack_proto_udp.c, udplite_error",
        SENDER,
    ),
    Meaning(
        "sctp_chunks",
        r"do_basic_checks? failed|nf_ct_sctp: basic|(?:bad|invalid) chunk",
        "its chunks cannot stand together, or are none",
        "nf_conntrack_proto_sctp.c, do_basic_checks",
        SENDER,
    ),
    Meaning(
        "sctp_tag",
        r"verification tag|vtag",
        "its verification tag is not the association's",
        "nf_conntrack_proto_sctp.c, nf_conntrack_sctp_packet",
        f"{LATE}; or forged",
    ),
    Meaning(
        "dccp",
        r"nf_ct_dccp|invalid state transition|invalid packet$",
        "DCCP that does not fit its connection",
        "nf_conntrack_proto_dccp.c (before 6.16)",
        SENDER,
    ),
)

#: Where the words are none of these.
UNKNOWN: Final = Meaning("unknown", "", "words that are unknown to conntap", "", "the kernel's words tell")

PREFIX: Final = re.compile(r"^nf_ct_(?:proto_\d+|tcp|udp|udplite|icmp|icmpv6|sctp|dccp|gre)\s*:\s*")
COMPILED: Final = tuple((re.compile(known.pattern, re.IGNORECASE), known) for known in MEANINGS)
NUMBER: Final = re.compile(r"\b\d+\b")


def words_of(prefix: str) -> str | None:
    """The kernel's words without their head; None where it is no line about an INVALID packet."""
    found = PREFIX.match(prefix)
    return prefix[found.end() :].strip() if found else None


def meaning(words: str) -> Meaning:
    """What they mean."""
    return next((known for pattern, known in COMPILED if pattern.search(words)), UNKNOWN)


def without_numbers(words: str) -> str:
    """Equal lines differ in sequence numbers only; `dir 0` and `index 1` are kept."""
    return re.sub(r"(?<!index )(?<!dir )\b\d{3,}\b", "N", words)
