"""Programs that follow connections in packets as a user's would: `python -m benches.packet_readers NAME …`.

Each prints what it saw as JSON, with the CPU seconds that the work alone took: imports are left out.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def capture(path: str) -> dict[str, Any]:
    """A capture through the engine: batches of events, counted."""
    from conntap.captures import Capture

    began = time.process_time()
    source = Capture([path])
    events = sum(len(batch) for batch in source.batches())
    return {"packets": source.counters["packets"], "events": events, "cpu_seconds": time.process_time() - began}


def live(interface: str) -> dict[str, Any]:
    """An interface's packets through the engine, until none has come for a second after the first."""
    from conntap.interface import Interface

    events, frames, began, cpu = 0, 0, time.monotonic(), time.process_time()
    with Interface(interface) as source:
        print("ready", flush=True)
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < 1.0:
            batch = source.receive(0.1)
            events += len(batch) if batch else 0
            seen = source.counters["frames"]
            if seen == frames:
                if frames == 0 and time.monotonic() - began > 60:
                    break
                continue
            if frames == 0:
                cpu = time.process_time()
            frames, quiet_since = seen, time.monotonic()
        counters = source.counters
    # What the wait for the end costs is next to nothing: it sleeps.
    return {
        "packets": frames,
        "events": events,
        "lost": counters["lost"],
        "invalid": counters["invalid"],
        "cpu_seconds": time.process_time() - cpu,
    }


def dpkt_loop(path: str) -> dict[str, Any]:
    """What one writes with dpkt: decode, and count packets and bytes by connection."""
    import dpkt

    flows: dict[tuple[Any, ...], list[int]] = {}
    packets, began = 0, time.process_time()
    with open(path, "rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            packets += 1
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
                continue
            layer4 = ip.data
            ends = sorted(((ip.src, getattr(layer4, "sport", 0)), (ip.dst, getattr(layer4, "dport", 0))))
            count = flows.setdefault((type(layer4), *ends), [0, 0])
            count[0] += 1
            count[1] += len(frame)
    return {"packets": packets, "flows": len(flows), "cpu_seconds": time.process_time() - began}


def scapy_loop(path: str) -> dict[str, Any]:
    """The same with scapy."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.utils import PcapReader

    flows: dict[tuple[Any, ...], list[int]] = {}
    packets, began = 0, time.process_time()
    with PcapReader(path) as reader:
        for packet in reader:
            packets += 1
            ip = packet.getlayer(IP) or packet.getlayer(IPv6)
            if ip is None:
                continue
            layer4 = packet.getlayer(TCP) or packet.getlayer(UDP)
            ports = (layer4.sport, layer4.dport) if layer4 is not None else (0, 0)
            ends = sorted(((ip.src, ports[0]), (ip.dst, ports[1])))
            count = flows.setdefault((type(layer4), *ends), [0, 0])
            count[0] += 1
            count[1] += len(packet)
    return {"packets": packets, "flows": len(flows), "cpu_seconds": time.process_time() - began}


READERS = {"capture": capture, "live": live, "dpkt": dpkt_loop, "scapy": scapy_loop}

if __name__ == "__main__":
    name, where = sys.argv[1:]
    print(json.dumps(READERS[name](where)))
