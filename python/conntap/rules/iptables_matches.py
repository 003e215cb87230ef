"""What the matches of iptables ask, as conditions; a match that is not understood is a condition that says so.

Source: iptables-extensions(8), net/netfilter/xt_NAME.c of each.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from conntap.rules.model import ANY_PORT, Condition, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.rules.iptables_words import Group, Option
    from conntap.rules.model import Value

    Reads = Callable[[Option, Group, str, int], list[Condition]]

__all__ = ["conditions", "number", "ports"]

#: Some packets fit and others of equal look do not.
CHANCE: Final = {
    "limit",
    "hashlimit",
    "recent",
    "statistic",
    "quota",
    "time",
    "connlimit",
    "connbytes",
    "rateest",
    "cpu",
}
PROTOCOLS: Final = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50,
    "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "icmp6": 58, "ospf": 89, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
STATES: Final = {"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"}
STATUSES: Final = {
    "EXPECTED": "expected",
    "SEEN_REPLY": "seen-reply",
    "ASSURED": "assured",
    "CONFIRMED": "confirmed",
    "SNAT": "snat",
    "DNAT": "dnat",
}
#: Options that belong to no match.
GENERAL: Final = {
    *("-p", "--protocol", "--proto", "-s", "--source", "--src", "-d", "--destination", "--dst"),
    *("-i", "--in-interface", "-o", "--out-interface", "-c", "--set-counters", "-f", "--fragment"),
}
SERVICES: Final = {"ftp": 21, "ssh": 22, "domain": 53, "tftp": 69, "http": 80, "https": 443, "sip": 5060}


class UnknownError(Exception):
    """A match asks something that is not understood."""


def conditions(group: Group, nfproto: int) -> list[Condition]:
    """The conditions of one match, or of what stands before all of them."""
    found: list[Condition] = []
    own = [option for option in group.options if option.name not in GENERAL]
    for option in (option for option in group.options if option.name in GENERAL):  # they may stand anywhere
        found += _asked(general, option, group, nfproto)
    reads = MATCHES.get(group.name)
    if group.name == "comment" or (not group.name and not own):
        return found
    if reads is None:
        return [*found, Condition((), chance=group.name in CHANCE, text=group.text)]
    return [*found, *(one for option in own for one in _asked(reads, option, group, nfproto))]


def _asked(reads: Reads, option: Option, group: Group, nfproto: int) -> list[Condition]:
    text = " ".join([*(["!"] if option.negated else []), option.name, *option.values])
    try:
        return reads(option, group, text, nfproto)
    except (UnknownError, ValueError):
        return [Condition((), text=text)]


def one(field: str, values: tuple[Value, ...], option: Option, text: str, mask: int | None = None) -> list[Condition]:
    """A condition on one field."""
    return [Condition((field,), ((values,),), option.negated, text=text, mask=mask)]


def number(text: str) -> int:
    """A number as iptables writes it: decimal, 0x…, 0….

    Raises:
        UnknownError: it is none.
    """
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        raise UnknownError from None


def ports(text: str) -> Span:
    """`80`, `1024:65535`, `1024:`, `1024-65535`, or a service's name.

    Raises:
        UnknownError: it is none.
    """
    first, colon, last = text.replace("-", ":").partition(":") if text[:1].isdigit() or ":" in text else (text, "", "")
    low = port(first) if first else 0
    return Span(low, (port(last) if last else 65535) if colon else low)


def port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    if text in SERVICES:
        return SERVICES[text]
    try:
        return socket.getservbyname(text)
    except (OSError, ValueError):
        raise UnknownError from None


def network(text: str, nfproto: int) -> Span:
    """`10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::1`.

    Raises:
        ValueError: it is none of that IP version.
    """
    found = ip_network(text, strict=False)
    if found.version != nfproto:
        raise UnknownError
    return Span(int(found.network_address), int(found.broadcast_address))


def interface(text: str) -> str:
    """`eth+` is any that begins so."""
    return f"{text[:-1]}*" if text.endswith("+") else text


def general(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """-p -s -d -i -o."""
    match option.name:
        case "-p" | "--protocol" | "--proto":
            name = option.value.lower()
            if name in ("all", "0"):
                return []
            known = PROTOCOLS[name] if name in PROTOCOLS else number(name)
            return one("l4proto", (Span(known, known),), option, text)
        case "-s" | "--source" | "--src":
            return one("saddr", (network(option.value, nfproto),), option, text)
        case "-d" | "--destination" | "--dst":
            return one("daddr", (network(option.value, nfproto),), option, text)
        case "-i" | "--in-interface":
            return one("iifname", (interface(option.value),), option, text)
        case "-o" | "--out-interface":
            return one("oifname", (interface(option.value),), option, text)
        case "-c" | "--set-counters":
            return []
        case _:
            raise UnknownError


def transport(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """Ports and flags of tcp, udp, sctp, dccp."""
    match option.name:
        case "--dport" | "--destination-port":
            return one("dport", (ports(option.value),), option, text)
        case "--sport" | "--source-port":
            return one("sport", (ports(option.value),), option, text)
        case "--tcp-flags" if len(option.values) == 2:
            mask, wanted = (word.lower() for word in option.values)
            return one("tcp_flags", (f"{flags(wanted)} / {flags(mask)}",), option, text)
        case "--syn":
            return one("tcp_flags", ("syn / fin,syn,rst,ack",), option, text)
        case _:
            raise UnknownError


def flags(words: str) -> str:
    every = {"fin", "syn", "rst", "psh", "ack", "urg"}
    found = every if words == "all" else set(words.split(",")) - {"none"}
    if not found <= every:
        raise UnknownError
    return ",".join(sorted(found)) or "0"


def multiport(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """--dports --sports --ports; the last ones fit on either side."""
    spans = tuple(ports(part) for part in option.value.split(","))
    match option.name:
        case "--dports" | "--destination-ports":
            return one("dport", spans, option, text)
        case "--sports" | "--source-ports":
            return one("sport", spans, option, text)
        case "--ports":
            return [
                Condition(("sport", "dport"), ((spans, (ANY_PORT,)), ((ANY_PORT,), spans)), option.negated, text=text)
            ]
        case _:
            raise UnknownError


def conntrack(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """States, statuses, original ends."""
    words = option.value.upper().split(",")
    match option.name:
        case "--ctstate" | "--state":
            states, others = [word for word in words if word in STATES], [word for word in words if word not in STATES]
            if others and (states or not {"SNAT", "DNAT"} >= set(others)):
                raise UnknownError  # either this state or that translation
            if others:
                return one("ct_status", tuple(STATUSES[word] for word in others), option, text)
            return one("ct_state", tuple(word.lower() for word in states), option, text)
        case "--ctstatus":
            if not set(words) <= STATUSES.keys():
                raise UnknownError
            return one("ct_status", tuple(STATUSES[word] for word in words), option, text)
        case "--ctproto":
            name = option.value.lower()
            known = PROTOCOLS[name] if name in PROTOCOLS else number(name)
            return one("ct_protocol", (Span(known, known),), option, text)
        case "--ctorigsrc":
            return one("ct_original_saddr", (network(option.value, nfproto),), option, text)
        case "--ctorigdst":
            return one("ct_original_daddr", (network(option.value, nfproto),), option, text)
        case "--ctorigdstport":
            return one("ct_original_dport", (ports(option.value),), option, text)
        case "--ctdir":
            return one("ct_direction", (option.value.lower(),), option, text)
        case _:
            raise UnknownError


def helper(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """Of a RELATED packet its master's helper; "" is any (xt_helper.c compares as far as the helper's name goes)."""
    if option.name != "--helper" or len(option.values) > 1:
        raise UnknownError
    if not option.value:
        return [Condition(("ct_helper",), ((("",),),), not option.negated, text=text)]
    return one("ct_helper", (option.value,), option, text)


def mark(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """`--mark 0x1/0xff` of the packet, or of the connection."""
    if option.name != "--mark":
        raise UnknownError
    value, slash, mask = option.value.partition("/")
    known = number(value)
    field = "mark" if group.name == "mark" else "ct_mark"
    return one(
        field, (Span(known, known),), option, text, number(mask) if slash and number(mask) != 0xFFFFFFFF else None
    )


def icmp(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """`--icmp-type 8`; with a code only the type is told apart."""
    if option.name not in ("--icmp-type", "--icmpv6-type"):
        raise UnknownError
    if option.value in ("any", "255"):
        return []
    kind, slash, _ = option.value.partition("/")
    found = one("icmp_type", (Span(number(kind), number(kind)),), option, text)
    return [*found, Condition((), text=text)] if slash else found


def addrtype(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """What the destination is to the routing table."""
    if option.name != "--dst-type" or any(other.name.startswith("--limit") for other in group.options):
        raise UnknownError
    return one("fib_daddr_type", tuple(option.value.lower().split(",")), option, text)


def rpfilter(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """Is there a way back by the interface it came in by? `--invert` asks for packets that have none."""
    if option.name == "--invert":
        return [Condition(("fib_saddr_oif",), ((("missing",),),), text=text)]
    raise UnknownError


def pkttype(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """Unicast is "host" to the kernel."""
    if option.name != "--pkt-type" or option.value not in ("unicast", "broadcast", "multicast"):
        raise UnknownError
    return one("pkttype", ("host" if option.value == "unicast" else option.value,), option, text)


def iprange(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """`--src-range 10.0.0.1-10.0.0.9`."""
    first, dash, last = option.value.partition("-")
    low, high = ip_address(first), ip_address(last if dash else first)
    if low.version != nfproto or high.version != nfproto:
        raise UnknownError
    field = {"--src-range": "saddr", "--dst-range": "daddr"}.get(option.name)
    if field is None:
        raise UnknownError
    return one(field, (Span(int(low), int(high)),), option, text)


def named_set(option: Option, group: Group, text: str, nfproto: int) -> list[Condition]:
    """An ipset: what is in it, iptables-save does not tell, and others may change it."""
    if option.name != "--match-set" or len(option.values) != 2:
        raise UnknownError
    fields = tuple({"src": "saddr", "dst": "daddr"}.get(side, "") for side in option.values[1].split(","))
    if "" in fields:
        raise UnknownError
    return [Condition(fields[:1], (), option.negated, grows=True, text=text)]


MATCHES: Final[dict[str, Reads]] = {
    "": general,
    **dict.fromkeys(("tcp", "udp", "udplite", "sctp", "dccp"), transport),
    "multiport": multiport,
    "mport": multiport,
    "conntrack": conntrack,
    "state": conntrack,
    "helper": helper,
    "mark": mark,
    "connmark": mark,
    "icmp": icmp,
    "icmp6": icmp,
    "icmpv6": icmp,
    "addrtype": addrtype,
    "rpfilter": rpfilter,
    "pkttype": pkttype,
    "iprange": iprange,
    "set": named_set,
}
