"""What a guard decides about: an announced connection, as the core tells it or as somebody wrote it."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Final, NamedTuple

from conntap.errors import UsageError

__all__ = ["Subject", "read_expectation", "show_address"]

PROTOCOLS: Final = {"tcp": 6, "udp": 17, "gre": 47, "sctp": 132, "dccp": 33, "udplite": 136, "icmp": 1, "icmp6": 58}
NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
PAIR: Final = re.compile(r"([a-z_-]+)=(\S+)")
#: In which order the parts of a line of `conntrack -L expect` come: each begins with a source.
PARTS: Final = {"src": "", "mask-src": "mask-", "master-src": "master-"}
WANTED: Final = (
    "say a line of `conntrack -L expect`, or a JSON object of `conntap expect --json`: "
    "proto=6 src=… dst=… sport=0 dport=… mask-src=… master-src=… master-dst=… sport=… dport=… helper=…"
)


class Subject(NamedTuple):
    """An expectation (or a flow that began because of one), in the order in which the core gives it.

    Addresses are bytes, of 4 or 16. A mask of zeros means anyone; of ones, exactly this. For GRE the ports are keys.
    """

    helper: str
    protocol: int
    src: bytes
    src_mask: bytes
    sport: int
    sport_mask: int
    dst: bytes
    dport: int
    master_src: bytes
    master_dst: bytes
    master_protocol: int
    master_sport: int
    master_dport: int
    zone: int = 0

    @property
    def exact(self) -> bool:
        """One host only may use it."""
        return not self.src_mask.strip(b"\xff") and bool(self.src_mask)

    @property
    def anyone(self) -> bool:
        """Every host may use it."""
        return not self.src_mask.strip(b"\0")

    @property
    def master(self) -> tuple[bytes, bytes, int, int, int, int]:
        """Which connection announced it."""
        return self[8:14]

    def __str__(self) -> str:
        who = "anyone" if self.anyone else show_address(self.src)
        if not self.anyone and not self.exact:
            who += f"/{bin(int.from_bytes(self.src_mask, 'big')).count('1')}"
        name = NAMES.get(self.protocol, str(self.protocol))
        return (
            f"{self.helper or 'unknown helper'}: {who} -> {place(self.dst, self.dport)} {name}, announced by "
            f"{place(self.master_src, self.master_sport)} -> {place(self.master_dst, self.master_dport)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "helper": self.helper,
            "protocol": NAMES.get(self.protocol, str(self.protocol)),
            "src": show_address(self.src),
            "src_mask": show_address(self.src_mask),
            "dst": show_address(self.dst),
            "dport": self.dport,
            "master_src": show_address(self.master_src),
            "master_dst": show_address(self.master_dst),
            "master_sport": self.master_sport,
            "master_dport": self.master_dport,
            "zone": self.zone,
        }


def show_address(address: bytes) -> str:
    """The address as people write it; `?` where there is none."""
    return str(ipaddress.ip_address(address)) if len(address) in (4, 16) else "?"


def place(address: bytes, port: int) -> str:
    """`10.0.0.5:21`, `[2001:db8::5]:21`."""
    text = show_address(address)
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"


def read_expectation(text: str) -> Subject:
    """An expectation that somebody wrote: a line of `conntrack -L expect`, or JSON.

    Raises:
        UsageError: it is neither, or lacks something.
    """
    stripped = text.strip()
    fields = of_json(stripped) if stripped.startswith("{") else of_line(stripped)
    try:
        src = address_of(fields, "src")
        missing = "255.255.255.255" if len(src) == 4 else "ffff:" * 7 + "ffff"
        return Subject(
            helper=fields.get("helper", ""),
            protocol=protocol_of(fields["proto"]),
            src=src,
            src_mask=ipaddress.ip_address(fields.get("mask-src", missing)).packed,
            sport=number_of(fields, "sport"),
            sport_mask=number_of(fields, "mask-sport"),
            dst=address_of(fields, "dst"),
            dport=number_of(fields, "dport"),
            master_src=address_of(fields, "master-src"),
            master_dst=address_of(fields, "master-dst"),
            master_protocol=protocol_of(fields.get("master-proto", fields["proto"])),
            master_sport=number_of(fields, "master-sport"),
            master_dport=number_of(fields, "master-dport"),
        )
    except KeyError as error:
        raise UsageError(f"this expectation has no {error.args[0]}=", hint=WANTED) from error
    except ValueError as error:
        raise UsageError(f"this is no expectation: {error}", hint=WANTED) from error


def of_line(text: str) -> dict[str, str]:
    """The fields of a line, each with the name of its part in front (`mask-sport`)."""
    found: dict[str, str] = {}
    part = ""
    for name, value in PAIR.findall(text):
        part = PARTS.get(name, part)
        plain = name if name.startswith(("mask-", "master-")) else part + name
        if name in ("proto", "helper", "class", "zone"):
            plain = name
        aliases = {"srckey": "sport", "dstkey": "dport"}
        for theirs, ours in aliases.items():
            plain = plain.replace(theirs, ours)
        found.setdefault(plain, value)
    return found


def of_json(text: str) -> dict[str, str]:
    """The fields of our own JSON, named as in a line."""
    try:
        told: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}", hint=WANTED) from error
    names = {
        "proto": ("exp_l4proto", "l4proto", "protocol", "proto"),
        "src": ("exp_src", "src", "orig_src"),
        "dst": ("exp_dst", "dst", "orig_dst"),
        "sport": ("exp_sport", "sport", "orig_sport"),
        "dport": ("exp_dport", "dport", "orig_dport"),
        "mask-src": ("mask_src", "exp_mask_src", "src_mask"),
        "mask-sport": ("mask_sport", "exp_mask_sport"),
        "master-src": ("master_src",),
        "master-dst": ("master_dst",),
        "master-sport": ("master_sport",),
        "master-dport": ("master_dport",),
        "master-proto": ("master_l4proto",),
        "helper": ("helper",),
    }
    return {
        ours: str(told[theirs[0]])
        for ours, spelt in names.items()
        if (theirs := [name for name in spelt if told.get(name) is not None])
    }


def address_of(fields: dict[str, str], name: str) -> bytes:
    return ipaddress.ip_address(fields[name]).packed


def number_of(fields: dict[str, str], name: str) -> int:
    value = int(fields.get(name, "0"), 0)
    if not 0 <= value <= 0xFFFF:
        raise ValueError(f"{name}={value} is out of range")
    return value


def protocol_of(text: str) -> int:
    return PROTOCOLS[text.lower()] if text.lower() in PROTOCOLS else int(text)
