"""The table of connections: its size, its hash, timeouts, and who listens (A014 to A017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.audit.finding import Evidence, Finding, Fix, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.view import View

__all__ = ["far_timeouts", "near_full", "not_reported", "small_hash"]

PREFIX: Final = "net.netfilter.nf_conntrack_"

#: Defaults in seconds of Linux 6.18 (nf_conntrack_proto_*.c) of the timeouts on which much depends.
DEFAULTS: Final = {
    "tcp_timeout_established": 432_000,
    "tcp_timeout_syn_sent": 120,
    "tcp_timeout_syn_recv": 60,
    "tcp_timeout_fin_wait": 120,
    "tcp_timeout_close_wait": 60,
    "tcp_timeout_last_ack": 30,
    "tcp_timeout_time_wait": 120,
    "tcp_timeout_close": 10,
    "udp_timeout": 30,
    "udp_timeout_stream": 120,
    "icmp_timeout": 30,
    "generic_timeout": 600,
}
#: RFC 5382, REQ-5: established connections of TCP must be kept for 2 hours and 4 minutes.
ESTABLISHED_LEAST: Final = 7_440
#: So many times longer or shorter than the default is far.
FAR: Final = 5
FULL, NEARLY = 0.95, 0.80
#: Entries a bucket at which a chain gets long (the kernel's own default is 1 or 4).
LOAD: Final = 8


def value(view: View, name: str) -> tuple[int | None, Evidence]:
    """A setting of connection tracking, as number and as evidence."""
    number = view.gateway.number(PREFIX + name)
    return number, Evidence("setting", setting=PREFIX + name, value="" if number is None else str(number))


def near_full(view: View) -> Iterator[Finding]:
    """A014: there is hardly room for new connections."""
    count, used = value(view, "count")
    limit, most = value(view, "max")
    if count is None or not limit or count < limit * NEARLY:
        return
    yield Finding(
        "A014",
        f"the table is {100 * count // limit} % full",
        Severity.HIGH if count >= limit * FULL else Severity.MEDIUM,
        (used, most),
        f"after {max(0, limit - count):,} more connections the kernel drops new ones of everybody; whoever "
        "opens many connections decides when",
        Fix(other=f"sysctl -w {PREFIX}max={2 * limit}\nsysctl -w {PREFIX}buckets={2 * limit}"),
        key="table",
    )


def small_hash(view: View) -> Iterator[Finding]:
    """A015: too few buckets."""
    buckets, has = value(view, "buckets")
    limit, most = value(view, "max")
    if not buckets or limit is None or limit <= LOAD * buckets:
        return
    yield Finding(
        "A015",
        f"the hash has {buckets:,} buckets for {limit:,} connections",
        Severity.LOW,
        (has, most),
        f"when the table is full each packet is compared with {limit // buckets} entries, and everything that "
        "passes gets slower",
        Fix(other=f"sysctl -w {PREFIX}buckets={limit}"),
        key="hash",
    )


def far_timeouts(view: View) -> Iterator[Finding]:
    """A016: a timeout far from the default."""
    for name, default in DEFAULTS.items():
        now, shown = value(view, name)
        if now is None or now == default:
            continue
        if name == "tcp_timeout_established":
            far = now < ESTABLISHED_LEAST or now > 2 * default
        else:
            far = now * FAR <= default or now >= FAR * default
        if not far:
            continue
        say = (
            f"connections that still live are forgotten after {now:,} s of silence, and their packets are "
            "INVALID or new then"
            if now < default
            else f"connections that are gone stay in the table for {now:,} s and fill it; whoever begins many "
            "keeps it full"
        )
        yield Finding(
            "A016",
            f"{name} is {now:,} s, the default is {default:,} s",
            Severity.LOW,
            (shown,),
            say,
            Fix(other=f"sysctl -w {PREFIX}{name}={default}"),
            key=name,
        )


def not_reported(view: View) -> Iterator[Finding]:
    """A017: somebody listens for what the kernel does not tell."""
    listeners = view.gateway.listeners
    if not listeners:
        return
    shown = Evidence(
        f"{len(listeners)} listening",
        setting="/proc/net/netlink",
        value=", ".join(str(one.port) for one in listeners),
    )
    for name, severity, say in (
        ("events", Severity.MEDIUM, "a logger listens and hears nothing: no connection is recorded"),
        ("acct", Severity.LOW, "a logger listens, and its records have no packets and no bytes"),
    ):
        now, has = value(view, name)
        if now == 0:
            yield Finding(
                "A017",
                f"nf_conntrack_{name} is off while somebody listens",
                severity,
                (shown, has),
                say,
                Fix(other=f"sysctl -w {PREFIX}{name}=1"),
                key=name,
            )
