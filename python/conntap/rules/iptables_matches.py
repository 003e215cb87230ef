"""What rules of iptables ask: matches as conditions.

Source: iptables(8), iptables-extensions(8); what a match compares as the kernel does it: net/netfilter/xt_conntrack.c,
xt_helper.c, xt_multiport.c, xt_tcpudp.c, xt_mark.c, xt_addrtype.c, ipt_rpfilter.c, xt_recent.c.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from conntap.rules.model import ANY_PORT, Condition, Span
from conntap.rules.nft_values import ICMP, ICMPV6, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.rules.iptables_words import Option
    from conntap.rules.model import Value

__all__ = ["BASIC", "OF_PROTOCOL", "asked", "number", "owns", "protocol", "unread"]

#: Options that every rule has, without `-m`.
BASIC: Final = {"-p", "-s", "-d", "-i", "-o", "-f"}
#: Some packets fit, others of equal look do not.
CHANCES: Final = {
    *("limit", "hashlimit", "recent", "statistic", "quota", "time", "connlimit", "connbytes", "cpu", "rateest", "nth"),
    *("random", "quota2", "fuzzy", "cluster"),
    # What the sender writes into the header as it likes:
    *("rt", "hl", "ttl", "dscp", "tos", "ecn", "frag", "hbh", "dst", "ipv6header"),
}
#: Every packet fits.
NEUTRAL: Final = {"comment"}
#: Options by which a match is known without `-m`, for `-p` names it.
OF_PROTOCOL: Final = {
    **dict.fromkeys(("--sport", "--source-port", "--dport", "--destination-port"), "tcp"),
    **dict.fromkeys(("--tcp-flags", "--syn"), "tcp"),
    "--icmp-type": "icmp",
    "--icmpv6-type": "icmp6",
}
STATES: Final = ("new", "established", "related", "invalid", "untracked")
STATUSES: Final = {
    "EXPECTED": "expected",
    "SEEN_REPLY": "seen-reply",
    "ASSURED": "assured",
    "CONFIRMED": "confirmed",
}
ALL_FLAGS: Final = ("fin", "syn", "rst", "psh", "ack", "urg")
FLAGS: Final = {*ALL_FLAGS, "all", "none"}
MARK: Final = 0xFFFFFFFF
#: What `-m addrtype` knows and rules here can tell.
TYPES: Final = {"LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "ANYCAST"}
PACKETS: Final = {"unicast", "broadcast", "multicast", "host"}
#: Names that iptables knows besides nft's.
TRANSPORTS: Final = {**PROTOCOLS, "ipv6-icmp": 58, "icmp6": 58, "ospfigp": 89, "ip-encap": 4}


def asked(match: str, options: list[Option], nfproto: int) -> tuple[Condition, ...]:
    """The conditions of one match, made once for all rules that ask the same; see `_asked`."""
    return _asked(match, tuple(options), nfproto)


@lru_cache(maxsize=4096)
def _asked(match: str, options: tuple[Option, ...], nfproto: int) -> tuple[Condition, ...]:
    """The conditions of one match (`-m conntrack --ctstate …`) with its options; "" of those without `-m`."""
    if match in NEUTRAL or (match == "recent" and options and str(options[0]) == "--set"):
        return ()  # `recent --set` notes the address and fits
    text = " ".join((*(("-m", match) if match else ()), *(str(one) for one in options)))
    if match in CHANCES:
        return (Condition((), chance=True, text=text),)
    if match == "set":
        return (Condition((), negated=any(one.negated for one in options), grows=True, text=text),)
    if match == "rpfilter":
        return (_reverse_path(options, text),)
    found: list[Condition] = []
    for option in options:
        how = MATCHES.get(match, {}).get(option.name)
        implied = OF_PROTOCOL.get(option.name)
        if how is None and implied is not None:
            how = MATCHES[implied][option.name]
        try:
            if how is None:
                raise ValueError(option.name)
            found += how(option, nfproto)
        except ValueError:
            found.append(unread(f"-m {match} {option}" if match else str(option)))
    if not options and match not in MATCHES:
        found.append(unread(text))
    return tuple(found)


def owns(match: str, option: str) -> bool:
    """An option is this match's own."""
    return option in MATCHES.get(match, {})


def unread(text: str) -> Condition:
    """A condition that is not understood."""
    return Condition((), text=text)


def _one(option: Option) -> str:
    if len(option.values) != 1:
        raise ValueError(str(option))
    return option.values[0]


def _condition(field: str, values: tuple[Value, ...], option: Option, mask: int | None = None) -> list[Condition]:
    return [Condition((field,), ((values,),), option.negated, text=str(option), mask=mask)]


def number(text: str, largest: int) -> int:
    """A number as iptables writes it: 10, 0x0a.

    Raises:
        ValueError: it is none, or too large.
    """
    if not text[:1].isdigit() or not text.isascii() or "_" in text:
        raise ValueError(text)
    found = int(text, 16) if text[:2].lower() == "0x" else int(text, 8 if text[0] == "0" and text != "0" else 10)
    if found > largest:
        raise ValueError(text)
    return found


