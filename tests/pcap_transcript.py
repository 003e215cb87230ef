"""The transcripts NAME.events.txt: reading them, and writing a message the way they show it."""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass, field

from conntap.netlink import ATTRIBUTES_AT, SUBSYSTEM_CT, TYPE, attributes

STATUS = [
    "EXPECTED",
    "SEEN_REPLY",
    "ASSURED",
    "CONFIRMED",
    "SRC_NAT",
    "DST_NAT",
    "SEQ_ADJUST",
    "SRC_NAT_DONE",
    "DST_NAT_DONE",
    "DYING",
    "FIXED_TIMEOUT",
    "TEMPLATE",
    "NAT_CLASH",
    "HELPER",
    "OFFLOAD",
    "HW_OFFLOAD",
]
FLAGS = ["PERMANENT", "INACTIVE", "USERSPACE"]
TCP = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
]
SCTP = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
]
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite", 33: "dccp"}
TUPLE_FIELDS = {2: "sport", 3: "dport", 4: "id", 5: "type", 6: "code", 7: "id", 8: "type", 9: "code"}


@dataclass
class Section:
    """What stands under one "# pkt" or "# flush" line."""

    lines: list[str] = field(default_factory=list)
    ctstate: str = "-"
    forwarded: int = 0


@dataclass
class Transcript:
    packets: list[Section]
    flush: list[str]


def read(text: str) -> Transcript:
    """Read the part that the replay wrote itself; the output of other programs below is left."""
    packets: list[Section] = []
    flush: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("##"):
            break
        if line.startswith("# pkt "):
            packets.append(Section())
        elif line.startswith("# flush"):
            flush = []
        elif found := re.match(r"  \+[\d.]+ ((?:CT|EXP) .*)", line):
            (packets[-1].lines if flush is None else flush).append(found[1])
        elif found := re.match(r"  ctstate=(\S+) forwarded=(\d+)", line):
            packets[-1].ctstate, packets[-1].forwarded = found[1], int(found[2])
    return Transcript(packets, flush or [])


class Writer:
    """Writes messages as lines of a transcript; ids are numbered as they come."""

    def __init__(self) -> None:
        self._flow_ids: dict[bytes, int] = {}
        self._expectation_ids: dict[bytes, int] = {}

    def line(self, message: bytes) -> str:
        _, kind, flags = struct.unpack_from("=IHH", message)
        word = "DESTROY" if kind & 0xFF == 2 else "NEW" if flags & 0x400 or kind >> 8 != SUBSYSTEM_CT else "UPDATE"
        if kind >> 8 == SUBSYSTEM_CT:
            parts = [self._flow(number & TYPE, value) for number, value in attributes(message, ATTRIBUTES_AT)]
            return f"CT  {word:7} {' '.join(parts)}"
        parts = [self._expectation(number & TYPE, value) for number, value in attributes(message, ATTRIBUTES_AT)]
        return f"EXP {word:7} {' '.join(parts)}"

    def _flow(self, number: int, value: bytes) -> str:
        inner = {kind & TYPE: inner for kind, inner in attributes(value)} if number in (5, 9, 10, 15, 16, 20) else {}
        match number:
            case 1 | 2 | 14:
                return {1: "orig", 2: "reply", 14: "master"}[number] + _tuple(value)
            case 3:
                return "status=" + _bits(_number(value), STATUS)
            case 4:
                return _protoinfo(value)
            case 5:
                return "helper=" + inner[1].rstrip(b"\0").decode()
            case 7 | 8 | 18:
                return {7: "timeout", 8: "mark", 18: "zone"}[number] + f"={_number(value)}"
            case 9 | 10:
                name = "acct_orig" if number == 9 else "acct_reply"
                return f"{name}{{packets={_number(inner[1])} bytes={_number(inner[2])}}}"
            case 12:
                return f"id=#{self._flow_ids.setdefault(value, len(self._flow_ids) + 1)}"
            case 15 | 16:
                numbers = ",".join(str(int.from_bytes(part, "big", signed=True)) for part in inner.values())
                return f"{'seqadj_orig' if number == 15 else 'seqadj_reply'}{{{numbers}}}"
            case 20:
                return "tstamp{" + ",".join(word for bit, word in ((1, "start"), (2, "stop")) if bit in inner) + "}"
            case _:
                return f"attr{number}({len(value)})"

    def _expectation(self, number: int, value: bytes) -> str:
        match number:
            case 1 | 2 | 3:
                return {1: "master", 2: "tuple", 3: "mask"}[number] + _tuple(value)
            case 4 | 9:
                return {4: "timeout", 9: "class"}[number] + f"={_number(value)}"
            case 5:
                return f"id=#{self._expectation_ids.setdefault(value, len(self._expectation_ids) + 1)}"
            case 6 | 11:
                return {6: "helper", 11: "fn"}[number] + "=" + value.rstrip(b"\0").decode()
            case 8:
                return "flags=" + _bits(_number(value), FLAGS)
            case 10:
                inner = {kind & TYPE: inner for kind, inner in attributes(value)}
                return f"nat{{dir={_number(inner[1])} {_tuple(inner[2])}}}"
            case _:
                return f"attr{number}"


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _bits(value: int, names: list[str]) -> str:
    return f"0x{value:x}({'|'.join(name for bit, name in enumerate(names) if value >> bit & 1)})"


def _tuple(value: bytes) -> str:
    words: list[str] = []
    for kind, inner in attributes(value):
        if kind & TYPE == 3:
            words.append(f"zone={_number(inner)}")
            continue
        for number, part in attributes(inner):
            if kind & TYPE == 1:
                words.append(f"{'src' if number in (1, 3) else 'dst'}={ipaddress.ip_address(part)}")
            elif number == 1:
                words.append(f"proto={PROTOCOLS.get(_number(part), _number(part))}")
            else:
                words.append(f"{TUPLE_FIELDS[number]}={_number(part)}")
    return f"[{' '.join(words)}]"


def _protoinfo(value: bytes) -> str:
    words: list[str] = []
    for kind, inner in attributes(value):
        for number, part in attributes(inner):
            if kind & TYPE == 1:
                name = {2: "wscale_orig", 3: "wscale_reply", 4: "flags_orig", 5: "flags_reply"}.get(number, "")
                shown = f"{part[0]}" if number < 4 else f"0x{part[0]:x}"
                words.append(f"state={TCP[part[0]]}" if number == 1 else f"{name}={shown}")
            elif number == 1:
                words.append(f"state={SCTP[part[0]]}")
            else:
                words.append(f"{'vtag_orig' if number == 2 else 'vtag_reply'}=0x{_number(part):x}")
    return f"protoinfo{{{' '.join(words)}}}"
