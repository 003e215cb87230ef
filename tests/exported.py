"""Messages as an exporter sends them, made of a capture's connections."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import conntap
from conntap import _core
from conntap.nat import masquerade
from conntap.tracker import COUNTED

PCAP = Path(__file__).parent / "data/pcap"
#: IPFIX: an address each way, ports, protocol.
TEMPLATE = struct.pack("!13H", 300, 5, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 0)[:-2]


@cache
def records(name: str = "ftp_passive", *, nat: bool = False) -> _core.Batch:
    """The ledger's records of a capture; with *nat* the gateway masquerades."""
    setup = replace(COUNTED, nat=(masquerade("203.0.113.1"), masquerade("2001:db8:ffff::1")) if nat else ())
    ledger = _core.Ledger(bindings="nat")
    capture = conntap.replay(PCAP / f"{name}.pcap", setup=setup, drain=True)
    return _core.Batch.concat([ledger.feed(batch) for batch in capture.batches()])


def messages(batch: _core.Batch, *, version: int = 10, **options: object) -> list[bytes]:
    """These records as our own exporter sends them."""
    exporter = _core.IpfixExporter(version=version, **options)  # pyright: ignore[reportArgumentType]
    return [*exporter.templates(), *exporter.encode(batch), *exporter.statistics()]


def ends(batch: _core.Batch) -> list[tuple[object, ...]]:
    """What a record must say wherever it comes from."""
    return sorted((*sides(flow.original), *sides(flow.reply)) for flow in flows(batch))


def sides(tuple_: _core.Tuple) -> tuple[object, ...]:
    """Addresses, ports and protocol; what is not there is said like what is 0."""
    return str(tuple_.src), str(tuple_.dst), tuple_.sport or 0, tuple_.dport or 0, tuple_.l4proto or 0


def flows(batch: _core.Batch, kind: str = "FLOW") -> list[_core.Flow]:
    """The flows of rows of one kind."""
    return [event.flow for event in batch.events() if event.kind == kind and event.flow is not None]


def ipfix(seq: int, *sets: tuple[int, bytes], domain: int = 1) -> bytes:
    """One message of these sets."""
    body = b"".join(struct.pack("!HH", number, 4 + len(data)) + data for number, data in sets)
    return struct.pack("!HHIII", 10, 16 + len(body), int(time.time()), seq, domain) + body


def tiny(seq: int, port: int, *, template: bool = True) -> bytes:
    """A message with one record of a UDP flow from *port*, with its template or without."""
    record = bytes([192, 0, 2, 1, 198, 51, 100, 9]) + struct.pack("!HHB", port, 53, 17)
    return ipfix(seq, *([(2, TEMPLATE)] if template else []), (300, record))