def protocol(text: str) -> int:
    """The number of a transport protocol; 0 of all.

    Raises:
        ValueError: it is not known.
    """
    if text.lower() == "all":
        return 0
    known = TRANSPORTS.get(text.lower())
    return number(text, 255) if known is None else known


def _protocol(option: Option, _nfproto: int) -> list[Condition]:
    found = protocol(_one(option))
    if found == 0 and not option.negated:
        return []
    return _condition("l4proto", (Span(found, found),), option)


def _address(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, nfproto: int) -> list[Condition]:
        spans = tuple(_network(part, nfproto) for part in _one(option).split(","))
        return _condition(field, spans, option)

    return read


def _network(text: str, nfproto: int) -> Span:
    """An address, a prefix, or an address with a mask.

    Raises:
        ValueError: it is none of this IP version; a mask with holes, a name.
    """
    address, slash, mask = text.partition("/")
    bits, kind = (32, socket.AF_INET) if nfproto == 4 else (128, socket.AF_INET6)
    try:
        number_of = int.from_bytes(socket.inet_pton(kind, address))
        if mask.isascii() and mask.isdigit():
            length = int(mask)
        else:
            length = _length(int.from_bytes(socket.inet_pton(kind, mask)), bits) if slash else bits
    except OSError:
        raise ValueError(text) from None
    if length > bits:
        raise ValueError(text)
    rest = (1 << (bits - length)) - 1
    return Span(number_of & ~rest, number_of | rest)


def _length(mask: int, bits: int) -> int:
    """The length of a prefix that is written as a mask.

    Raises:
        ValueError: it has holes.
    """
    length = mask.bit_count()
    if mask != ((1 << length) - 1) << (bits - length):
        raise ValueError("a mask with holes")
    return length


def _addresses(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, nfproto: int) -> list[Condition]:
        first, dash, last = _one(option).partition("-")
        low = _network(first, nfproto)
        high = _network(last, nfproto) if dash else low
        if low.first > high.last or "/" in option.values[0]:
            raise ValueError(str(option))
        return _condition(field, (Span(low.first, high.last),), option)

    return read


def _fragment(option: Option, _nfproto: int) -> list[Condition]:
    """Where connections are tracked packets are whole."""
    if not option.negated or option.values:
        raise ValueError(str(option))
    return []


def _interface(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, _nfproto: int) -> list[Condition]:
        name = _one(option)
        if name == "+" and not option.negated:
            return []
        if "*" in name or not name:  # no pattern to iptables, and none of its names
            raise ValueError(name)
        return _condition(field, (f"{name[:-1]}*" if name.endswith("+") else name,), option)

    return read


def _span(text: str) -> Span:
    """`21`, `1024:65535`, `1024:`, `:1023`; names of services are not known here.

    Raises:
        ValueError: it is none.
    """
    first, colon, last = text.partition(":")
    low = number(first, 65535) if first or not colon else 0
    high = (number(last, 65535) if last else 65535) if colon else low
    if low > high:
        raise ValueError(text)
    return Span(low, high)


def _port(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, _nfproto: int) -> list[Condition]:
        return _condition(field, (_span(_one(option)),), option)

    return read


def _ports(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, _nfproto: int) -> list[Condition]:
        return _condition(field, tuple(_span(part) for part in _one(option).split(",")), option)

    return read


def _either_port(option: Option, _nfproto: int) -> list[Condition]:
    spans = tuple(_span(part) for part in _one(option).split(","))
    rows = ((spans, (ANY_PORT,)), ((ANY_PORT,), spans))
    return [Condition(("sport", "dport"), rows, option.negated, text=str(option))]


def _state(option: Option, _nfproto: int) -> list[Condition]:
    words = [word.strip().lower() for word in _one(option).split(",")]
    states = tuple(word for word in words if word in STATES)
    turned = tuple(word for word in words if word in ("snat", "dnat"))
    if not words or len(states) + len(turned) != len(words):
        raise ValueError(str(option))
    if not turned:
        return _condition("ct_state", states, option)
    # "or" over two fields; a packet without an entry has no status, so `!` and the states without one are left alone
    if option.negated or {"invalid", "untracked"} & set(states):
        raise ValueError(str(option))
    if not states:
        return _condition("ct_status", turned, option)
    rows = ((states, ("*",)), (STATES, turned))
    return [Condition(("ct_state", "ct_status"), rows, text=str(option))]


def _status(option: Option, _nfproto: int) -> list[Condition]:
    words = _one(option).upper().split(",")
    if any(word not in STATUSES for word in words):
        raise ValueError(str(option))
    return _condition("ct_status", tuple(STATUSES[word] for word in words), option)


def _direction(option: Option, _nfproto: int) -> list[Condition]:
    word = _one(option).lower()
    if word not in ("original", "reply"):
        raise ValueError(word)
    return _condition("ct_direction", (word,), option)


