"""What is concluded from captures of both sides of a real gateway is what its kernel did."""

from __future__ import annotations

import contextlib
import mmap
import select
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import pytest

import conntap
from conntap._core import Event, Flow, Tuple
from conntap.captures import Capture
from conntap.helpers.assign import assign
from conntap.lab import CLIENT, GATEWAY, SERVER, Lab
from conntap.lab.ruleset import SHORT_TIMEOUTS
from conntap.lab.scenarios import SCENARIOS, load
from conntap.lab.scenarios.tcp import connect_and_echo
from conntap.lab.scenarios.udp import bound
from conntap.pairing import Seen, describe, pair
from conntap.tracker import Setup

ETH_P_ALL = 3
# linux/if_packet.h
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
TP_STATUS_USER = 1
# Segments that the card would have cut are cut by the capture: their headers are what counts.
SLOT_BYTES, SLOTS = 4096, 4096

Ends = tuple[str, int | None, str, int | None]


class Sniffer:
    """Captures one interface of the gateway into a pcap file, until it is closed.

    By a ring (TPACKET_V2), into which the kernel copies each packet when it sees it. A plain packet socket shares the
    packet's memory with the gateway, which writes the headers of fragments anew in place before they are read
    (`ip_fraglist_prepare` in net/ipv4/ip_output.c). Source: Documentation/networking/packet_mmap.rst.
    """

    def __init__(self, lab: Lab, device: str, path: str) -> None:
        self.path = path
        self.handle = lab.gateway.call(self._open, device)
        self.ring = mmap.mmap(self.handle.fileno(), SLOT_BYTES * SLOTS)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    @staticmethod
    def _open(device: str) -> socket.socket:
        handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        handle.setsockopt(SOL_PACKET, PACKET_VERSION, 1)
        handle.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack("IIII", SLOT_BYTES, SLOTS, SLOT_BYTES, SLOTS))
        handle.bind((device, ETH_P_ALL))
        return handle

    def _write(self) -> None:
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        at = 0
        with open(self.path, "wb") as file:
            # Nanoseconds, Ethernet. Source: draft-ietf-opsawg-pcap.
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SLOT_BYTES, 1))
            while True:
                status, length, size, mac, _, seconds, fraction = struct.unpack_from("IIIHHII", self.ring, at)
                if status & TP_STATUS_USER:
                    frame = self.ring[at + mac : at + mac + size]
                    file.write(struct.pack("<IIII", seconds, fraction, size, length) + frame)
                    struct.pack_into("I", self.ring, at, 0)
                    at = (at + SLOT_BYTES) % (SLOT_BYTES * SLOTS)
                elif self.done.is_set():
                    return
                else:
                    poll.poll(20)

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        _, drops = struct.unpack("II", self.handle.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.ring.close()
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
        with contextlib.ExitStack() as stack:
            for device, path in zip(("inside", "outside"), self.paths, strict=True):
                stack.callback(Sniffer(lab, device, path).close)
            ct = stack.enter_context(conntap.open(lab.gateway.pid))
            events = stack.enter_context(ct.events())
            yield
            lab.forget()
            while (batch := events.receive(0.05)) is not None:
                self.events += batch.events()
            assert events.counters["lost"] == 0
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
def watched(tmp_path, one_processor) -> Watched:
    """Two captures on two processors could not say which of two FINs that cross was tracked first."""
    return Watched(tmp_path)


@pytest.fixture
def clients(lab) -> Iterator[list[str]]:
    """Addresses of the client's host, as if there were as many hosts."""
    addresses = [f"10.0.0.{number}" for number in range(20, 40)]
    for address in addresses:
        lab.client.run(["ip", "addr", "add", f"{address}/24", "dev", "eth0"])
    yield addresses
    for address in addresses:
        lab.client.run(["ip", "addr", "del", f"{address}/24", "dev", "eth0"])


@pytest.fixture
def rules(lab) -> Iterator[None]:
    """More translations than the lab's own: a shifted UDP port, and a forwarded port used from inside."""
    lab.gateway.run(["nft", "-f", "-"], input=MORE_RULES)
    way_back = 'insert rule inet lab forward iifname "inside" oifname "inside" accept'
    lab.gateway.run(["nft", *way_back.split()])
    listed = lab.gateway.run(["nft", "--handle", "list", "chain", "inet", "lab", "forward"])
    handle = next(line for line in listed.splitlines() if 'oifname "inside" accept' in line).split()[-1]
    yield
    lab.gateway.run(["nft", "delete", "rule", "inet", "lab", "forward", "handle", handle])
    lab.gateway.run(["nft", "delete", "table", "inet", "more"])


MORE_RULES = f"""\
table inet more {{
    chain into {{
        type nat hook prerouting priority dstnat - 1; policy accept;
        iifname "outside" ip daddr {GATEWAY} udp dport 5353 dnat ip to {CLIENT}:53
        iifname "inside" ip daddr {GATEWAY} tcp dport 8081 dnat ip to {CLIENT}:80
        iifname "inside" ip daddr 192.0.2.7 dnat ip to {SERVER}
    }}
    chain back {{
        type nat hook postrouting priority srcnat - 1; policy accept;
        iifname "inside" oifname "inside" masquerade
    }}
}}
"""


def echo_udp(server: socket.socket, count: int) -> None:
    for _ in range(count):
        data, asker = server.recvfrom(2048)
        server.sendto(data, asker)


def test_clients_that_share_a_source_port_are_told_apart(lab, watched, clients):
    """Towards one server the kernel has to change all ports but one, at random; all say the same, at once."""
    with watched.run(lab), lab.server.call(bound, (SERVER, 7)) as server:
        answers = lab.server.start(echo_udp, server, 3 * len(clients))
        with contextlib.ExitStack() as stack:
            speakers = [stack.enter_context(lab.client.call(bound, (address, 5555))) for address in clients]
            for _ in range(3):
                for speaker in speakers:
                    speaker.sendto(b"hello", (SERVER, 7))
                for speaker in speakers:
                    speaker.recv(2048)
        answers.result()
    assert watched.ours() == watched.kernels()
    assert len(watched.flows) == len(clients)
    ports = {reply[3] for _, _, reply in watched.ours()}
    assert len(ports) == len(clients), "the port is what tells the answers apart"


def test_tcp_clients_that_share_a_source_port_are_told_apart(lab, watched, clients):
    with watched.run(lab), lab.server.call(socket.create_server, (SERVER, 7), backlog=64) as listener:
        listener.settimeout(5)
        with contextlib.ExitStack() as stack:
            for address in clients:
                speaker = lab.client.call(
                    socket.create_connection, (SERVER, 7), timeout=5, source_address=(address, 5555)
                )
                stack.enter_context(speaker)
                stack.enter_context(listener.accept()[0])
                speaker.sendall(b"hello")
    assert watched.ours() == watched.kernels()
    assert len(watched.flows) == len(clients)


def test_many_connections_at_once_of_all_kinds(lab, watched, clients, rules):
    """Interleaved, so that twins do not stand next to each other."""

    def ask(address: str, port: int) -> None:
        with bound((address, 0)) as speaker:
            for _ in range(5):
                speaker.sendto(b"same for all", (SERVER, port))
                speaker.recv(2048)

    def connect(address: str, to: str) -> None:
        with socket.create_connection((to, 80), timeout=5, source_address=(address, 0)) as speaker:
            speaker.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while speaker.recv(4096):
                pass

    def serve(listener: socket.socket, count: int) -> None:
        for _ in range(count):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"x" * 20_000)

    with (
        watched.run(lab),
        lab.server.call(bound, (SERVER, 7)) as server,
        lab.server.call(socket.create_server, (SERVER, 80), backlog=128) as listener,
    ):
        listener.settimeout(5)
        work = [
            lab.server.start(echo_udp, server, 5 * len(clients)),
            lab.server.start(serve, listener, 2 * len(clients)),
        ]
        for address in clients:
            work.append(lab.client.start(ask, address, 7))
            work.append(lab.client.start(connect, address, SERVER))
            work.append(lab.client.start(connect, address, "192.0.2.7"))  # translated at both ends
        for one in work:
            one.result()
    assert watched.ours() == watched.kernels()
    assert len(watched.flows) == 3 * len(clients)


