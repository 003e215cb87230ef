"""A packet in words."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.explain import protocols
from conntap.explain.numbers import ACK, FIN, PSH, RST, SYN, URG
from conntap.explain.story import Ends, Packet, Segment

if TYPE_CHECKING:
    from conntap._core import TracedPacket

__all__ = ["Words", "first_line", "packet_of", "shorten", "words_of"]

ICMP: Final = 1
TCP: Final = 6
GRE: Final = 47
ICMPV6: Final = 58
SCTP: Final = 132

FLAGS: Final = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG"))

#: A line of text is not longer than this in any protocol that is told.
LINE_MAX: Final = 160
#: Commands whose rest is a secret: of FTP, IRC, POP3. Nobody wants that in a picture.
SECRET: Final = re.compile(r"(?i)(PASS|PASSWORD|OPER \S+|ACCT|AUTH \S+)(?= \S)")


class Words(NamedTuple):
    """A packet in words.

    Attributes:
        short: what it is.
        more: its numbers, the most telling first.
    """

    short: str
    more: tuple[str, ...] = ()

    def fit(self, width: int) -> str:
        """Say as much as fits into so many columns."""
        said = shorten(self.short, width)
        gap = "  "
        for piece in self.more:
            if len(said) + len(gap) + len(piece) > width:
                break
            said += gap + piece
            gap = " "
        return said


def packet_of(traced: TracedPacket) -> Packet | None:
    """Take over what the engine read of a packet; None for a frame that holds none."""
    facts = traced.packet
    if facts is None:
        return None
    l4proto, src, dst, length, payload_length, payload, fragment = facts
    sport, dport = traced.ports or (None, None)
    return Packet(
        l4proto=l4proto,
        ends=Ends(str(ip_address(src)), sport, str(ip_address(dst)), dport),
        length=length,
        payload_length=payload_length,
        payload=payload,
        fragment=fragment,
        tcp=Segment(*traced.tcp) if traced.tcp else None,
        icmp=traced.icmp,
    )


def first_line(payload: bytes) -> str:
    """Return the first line where the payload is text, "" otherwise; what would move a cursor is shown as `·`.

    Passwords are hidden.
    """
    line, _, _ = payload.partition(b"\n")
    try:
        text = line.rstrip(b"\r").decode()
    except UnicodeDecodeError as error:
        # The payload may have been cut in the middle of a letter.
        if error.start < len(line) - 3 or len(payload) > len(line):
            return ""
        text = line[: error.start].decode()
    seen = "".join(letter if letter.isprintable() else "·" for letter in text.replace("\t", " "))
    odd = seen.count("·")
    if len(set(seen)) < 2 or odd * 8 > len(seen) or not re.search(r"[A-Za-z0-9]{2}", seen):
        return ""
    if secret := SECRET.match(seen):
        return f"{secret[0]} …"
    return seen.strip()[:LINE_MAX]


def shorten(text: str, width: int) -> str:
    """Cut *text* to so many columns; what stands in parentheses at its end (an address of FTP) stays."""
    if len(text) <= width:
        return text
    if found := re.search(r"\([^()]*\)\S*$", text):
        tail, head = found[0], text.split(maxsplit=1)[0]
        if len(head) + 3 + len(tail) <= width:
            return f"{head} … {tail}"
    return text[: max(0, width - 1)] + "…"


def words_of(
    packet: Packet | None,
    *,
    seq: int | None = None,
    ack: int | None = None,
    window: int | None = None,
    whole: bool = True,
) -> Words:
    """Say what a packet is.

    Args:
        packet: None for a frame that holds none.
        seq, ack: relative to the connection's first numbers.
        window: in bytes.
        whole: of a fragment: the datagram is complete with it.
    """
    if packet is None:
        return Words("a frame without an IP packet")
    if packet.fragment and packet.ends.sport is None and packet.icmp is None:
        return Words("last fragment" if whole else "fragment", (size(packet.payload_length),))
    if packet.tcp is not None:
        words = _segment(packet, packet.tcp, seq, ack, window)
    else:
        words = _datagram(packet)
    return Words(f"fragment: {words.short}", words.more) if packet.fragment else words


def size(number: int) -> str:
    """Write a number of bytes."""
    return f"{number:,} B"


def flag_names(flags: int) -> str:
    """Name TCP's flags in the order in which people say them."""
    return " ".join(name for bit, name in FLAGS if flags & bit) or "no flags"


def _segment(packet: Packet, segment: Segment, seq: int | None, ack: int | None, window: int | None) -> Words:
    flags, line = segment.flags, first_line(packet.payload)
    numbers = {
        "seq": f"seq {segment.seq if seq is None else seq:,}",
        "ack": f"ack {segment.ack if ack is None else ack:,}" if flags & ACK else "",
        "win": f"win {window:,}" if window is not None else "",
        "size": size(packet.payload_length) if packet.payload_length else "",
    }
    plain = not flags & (SYN | FIN | RST | URG) and flags & ACK
    if plain and packet.payload_length:
        short = line or "data"
        order = ("size", "seq", "ack", "win")
    elif plain and not flags & PSH:
        short = f"ACK {segment.ack if ack is None else ack:,}"
        order = ("win", "seq")
    else:
        short = flag_names(flags & ~PSH if packet.payload_length and flags != PSH else flags)
        if line:
            short += f" · {line}"
        order = ("size", "seq", "ack", "win")
    return Words(short, tuple(numbers[name] for name in order if numbers[name]))


def _datagram(packet: Packet) -> Words:
    much = (size(packet.payload_length),)
    if packet.icmp is not None and packet.l4proto in (ICMP, ICMPV6):
        said = protocols.icmp(packet.l4proto, *packet.icmp, packet.payload)
        return Words(said, much if packet.payload_length and " about " not in said else ())
    if packet.l4proto == SCTP:
        return Words(protocols.sctp(packet.payload), much)
    if packet.l4proto == GRE:
        return Words(protocols.gre(packet.payload), much)
    if line := first_line(packet.payload):
        return Words(line, much)
    name = "data" if packet.ends.sport is not None else protocols.protocol_name(packet.l4proto)
    return Words(name, much)
