"""Settings of the kernel: reverse path, INVALID, how careful TCP is tracked (A010 to A013)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.audit.assigned import fits
from conntap.audit.finder import by_rule, evidence, key_of
from conntap.audit.finding import Evidence, Finding, Fix, Severity
from conntap.audit.fixes import drop_invalid
from conntap.audit.sides import NAMELESS
from conntap.rules.model import Span, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conntap.audit.view import View
    from conntap.rules.model import Rule
    from conntap.rules.packet import Answer

__all__ = ["invalid_accepted", "liberal", "loose", "reverse_path"]

TCP = 6
IPV4 = 4


def fib_rule(view: View, outside: str) -> bool:
    """Some rule drops what of IPv4 comes from there without a route back, or lets only the rest through."""
    for chain in view.gateway.rules.chains.values():
        for rule in chain.rules:
            if chain.place.family == "ip6" or not meets(rule, outside):
                continue
            asks = any("fib_saddr_oif" in one.fields or "rpfilter" in one.text for one in rule.conditions)
            if asks and any(isinstance(one, Verdict) for one in rule.statements):
                return True
    return False


def meets(rule: Rule, outside: str) -> bool:
    """The rule may be met by packets of IPv4 that come in by the interface."""
    for one in rule.conditions:
        for at, field in enumerate(one.fields):
            values = [value for row in one.rows for value in row[at]]
            if field == "iifname":
                fit = any(isinstance(value, str) and fits(value, outside) for value in values)
            elif field == "nfproto":
                fit = any(isinstance(value, Span) and value.first <= IPV4 <= value.last for value in values)
            else:
                continue
            if fit == one.negated and (len(one.fields) == 1 or not one.negated):
                return False
    return True


def reverse_path(view: View) -> Iterator[Finding]:
    """A010: source addresses are not checked against the routes."""
    every = view.gateway.number("net.ipv4.conf.all.rp_filter")
    for name in view.sides.outside:
        if name == NAMELESS["outside"] or fib_rule(view, name):
            continue
        own = view.gateway.number(f"net.ipv4.conf.{name.replace('.', '/')}.rp_filter")
        if own is None:
            own = view.gateway.number("net.ipv4.conf.default.rp_filter")
        if every is None or max(every, own or 0) > 0:
            continue  # the kernel takes the larger of the two
        yield Finding(
            "A010",
            f"no reverse-path check on {name}",
            Severity.LOW,
            (Evidence("both are off", setting=f"net.ipv4.conf.{{all,{name}}}.rp_filter", value="0"),),
            f"a host outside {name} may send packets with addresses of your own networks, and so begin or "
            "forge connections of hosts inside",
            Fix(
                nft="add rule inet filter prerouting fib saddr . iif oif missing drop",
                iptables="iptables -t raw -A PREROUTING -m rpfilter --invert -j DROP",
                other=f"sysctl -w net.ipv4.conf.{name}.rp_filter=1",
            ),
            key=name,
        )


def invalid_accepted(view: View) -> Iterator[Finding]:
    """A011: packets that belong to no connection are accepted."""
    inward: list[tuple[Answer, int, int, str | None, str | None]] = []
    outward: list[tuple[Answer, int, int, str | None, str | None]] = []
    for nfproto in (4, 6):
        for outside, inside in view.pairs:
            answer = view.packet(outside, inside, nfproto=nfproto, l4proto=TCP, state="invalid")
            inward.append((answer, nfproto, TCP, outside, inside))
            answer = view.packet(inside, outside, nfproto=nfproto, l4proto=TCP, state="invalid")
            outward.append((answer, nfproto, TCP, inside, outside))
    told: set[str] = set()
    for groups, severity, say in (
        (by_rule(inward), Severity.MEDIUM, "a stranger's packet that belongs to no connection reaches hosts inside"),
        (
            by_rule(outward),
            Severity.LOW,
            "a packet that belongs to no connection leaves"
            + (" without translation, with its inside address" if view.nat else ", and strangers learn from it"),
        ),
    ):
        for group in groups:
            key = key_of(group.step.rule, chain=group.step.chain)
            if not group.certain or key in told:
                continue
            told.add(key)
            yield Finding(
                "A011",
                "INVALID packets are accepted",
                severity,
                (evidence(group.step),),
                say,
                drop_invalid(view, group.step),
                key=key,
            )


def loose(view: View) -> Iterator[Finding]:
    """A012: connections are taken up in the middle."""
    if view.gateway.sysctl("net.netfilter.nf_conntrack_tcp_loose") in (None, "0"):
        return
    yield Finding(
        "A012",
        "TCP connections are taken up in the middle",
        Severity.INFO,
        (setting(view, "net.netfilter.nf_conntrack_tcp_loose"),),
        "a packet of TCP without SYN makes a new connection where rules accept new ones: after a reboot "
        "connections go on, and scans with ACK pass as new",
        Fix(other="sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"),
        key="tcp_loose",
    )


def liberal(view: View) -> Iterator[Finding]:
    """A013: TCP outside the window is not INVALID."""
    if view.gateway.sysctl("net.netfilter.nf_conntrack_tcp_be_liberal") in (None, "0"):
        return
    yield Finding(
        "A013",
        "TCP packets outside the window are accepted",
        Severity.LOW,
        (setting(view, "net.netfilter.nf_conntrack_tcp_be_liberal"),),
        "who knows addresses and ports of a connection may put packets into it without knowing its sequence numbers",
        Fix(other="sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0"),
        key="tcp_be_liberal",
    )


def setting(view: View, name: str) -> Evidence:
    """A setting as evidence."""
    return Evidence("setting", setting=name, value=view.gateway.sysctl(name) or "")
