"""What is concluded from captures of both sides of a real gateway is what its kernel did."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

import conntap
from conntap._core import Binding, Engine, Flow, Tuple
from conntap.lab import CLIENT, GATEWAY, SERVER, Lab
from conntap.lab.scenarios import SCENARIOS, load
from conntap.lab.scenarios.packets import internet_checksum
from conntap.lab.scenarios.udp import bound
from conntap.pairing import Seen, describe, pair

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
FRAME_BYTES = 70_000
OTHER_CLIENT = "10.0.0.6"

Ends = tuple[str, int | None, str, int | None]


class Sniffer:
    """Captures one interface of the gateway into a pcap file, until it is closed."""

    def __init__(self, lab: Lab, device: str, path: str) -> None:
        self.handle = lab.gateway.call(self._open, device)
        self.path = path
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    @staticmethod
    def _open(device: str) -> socket.socket:
        handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        handle.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        handle.bind((device, ETH_P_ALL))
        handle.settimeout(0.02)
        return handle

    def _write(self) -> None:
        with open(self.path, "wb") as file:
            # Nanoseconds, Ethernet. Source: draft-ietf-opsawg-pcap.
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, FRAME_BYTES, 1))
            while True:
                try:
                    frame, control, _, _ = self.handle.recvmsg(FRAME_BYTES, 64)
                except TimeoutError:
                    if self.done.is_set():
                        return
                    continue
                seconds, fraction = struct.unpack("qq", control[0][2])
                file.write(struct.pack("<IIII", seconds, fraction, len(frame), len(frame)) + frame)

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        _, drops = struct.unpack("II", self.handle.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
        self.handle.close()
        assert drops == 0, f"{drops} packets were not captured on {self.path}"


class Watched:
    """A gateway while it is watched: its kernel's new flows, and what both sides' captures tell."""

    def __init__(self, tmp_path) -> None:
        self.paths = [str(tmp_path / "inside.pcap"), str(tmp_path / "outside.pcap")]
        self.flows: list[Flow] = []
        self.events: list[conntap.Event] = []
        self.seen: Seen

    @contextlib.contextmanager
    def run(self, lab: Lab) -> Iterator[None]:
        sniffers = [Sniffer(lab, device, path) for device, path in zip(("inside", "outside"), self.paths, strict=True)]
        with conntap.open(lab.gateway.pid) as ct, ct.events() as events:
            yield
            lab.forget()
            while (batch := events.receive(0.05)) is not None:
                self.events += batch.events()
            assert events.counters["lost"] == 0
        for sniffer in sniffers:
            sniffer.close()
        self.flows = [event.flow for event in self.events if event.kind == "NEW" and event.flow is not None]
        self.seen = pair(*self.paths)
        assert self.seen.faults == []

    def kernels(self) -> list[tuple[int, Ends, Ends]]:
        """Protocol, original and reply tuple of each flow that the kernel announced."""
        return sorted((flow.l4proto or 0, kernel_ends(flow.original), kernel_ends(flow.reply)) for flow in self.flows)

    def ours(self) -> list[tuple[int, Ends, Ends]]:
        """The same of each binding."""
        return sorted(
            (binding.original[2], ends(binding.original), inverse(ends(binding.left), binding.original[2]))
            for binding in self.seen.bindings
        )


def kernel_ends(side: Tuple) -> Ends:
    """Addresses and ports, for ICMP the id in the source's place."""
    sport = side.sport if side.icmp_id is None else side.icmp_id
    return (str(side.src), sport or 0, str(side.dst), side.dport or 0)


def ends(parts: tuple[bytes, bytes, int, int, int]) -> Ends:
    src, dst, l4proto, sport, dport = parts
    return (str(ip_address(src)), sport, str(ip_address(dst)), 0 if l4proto in (1, 58) else dport)


def inverse(side: Ends, l4proto: int) -> Ends:
    src, sport, dst, dport = side
    return (dst, sport, src, 0) if l4proto in (1, 58) else (dst, dport, src, sport)


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.parametrize("name", SCENARIOS)
def test_bindings_are_the_kernels_tuples(lab, watched, name):
    with watched.run(lab):
        load(name).run(lab)
    assert watched.ours() == watched.kernels()
    assert watched.ours(), "the kernel has seen something"
    assert watched.seen.counters["ambiguous"] == 0