def test_forwarded_ports_are_bound_from_outside_and_from_inside(lab, watched, clients, rules):
    """From inside the packet turns back on its wire, translated at both ends."""
    with watched.run(lab), lab.client.call(bound, (CLIENT, 53)) as name_server:
        with lab.server.call(bound, (SERVER, 0)) as asker:
            asker.sendto(b"who is this?", (GATEWAY, 5353))
            _, who = name_server.recvfrom(2048)
            name_server.sendto(b"me", who)
            assert asker.recvfrom(2048) == (b"me", (GATEWAY, 5353))
        load("dnat").run(lab)
        connect_and_echo(lab.client, lab.client, (GATEWAY, 8081), listen=(CLIENT, 80), source=clients[0])
    assert watched.ours() == watched.kernels()
    assert [(binding.came_by, binding.went_by) for binding in watched.seen.bindings] == [(1, 0), (1, 0), (0, 0)]
    said = [describe(binding) for binding in watched.seen.bindings]
    assert any(f"{GATEWAY}:5353 leads to {CLIENT}:53 for {SERVER}:" in line for line in said), said


class Replay:
    """The product's own walk over both captures: each packet once, translated as was seen."""

    def __init__(self, watched: Watched) -> None:
        # What the capture cut off, and checksums that the card would have made, are nobody's business here.
        settings = {name.rpartition("/")[2]: value for name, value in SHORT_TIMEOUTS.items()} | {"checksum": 0}
        helpers = assign("ftp=tcp/21") + assign("tftp=udp/69")
        setup = Setup(settings=settings, helpers=helpers)
        capture = Capture(watched.paths, setup, drain=True, seen=watched.seen)
        self.events = told(list(capture.events()))
        assert told(list(capture.events())) == self.events, "a second walk is as the first"
        self.counters = capture.counters


