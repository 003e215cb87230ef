"""Layer 4 protocols with options of their own (`-p tcp --sport 22`), and the names of their states."""

from __future__ import annotations

from .options import Option

__all__ = ["DCCP_STATES", "PROTOCOLS", "SCTP_STATES", "TCP_STATES", "Protocol", "find"]

# Numbers are the kernel's; LISTEN is an old name of the last one.
TCP_STATES = (
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",
    "SYN_SENT2",
)  # fmt: skip
SCTP_STATES = (
    "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
)  # fmt: skip
DCCP_STATES = (
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID",
)  # fmt: skip


class Protocol:
    """A protocol: its options in the order of their checks, and the words for an incomplete pair."""

    __slots__ = ("name", "number", "options", "pair", "reply_pair")

    def __init__(
        self,
        name: str,
        number: int,
        options: tuple[Option, ...],
        pair: tuple[str, str] = ("sport", "dport"),
        reply_pair: tuple[str, str] = ("reply-src-port", "reply-dst-port"),
    ) -> None:
        self.name = name
        self.number = number
        self.options = options
        self.pair = pair
        self.reply_pair = reply_pair


def find(text: str) -> tuple[Protocol | None, int] | None:
    """Find a protocol by name or number: its record, if it has one, and its number. None: there is no such protocol."""
    for protocol in PROTOCOLS:
        if protocol.name == text.lower():
            return protocol, protocol.number
    number = _number(text)
    if number is None:
        return None
    return next((p for p in PROTOCOLS if p.number == number), None), number


def _number(text: str) -> int | None:
    import _socket

    from .numbers import strtoul

    try:
        return _socket.getprotobyname(text)
    except OSError:
        value, rest = strtoul(text, 0)
    return value if text and not rest and value <= 255 else None


def _option(name: str, commands: str, help: str, *aliases: str, action: str = "port", metavar: str = "PORT") -> Option:
    return Option(name, "", (name, *aliases), "required", action, commands, metavar, help)


_SPORT = _option("sport", "233223.2..111.", "original source port", "orig-port-src")
_DPORT = _option("dport", "233223.2..111.", "original destination port", "orig-port-dst")
_REPLY_SPORT = _option("reply-port-src", "233223.2...11.", "source port of replies")
_REPLY_DPORT = _option("reply-port-dst", "233223.2...11.", "destination port of replies")
_MASK_SPORT = _option("mask-port-src", "..........1...", "mask of the expected source port")
_MASK_DPORT = _option("mask-port-dst", "..........1...", "mask of the expected destination port")
_TUPLE_SPORT = _option("tuple-port-src", "..........1...", "expected source port")
_TUPLE_DPORT = _option("tuple-port-dst", "..........1...", "expected destination port")
_STATE = _option("state", "211222.2......", "state, e.g. ESTABLISHED", action="state", metavar="STATE")
_ROLE = _option("role", ".11.......1...", "role of the original source", action="role", metavar="client|server")
_ORIG_VTAG = _option("orig-vtag", ".112.2....1...", "verification tag", action="vtag", metavar="TAG")
_REPLY_VTAG = _option("reply-vtag", ".112.2....1...", "verification tag of replies", action="vtag", metavar="TAG")

_PORTS = (_SPORT, _DPORT, _REPLY_SPORT, _REPLY_DPORT, _MASK_SPORT, _MASK_DPORT)
_EXPECTED = (_TUPLE_SPORT, _TUPLE_DPORT)


def _icmp(name: str) -> tuple[Option, ...]:
    return (
        _option(f"{name}-type", "211221.2......", "message type", action="icmp", metavar="TYPE"),
        _option(f"{name}-code", "211221.2......", "message code", action="icmp", metavar="CODE"),
        _option(f"{name}-id", "222222.2......", "identifier (of echo)", action="icmp", metavar="ID"),
    )


def _key(name: str, commands: str, help: str, *aliases: str) -> Option:
    return _option(name, commands, help, *aliases, action="key", metavar="KEY")


_KEYS = (
    _key("srckey", "233223.2..111.", "original source key", "orig-key-src"),
    _key("dstkey", "233223.2..111.", "original destination key", "orig-key-dst"),
    _key("reply-key-src", "233223.2..111.", "source key of replies"),
    _key("reply-key-dst", "233223.2..111.", "destination key of replies"),
    _key("mask-key-src", "..........1...", "mask of the expected source key"),
    _key("mask-key-dst", "..........1...", "mask of the expected destination key"),
    _key("tuple-key-src", "..........1...", "expected source key"),
    _key("tuple-key-dst", "..........1...", "expected destination key"),
)

PROTOCOLS = (
    Protocol("tcp", 6, (*_PORTS, _STATE, *_EXPECTED)),
    Protocol("udp", 17, (*_PORTS, *_EXPECTED)),
    Protocol("udplite", 136, (*_PORTS, *_EXPECTED)),
    Protocol("sctp", 132, (*_PORTS, _STATE, *_EXPECTED, _ORIG_VTAG, _REPLY_VTAG)),
    Protocol("dccp", 33, (*_PORTS, _STATE, *_EXPECTED, _ROLE), reply_pair=("reply-port-src", "report-port-dst")),
    Protocol("icmp", 1, _icmp("icmp")),
    Protocol("icmpv6", 58, _icmp("icmpv6")),
    Protocol("gre", 47, _KEYS, ("srckey", "dstkey"), ("reply-src-key", "reply-dst-key")),
)
