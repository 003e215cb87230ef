"""How long silent connections are kept: each timeout, the kernel's own value, what is too short or too long here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conntap.doctor.model import Entry, Level

if TYPE_CHECKING:
    from conntap.doctor.reading import Reading

__all__ = ["TIMEOUTS", "Timeout", "judge_timeout", "words"]

#: So many times shorter or longer than the kernel's own value is far from it.
FAR: Final = 10
#: A table as full as this makes long timeouts a burden.
BURDEN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Timeout:
    """One timeout, in seconds.

    Attributes:
        name: without `net.netfilter.`.
        default: the kernel's own value.
        what: of which connections.
        source: where it is defined.
        least: what a standard asks for at least; 0 nothing.
        standard: which.
    """

    name: str
    default: int
    what: str
    source: str
    least: int = 0
    standard: str = ""


def _tcp(state: str, default: int, what: str, least: int = 0, standard: str = "") -> Timeout:
    source = "net/netfilter/nf_conntrack_proto_tcp.c, tcp_timeouts"
    return Timeout(f"nf_conntrack_tcp_timeout_{state}", default, what, source, least, standard)


def _sctp(state: str, default: int, what: str) -> Timeout:
    source = "net/netfilter/nf_conntrack_proto_sctp.c, sctp_timeouts"
    return Timeout(f"nf_conntrack_sctp_timeout_{state}", default, what, source)


def _dccp(state: str, default: int) -> Timeout:
    source = "net/netfilter/nf_conntrack_proto_dccp.c, dccp_timeouts (before 6.16)"
    return Timeout(f"nf_conntrack_dccp_timeout_{state}", default, f"DCCP in state {state.upper()}", source)


# Defaults verified in a fresh namespace of Linux 6.18, tests/lab/doctor.
TIMEOUTS: Final = (
    _tcp("syn_sent", 120, "a SYN that nobody has answered"),
    _tcp("syn_recv", 60, "a handshake whose last ACK is missing"),
    _tcp("established", 432_000, "an open TCP connection that is silent", 7_440, "RFC 5382 REQ-5 asks for 2 h 4 min"),
    _tcp("fin_wait", 120, "one side has closed", 0),
    _tcp("close_wait", 60, "one side has closed and the other acknowledged"),
    _tcp("last_ack", 30, "both sides have closed, the last ACK is missing"),
    _tcp("time_wait", 120, "both sides have closed"),
    _tcp("close", 10, "ended by a RST"),
    _tcp("max_retrans", 300, "the same packet came too often without an answer"),
    _tcp("unacknowledged", 300, "data that nobody has acknowledged"),
    Timeout(
        "nf_conntrack_udp_timeout",
        30,
        "UDP without an answer, or just begun",
        "net/netfilter/nf_conntrack_proto_udp.c, udp_timeouts",
    ),
    Timeout(
        "nf_conntrack_udp_timeout_stream",
        120,
        "UDP in both directions for more than 2 s",
        "net/netfilter/nf_conntrack_proto_udp.c, udp_timeouts",
        120,
        "RFC 4787 REQ-5 asks for 2 min",
    ),
    Timeout("nf_conntrack_udplite_timeout", 30, "UDP-Lite without an answer", "net/netfilter/nf_conntrack_proto_udp.c"),
    Timeout(
        "nf_conntrack_udplite_timeout_stream",
        180,
        "UDP-Lite in both directions",
        "net/netfilter/nf_conntrack_proto_udp.c",
    ),
    Timeout(
        "nf_conntrack_icmp_timeout", 30, "a ping or another ICMP question", "net/netfilter/nf_conntrack_proto_icmp.c"
    ),
    Timeout("nf_conntrack_icmpv6_timeout", 30, "a ping of IPv6", "net/netfilter/nf_conntrack_proto_icmpv6.c"),
    Timeout(
        "nf_conntrack_gre_timeout", 30, "GRE without an answer", "net/netfilter/nf_conntrack_proto_gre.c, gre_timeouts"
    ),
    Timeout(
        "nf_conntrack_gre_timeout_stream",
        180,
        "GRE in both directions",
        "net/netfilter/nf_conntrack_proto_gre.c, gre_timeouts",
    ),
    Timeout("nf_conntrack_generic_timeout", 600, "any other protocol", "net/netfilter/nf_conntrack_proto_generic.c"),
    _sctp("closed", 10, "SCTP that is closed"),
    _sctp("cookie_wait", 3, "SCTP: INIT sent"),
    _sctp("cookie_echoed", 3, "SCTP: COOKIE ECHO sent"),
    _sctp("established", 210, "an open SCTP association that is silent"),
    _sctp("shutdown_sent", 3, "SCTP: SHUTDOWN sent"),
    _sctp("shutdown_recd", 3, "SCTP: SHUTDOWN received"),
    _sctp("shutdown_ack_sent", 3, "SCTP: SHUTDOWN ACK sent"),
    _sctp("heartbeat_sent", 30, "SCTP: a heartbeat on a new path"),
    _sctp("heartbeat_acked", 210, "SCTP: a heartbeat that was answered (before 6.2)"),
    _dccp("request", 240),
    _dccp("respond", 480),
    _dccp("partopen", 480),
    _dccp("open", 43_200),
    _dccp("closereq", 64),
    _dccp("closing", 64),
    _dccp("timewait", 240),
)


def judge_timeout(timeout: Timeout, value: int, seen: Reading) -> Entry:
    """How one timeout stands."""
    level: Level = "fine"
    back = f"sysctl -w net.netfilter.{timeout.name}={timeout.default}"
    why, todo = "the kernel's own value", ""
    if value != timeout.default:
        why = f"the kernel's own value is {words(timeout.default)}"
        level = "note"
        if value < timeout.least:
            level, todo = "todo", f"sysctl -w net.netfilter.{timeout.name}={timeout.least}"
            why = f"{timeout.standard}: connections that only wait are forgotten, and their next packet is lost"
        elif value * FAR <= timeout.default and not timeout.least:
            level, todo = "todo", back
            why += ": much shorter, connections that only wait are forgotten"
        elif value >= timeout.default * FAR:
            level, todo = "todo", back
            why += ": much longer, what has ended fills the table"
    count, most = seen.number("nf_conntrack_count") or 0, seen.number("nf_conntrack_max") or 0
    if timeout.name.endswith("tcp_timeout_established") and value > timeout.least and most and count / most >= BURDEN:
        level, todo = "todo", f"sysctl -w net.netfilter.{timeout.name}={timeout.least}"
        why = (
            f"the table is {count / most:.0%} full, and connections whose ends have vanished stay {words(value)}; "
            f"{timeout.standard}"
        )
    return Entry(
        group="timeouts", name=timeout.name, value=words(value), number=value, level=level, what=timeout.what, why=why,
        todo=todo, source=timeout.source,
    )  # fmt: skip


def words(seconds: int) -> str:
    """`5 d`, `2 h 4 min`, `30 s`."""
    if seconds >= 86_400 and seconds % 86_400 == 0:
        return f"{seconds // 86_400} d"
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts) or "0 s"