def told(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """What both must say alike, in order. Ends come last: the kernel looks for what has run out when it likes."""
    lines: list[tuple[object, ...]] = []
    ends: list[tuple[object, ...]] = []
    for event in events:
        if (flow := event.flow) is not None:
            sides = (kernel_ends(flow.original), kernel_ends(flow.reply))
            if event.kind == "DESTROY":
                ends.append((flow.l4proto, *sides, int(flow.status or 0)))
                continue
            master = None if flow.master is None else kernel_ends(flow.master)
            lines.append((event.kind, flow.l4proto, *sides, flow.status, flow.state, master, flow.helper))
        elif (expectation := event.expectation) is not None:
            sides = (kernel_ends(expectation.tuple), kernel_ends(expectation.master))
            lines.append((event.kind, *sides, expectation.helper, expectation.function))
    return lines + sorted(ends)


@pytest.mark.parametrize("name", SCENARIOS)
def test_bindings_are_the_kernels_tuples_and_the_engine_tells_its_events(lab, watched, name):
    """Connections with translation, status and state, expectations and their masters, in the kernel's order."""
    with watched.run(lab):
        load(name).run(lab)
    assert watched.ours() == watched.kernels()
    assert watched.ours(), "the kernel has seen something"
    assert watched.seen.counters["ambiguous"] == 0
    replay = Replay(watched)
    assert replay.events == told(watched.events)
    assert replay.counters["departed"] == watched.seen.counters["pairs"], "nothing is cut up by offloading here"
    assert replay.counters["flows"] == len(watched.flows)


def ask_for_data(lab: Lab, clients: list[str], announced: int) -> set[int]:
    """FTP control connections that all announce one port before any data connection; return the ports that came."""
    lines: list[bytes] = []

    def accept(listener: socket.socket) -> socket.socket:
        control, _ = listener.accept()
        control.settimeout(5)
        return control

    with (
        lab.server.call(socket.create_server, (SERVER, 21), backlog=8) as listener,
        contextlib.ExitStack() as stack,
    ):
        listener.settimeout(5)
        for address in clients:
            place = (address, announced)
            waiting = stack.enter_context(lab.client.call(socket.create_server, place))
            speaker = stack.enter_context(
                lab.client.call(socket.create_connection, (SERVER, 21), timeout=5, source_address=(address, 0))
            )
            control = stack.enter_context(accept(listener))
            stack.callback(waiting.close)
            numbers = ",".join([*address.split("."), str(announced >> 8), str(announced & 255)])
            speaker.sendall(b"USER anonymous\r\n")  # the helper reads from the second line on
            control.recv(100)
            speaker.sendall(f"PORT {numbers}\r\n".encode())
            lines.append(control.recv(100))
        ports = {int(high) * 256 + int(low) for *_, high, low in (line.strip().split(b",") for line in lines)}
        for port in ports:
            with lab.server.call(
                socket.create_connection, (GATEWAY, port), timeout=5, source_address=(SERVER, 0)
            ) as data:
                data.sendall(b"here you are")
    return ports


def test_ports_that_the_helper_drew_are_read_from_the_connection_that_came(lab, watched, clients):
    """Three clients announce one port. The gateway's helper draws others for two, and says so in what it rewrites."""
    with watched.run(lab):
        ports = ask_for_data(lab, clients[:3], 50_000)
    assert len(ports) == 3
    assert 50_000 in ports
    assert watched.ours() == watched.kernels()
    assert Replay(watched).events == told(watched.events)
    rewritten = [describe(binding) for binding in watched.seen.bindings if binding.rewritten]
    assert len(rewritten) == 3
    assert all("payload rewritten in 1 packet, +" in line for line in rewritten), rewritten


def test_errors_and_fragments_are_seen_once(lab, watched):
    """An error from beyond is forwarded, one of the gateway's own is not; fragments go the way of their datagram."""
    with watched.run(lab):
        with lab.client.call(bound, (CLIENT, 0)) as speaker:
            speaker.connect((SERVER, 9))
            speaker.send(b"is anybody there?")
            with pytest.raises(ConnectionRefusedError):
                speaker.recv(100)
        with lab.client.call(bound, (CLIENT, 0)) as traveller:
            traveller.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            traveller.sendto(b"no further than the gateway", (SERVER, 9))
        with lab.server.call(bound, (SERVER, 7)) as server, lab.client.call(bound, (CLIENT, 0)) as speaker:
            speaker.sendto(bytes(range(256)) * 20, (SERVER, 7))
            data, asker = server.recvfrom(65535)
            server.sendto(data, asker)
            assert len(speaker.recv(65535)) == 5120
    # What could go no further made no flow: the kernel confirms only what is sent on.
    assert watched.ours() == watched.kernels()
    counters = watched.seen.counters
    assert counters["pairs"] == 4, "two datagrams, an answer, an error"
    chatter = sum(map(ipv6_frames, watched.paths))  # of links that have just come up; there is no IPv6 traffic here
    assert counters["alone"] - chatter == 2, "what could go no further, and the gateway's own error"
    departed = Replay(watched).counters["departed"]
    assert departed == 10, "two of the eight fragments are among the pairs"


def ipv6_frames(path: str) -> int:
    """How many frames of a capture hold IPv6."""
    count = 0
    with open(path, "rb") as file:
        file.read(24)
        while head := file.read(16):
            frame = file.read(struct.unpack("<IIII", head)[2])
            count += frame[12:14] == b"\x86\xdd"
    return count


@pytest.mark.parametrize("offset_ms", [-80, 150])
def test_clocks_that_differ_are_set_right(lab, watched, offset_ms):
    with watched.run(lab):
        for name in ("ftp-active", "dnat", "tftp"):
            load(name).run(lab)
    shift(watched.paths[1], offset_ms * 1_000_000)
    watched.seen = pair(*watched.paths)
    assert watched.ours() == watched.kernels()
    assert abs(watched.seen.pairing.clock_offset_ns(1) - offset_ms * 1_000_000) < 1_000_000
    assert Replay(watched).events == told(watched.events)


def shift(path: str, by_ns: int) -> None:
    """Set the clock of a capture wrong."""
    with open(path, "rb") as file:
        out = file.read(24)
        while head := file.read(16):
            seconds, fraction, size, length = struct.unpack("<IIII", head)
            seconds, fraction = divmod(seconds * 1_000_000_000 + fraction + by_ns, 1_000_000_000)
            out += struct.pack("<IIII", seconds, fraction, size, length) + file.read(size)
    with open(path, "wb") as file:
        file.write(out)