def _tracked_protocol(option: Option, _nfproto: int) -> list[Condition]:
    found = protocol(_one(option))
    return _condition("ct_protocol", (Span(found, found),), option)


def _helper(option: Option, _nfproto: int) -> list[Condition]:
    """The kernel compares as many letters as the helper's own name has: `ftp-2121` fits "ftp", too."""
    name = _one(option)
    base = name.partition("-")[0]
    values = (name,) if base == name else (name, base)
    return _condition("ct_helper", values if name else ("*",), option)


def _mark(field: str) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, _nfproto: int) -> list[Condition]:
        value, slash, mask = _one(option).partition("/")
        wanted = number(value, MARK)
        return _condition(field, (Span(wanted, wanted),), option, number(mask, MARK) if slash else None)

    return read


def _flags(option: Option, _nfproto: int) -> list[Condition]:
    if option.name == "--syn":
        mask, wanted = "fin,syn,rst,ack", "syn"
    elif len(option.values) == 2:
        mask, wanted = (value.lower() for value in option.values)
    else:
        raise ValueError(str(option))
    if not set(f"{mask},{wanted}".split(",")) <= FLAGS:
        raise ValueError(str(option))
    mask = ",".join(ALL_FLAGS) if "all" in mask.split(",") else mask
    wanted = ",".join(ALL_FLAGS) if "all" in wanted.split(",") else "0" if wanted == "none" else wanted
    return _condition("tcp_flags", (f"{wanted} / {mask}",), option)


def _icmp(names: dict[str, int]) -> Callable[[Option, int], list[Condition]]:
    def read(option: Option, _nfproto: int) -> list[Condition]:
        word = _one(option).lower()
        if word in ("any", "255") and names is ICMP and not option.negated:
            return []
        kind, slash, _ = word.partition("/")
        if slash and option.negated:
            raise ValueError(word)
        found = names[kind] if kind in names else number(kind, 255)
        conditions = _condition("icmp_type", (Span(found, found),), option)
        return [*conditions, unread(f"the code of {option}")] if slash else conditions

    return read


def _address_type(option: Option, _nfproto: int) -> list[Condition]:
    words = _one(option).upper().split(",")
    if not set(words) <= TYPES:
        raise ValueError(str(option))
    return _condition("fib_daddr_type", tuple(word.lower() for word in words), option)


def _packet_type(option: Option, _nfproto: int) -> list[Condition]:
    word = _one(option).lower()
    if word not in PACKETS:
        raise ValueError(word)
    return _condition("pkttype", (word,), option)


def _reverse_path(options: tuple[Option, ...], text: str) -> Condition:
    names = {option.name for option in options if not option.values and not option.negated}
    if len(names) != len(options) or names - {"--invert", "--loose", "--validmark", "--accept-local"}:
        return unread(text)
    return Condition(("fib_saddr_oif",), ((("exists",),),), "--invert" in names, text=text)


_SPORT, _DPORT = _port("sport"), _port("dport")
_PORTS_OF: Final = {
    **dict.fromkeys(("--sport", "--source-port"), _SPORT),
    **dict.fromkeys(("--dport", "--destination-port"), _DPORT),
}

#: match → option → what reads it.
MATCHES: Final[dict[str, dict[str, Callable[[Option, int], list[Condition]]]]] = {
    "": {
        "-p": _protocol,
        "-s": _address("saddr"),
        "-d": _address("daddr"),
        "-i": _interface("iifname"),
        "-o": _interface("oifname"),
        "-f": _fragment,
    },
    "tcp": {**_PORTS_OF, "--tcp-flags": _flags, "--syn": _flags},
    "udp": _PORTS_OF,
    "sctp": _PORTS_OF,
    "dccp": _PORTS_OF,
    "udplite": _PORTS_OF,
    "multiport": {
        **dict.fromkeys(("--sports", "--source-ports"), _ports("sport")),
        **dict.fromkeys(("--dports", "--destination-ports"), _ports("dport")),
        "--ports": _either_port,
    },
    "conntrack": {
        "--ctstate": _state,
        "--ctstatus": _status,
        "--ctdir": _direction,
        "--ctproto": _tracked_protocol,
        "--ctorigsrc": _address("ct_original_saddr"),
        "--ctorigdst": _address("ct_original_daddr"),
        "--ctorigdstport": _port("ct_original_dport"),
    },
    "state": {"--state": _state},
    "helper": {"--helper": _helper},
    "mark": {"--mark": _mark("mark")},
    "connmark": {"--mark": _mark("ct_mark")},
    "iprange": {"--src-range": _addresses("saddr"), "--dst-range": _addresses("daddr")},
    "icmp": {"--icmp-type": _icmp(ICMP)},
    "icmp6": {"--icmpv6-type": _icmp(ICMPV6)},
    "addrtype": {"--dst-type": _address_type},
    "pkttype": {"--pkt-type": _packet_type},
}
