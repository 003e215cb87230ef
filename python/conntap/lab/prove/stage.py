"""Where a proof is played: a gateway with the rule set's interfaces, and one namespace that holds all their far ends.

The far ends have no addresses and answer nothing: packets are put in and read there, so that a host is whoever the
script says. Devices resolve no addresses (`arp off`).

Nothing is waited for by time. A frame that is put into a veth goes through its far end's receive path in the order of
the CPU's backlog, and so does one on a wire of our own: when that came out twice, all that the one before caused has
come out as well (netif_rx and process_backlog in net/core/dev.c). The thread stays on one CPU for that.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, Self

from conntap.lab.errors import LabError
from conntap.lab.host import Host
from conntap.lab.programs import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from conntap import _core
    from conntap.lab.prove.model import Way
    from conntap.lab.prove.plan import Link

__all__ = ["KNOCKER", "Stage"]

ETH_P_ALL: Final = 3
ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
#: An Ethernet type for experiments (IEEE 802): no protocol takes it.
ETH_P_MARK: Final = 0x88B5
SOL_PACKET: Final = 263
PACKET_IGNORE_OUTGOING: Final = 23
READY_SECONDS: Final = 5.0
#: Source of frames that knock: the trace asks for it.
KNOCKER: Final = bytes.fromhex("0200000003f0")
#: Names of our own wire; a rule set that names it is unlikely.
MARK_OWN, MARK_FAR = "ctprove", "ctprove"
QUIET: Final = {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
ROUTER: Final = {
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/default/addr_gen_mode": 1,
    "ipv6/conf/default/router_solicitations": 0,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/send_redirects": 0,
    "ipv4/conf/default/send_redirects": 0,
    # What a gateway answers itself (errors, resets) is not limited: a proof is quick.
    "ipv4/icmp_ratelimit": 0,
}


class Stage:
    """Two namespaces, up while the `with` block runs; packets go in and come out.

    Args:
        wires: the gateway's interfaces.
        settings: settings of its namespace, by path below /proc/sys/net.

    Raises:
        MissingProgramError: `ip` or `nft` is not installed.
        NamespaceError: the kernel refuses namespaces.
    """

    __slots__ = (
        "_cpus",
        "_frames",
        "_hosts",
        "_marker",
        "_marks",
        "_senders",
        "_wires",
        "around",
        "gateway",
        "requests",
    )

    gateway: Host
    around: Host
    requests: _core.Requests

    def __init__(self, wires: Sequence[Link]) -> None:
        self._wires = list(wires)
        self._hosts: list[Host] = []
        self._senders: dict[str, socket.socket] = {}
        self._frames: socket.socket | None = None
        self._marks: socket.socket | None = None
        self._marker: socket.socket | None = None
        self._cpus: set[int] = set()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down. May be called twice."""
        for handle in (*self._senders.values(), self._frames, self._marks, self._marker):
            if handle is not None:
                handle.close()
        while self._hosts:  # the first one holds the pid namespace: last
            self._hosts.pop().close()
        if self._cpus:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._cpus)
            self._cpus = set()

    def address(self, wire: str) -> ipaddress.IPv4Interface | None:
        """The gateway's first address of IPv4 on an interface."""
        found = map(ipaddress.ip_interface, self._wires[self._index(wire)].addresses)
        return next((one for one in found if isinstance(one, ipaddress.IPv4Interface)), None)

    def set_out(self, way: Way) -> None:
        """Lead routes along a way: the host is inside, everybody else outside."""
        bits = 24 if way.nfproto == 4 else 64
        network = ipaddress.ip_network(f"{way.host}/{bits}", strict=False)
        lines = f"route replace {network} dev {way.inside}\nroute replace default dev {way.outside}\n"
        self.gateway.run(["ip", f"-{way.nfproto}", "-batch", "-"], input=lines)

    def send(self, wire: str, packet: bytes, *, knock: bool = False) -> list[tuple[str, bytes]]:
        """Put a packet into a wire's far end and return all (wire, packet) that came out at far ends because of it."""
        index = self._index(wire)
        source = KNOCKER if knock else far_mac(index)
        kind = ETH_P_IPV6 if packet[0] >> 4 == 6 else ETH_P_IP
        self._senders[wire].send(near_mac(index) + source + struct.pack("!H", kind) + packet)
        return self.collect()

    def collect(self) -> list[tuple[str, bytes]]:
        """All that came out since the last call, what is under way included."""
        self._barrier()
        self._barrier()
        return self._receive()

    def forget(self) -> None:
        """Empty the tables of connections and expectations."""
        self.requests.flush_expectations()
        self.requests.flush()

    def expectations(self) -> list[_core.Expectation]:
        """What is expected now."""
        return [one for batch in self.requests.dump("expectations") for one in batch.expectations()]

    def _index(self, wire: str) -> int:
        for index, link in enumerate(self._wires):
            if link.name == wire:
                return index
        raise LabError(f"the proof's gateway has no interface '{wire}'")

    def _build(self) -> None:
        from conntap import _core

        for program in ("ip", "nft"):
            require(program)
        self.gateway = self._add("gateway")
        self.around = self._add("around")
        self.around.sysctl(QUIET)
        self.gateway.sysctl(ROUTER)
        self.gateway.run(["ip", "-batch", "-"], input=self._gateway_lines())
        far = "".join(f"link set e{index} arp off up\n" for index in range(len(self._wires)))
        self.around.run(["ip", "-batch", "-"], input=f"{far}link set {MARK_FAR} arp off up\n")
        self._cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self._cpus)})
        self.requests = _core.Requests(netns=f"/proc/{self.gateway.pid}/ns/net")
        self._frames = self.around.call(_receiver, ETH_P_ALL)
        self._marks = self.gateway.call(_receiver, ETH_P_MARK)
        self._marker = self.around.call(_sender, MARK_FAR)
        for index, link in enumerate(self._wires):
            self._senders[link.name] = self.around.call(_sender, f"e{index}")
        self._await_carriers()

    def _gateway_lines(self) -> str:
        lines = ["link set lo up"]
        for index, link in enumerate(self._wires):
            near, far = near_mac(index).hex(":"), far_mac(index).hex(":")
            peer = f"peer name e{index} address {far} netns /proc/{self.around.pid}/ns/net"
            lines.append(f"link add {link.name} address {near} type veth {peer}")
            lines.append(f"link set {link.name} arp off up")
            lines += [
                f"addr add {text} dev {link.name} noprefixroute{' nodad' if ':' in text else ' brd +'}"
                for text in link.addresses
            ]
        lines.append(f"link add {MARK_OWN} type veth peer name {MARK_FAR} netns /proc/{self.around.pid}/ns/net")
        lines.append(f"link set {MARK_OWN} arp off up")
        return "\n".join([*lines, ""])

    def _add(self, name: str) -> Host:
        host = Host(name, first=self._hosts[0] if self._hosts else None)
        self._hosts.append(host)
        return host

    def _barrier(self) -> None:
        """Send a frame on our own wire and wait until it came out."""
        assert self._marker is not None
        assert self._marks is not None
        self._marker.send(bytes.fromhex("02000000040102000000040288b5") + b"mark" + bytes(42))
        deadline = time.monotonic() + READY_SECONDS
        while not (ready := select.select([self._marks], [], [], READY_SECONDS)[0]) or not self._marks.recv(64):
            if not ready or time.monotonic() > deadline:
                raise LabError(f"the lab's own wire passed nothing on for {READY_SECONDS:g} s")

    def _receive(self) -> list[tuple[str, bytes]]:
        assert self._frames is not None
        found: list[tuple[str, bytes]] = []
        while True:
            try:
                frame, address = self._frames.recvfrom(65550, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            kind = int.from_bytes(frame[12:14])
            name = str(address[0])
            if kind not in (ETH_P_IP, ETH_P_IPV6) or not name.startswith("e"):
                continue
            if kind == ETH_P_IPV6 and frame[38:39] == b"\xff":  # groups: what a router says of itself
                continue
            found.append((self._wires[int(name[1:])].name, frame[14:]))

    def _await_carriers(self) -> None:
        """Wait until the wires carry: the link watcher needs a moment."""
        names = [link.name for link in self._wires] + [MARK_OWN]
        deadline = time.monotonic() + READY_SECONDS
        for name in names:
            while self.gateway.call(_operstate, name) != "up":
                if time.monotonic() > deadline:
                    raise LabError(f"interface '{name}' of the proof's gateway does not come up")
                time.sleep(0.002)


def near_mac(index: int) -> bytes:
    """Of the gateway's own end."""
    return bytes.fromhex("02000001") + (index + 1).to_bytes(2)


def far_mac(index: int) -> bytes:
    """Of the far end."""
    return bytes.fromhex("02000002") + (index + 1).to_bytes(2)


def _operstate(name: str) -> str:
    """An interface's state in this thread's namespace: SIOCGIFFLAGS; IFF_UP and IFF_RUNNING."""
    import fcntl

    siocgifflags, running = 0x8913, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, siocgifflags, struct.pack("16s24x", name.encode())), 16)
    return "up" if flags & running == running else "down"


def _receiver(kind: int) -> socket.socket:
    handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    handle.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    return handle


def _sender(device: str) -> socket.socket:
    handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # protocol 0: receives nothing
    handle.bind((device, 0))
    return handle
