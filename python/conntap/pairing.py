"""NAT seen: captures of both sides of a gateway, put together.

    seen = pair("inside.pcap", "outside.pcap")
    for binding in seen.bindings:
        print(describe(binding))    # tcp 10.0.0.5:40000 leaves as 203.0.113.1:1025 towards 198.51.100.9:80
    for event in Capture(["inside.pcap", "outside.pcap"], seen=seen).events(): ...

Each forwarded packet is in both captures, as it arrived and as it left. From these twins follows how each connection
was translated, and which frames an engine must not track a second time.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack, closing
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.errors import UsageError
from conntap.files import open_files

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from conntap._core import Binding
    from conntap.files import File

__all__ = ["Seen", "describe", "pair"]

#: Bytes read from a file at a time.
CHUNK: Final = 1 << 20

WINDOW_SECONDS: Final = 2.0

ICMP: Final = {1: "icmp", 58: "icmpv6"}
PORTS: Final = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite"}
GRE: Final = 47


@dataclass(frozen=True, slots=True)
class Seen:
    """What both sides told.

    Attributes:
        bindings: connections seen on both sides, translated or not, in order of their first packets.
        counters: frames, pairs and what had no twin, by name.
        faults: what could not be read: the path and why.
        pairing: what `conntap.captures.Capture` needs to read the same files as one gateway's.
    """

    bindings: Sequence[Binding]
    counters: dict[str, int]
    faults: Sequence[tuple[str, str]]
    pairing: _core.Pairing

    @property
    def translated(self) -> list[Binding]:
        """The connections of which something was translated."""
        return [binding for binding in self.bindings if binding.original != binding.left]


def pair(*paths: str | os.PathLike[str], window_seconds: float = WINDOW_SECONDS, files: Sequence[File] = ()) -> Seen:
    """Read the captures of a gateway's sides and find each packet's twin.

    Args:
        paths: pcap or pcapng files, plain, gzip or zstd: one for each side, or one file that holds several interfaces.
        window_seconds: how far apart the two captures of one packet may be, clocks that differ included.
        files: the same ones, if they have been looked at already; they must be files that can be read again.

    Raises:
        OSError: a file cannot be opened.
        RecordingError: a file is no capture.
        UsageError: no file, one that can be read only once, or a window that is no time.
    """
    if not paths and not files:
        raise UsageError("no capture was named")
    if not 0 < window_seconds < 3600:
        raise UsageError(f"a window of {window_seconds:g} s makes no sense")
    pairing = _core.Pairing(secrets.token_bytes(16), round(window_seconds * 1e9))
    files = files or open_files(paths)
    if once := next((file for file in files if file.is_once), None):
        for file in files:
            file.close()
        raise UsageError(f"{once.name} can be read only once, and is needed twice", hint="write it to a file first")
    with ExitStack() as stack:
        sources = [stack.enter_context(closing(file.open())) for file in files]
        faults = [
            (files[at].name, reason)
            for at, reason in pairing.captures(len(sources), lambda at: sources[at].read(CHUNK))
        ]
        faults += [(source.name, source.fault) for source in sources if source.fault]
    pairing.finish()
    return Seen(pairing.bindings(), pairing.counters, faults, pairing)


def describe(binding: Binding) -> str:
    """Say in one line what was rewritten."""
    src, dst, l4proto, sport, dport = binding.original
    left_src, left_dst, _, left_sport, left_dport = binding.left
    source, left_source = _end(src, sport, l4proto), _end(left_src, left_sport, l4proto)
    # An ICMP tuple has type and code here, which are nobody's end.
    far, left_far = (0, 0) if l4proto in ICMP else (dport, left_dport)
    target, left_target = _end(dst, far, l4proto), _end(left_dst, left_far, l4proto)
    parts: list[str] = []
    if source != left_source:
        parts.append(f"{source} leaves as {left_source}")
    if target != left_target:
        parts.append(f"{target} leads to {left_target}")
    if not parts:
        text = f"{source} → {target} passes untranslated"
    elif len(parts) == 2:
        text = ", and ".join(parts)
    else:
        text = f"{parts[0]} towards {target}" if source != left_source else f"{parts[0]} for {source}"
    if binding.rewritten:
        grown = f", {binding.grown:+} bytes" if binding.grown else ""
        packets = "1 packet" if binding.rewritten == 1 else f"{binding.rewritten} packets"
        text += f"; payload rewritten in {packets}{grown}"
    if binding.ambiguous:
        text += " (a guess: another packet had fitted as well)"
    return f"{_protocol(l4proto)} {text}"


def _protocol(l4proto: int) -> str:
    if l4proto == GRE:
        return "gre"
    return PORTS.get(l4proto) or ICMP.get(l4proto) or f"protocol {l4proto}"


def _end(address: bytes, port: int, l4proto: int) -> str:
    text = str(ip_address(address))
    if l4proto in ICMP:
        return f"{text} id {port}" if port else text
    if l4proto not in PORTS:
        return f"{text} key {port}" if port else text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
