"""How long a connection lives: which setting gives its time, and what would end it before."""

from __future__ import annotations

from typing import Final

__all__ = ["seconds", "setting_of", "what_ends"]

#: Of TCP, state → the setting's name, without `nf_conntrack_`. Source: nf_conntrack_proto_tcp.c, tcp_timeouts.
TCP: Final = {
    "SYN_SENT": "tcp_timeout_syn_sent",
    "SYN_SENT2": "tcp_timeout_syn_sent",
    "SYN_RECV": "tcp_timeout_syn_recv",
    "ESTABLISHED": "tcp_timeout_established",
    "FIN_WAIT": "tcp_timeout_fin_wait",
    "CLOSE_WAIT": "tcp_timeout_close_wait",
    "LAST_ACK": "tcp_timeout_last_ack",
    "TIME_WAIT": "tcp_timeout_time_wait",
    "CLOSE": "tcp_timeout_close",
}
OTHERS: Final = {1: "icmp_timeout", 58: "icmpv6_timeout"}
#: With an answer there is a longer one.
STREAMS: Final = {17: "udp_timeout", 47: "gre_timeout", 136: "udplite_timeout"}
ENDED: Final = frozenset({"TIME_WAIT", "CLOSE", "LAST_ACK"})


def setting_of(l4proto: int, state: str | None, *, assured: bool) -> str:
    """The setting that a packet renews the connection's time from, without `nf_conntrack_`."""
    if l4proto == 6:
        return TCP.get(state or "", "tcp_timeout_established")
    if l4proto == 132:
        return f"sctp_timeout_{(state or 'established').lower()}"
    if l4proto in STREAMS:
        return STREAMS[l4proto] + ("_stream" if assured else "")
    return OTHERS.get(l4proto, "generic_timeout")


def what_ends(l4proto: int, state: str | None, *, assured: bool, fixed: bool, source_nat: bool) -> list[str]:
    """What would end it, in words, the likeliest first."""
    found: list[str] = []
    if fixed:
        found.append("its time does not run by packets (fixed timeout)")
    elif l4proto == 6 and state in ENDED:
        found.append("it has ended and is kept for late packets; a new SYN with the same ports takes its place")
    elif l4proto == 6:
        found.append("a RST, or FIN from both sides")
        found.append("silence for as long as the setting says: each packet renews it")
    else:
        found.append("silence: each packet renews its time")
    if not assured:
        found.append("a full table: it is not assured, and gives way to new ones")
    if source_nat:
        found.append("where it is masqueraded: its interface goes down, or loses that address")
    found.append("conntap delete")
    return found


def seconds(value: int) -> str:
    """`4 min 59 s`, `5 d`."""
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, value = divmod(value, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"
