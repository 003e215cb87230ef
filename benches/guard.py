"""`conntap guard`: how fast it takes back, alone and beside a flood; hold; decisions a second.

The reaction is seen from outside: one listener hears of the expectation and of its deletion, and the time between both
is what is told. Each part has a lab of its own; expectations are made by requests, packets are real.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

import conntap
from benches.flood import cpu_ns
from benches.process import conntap as program
from conntap.guard.watch import Guard
from conntap.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measure"]

CLIENT, FRIEND = "10.0.0.5", "198.51.100.9"
UDP = 17
DOOR, BACK_DOOR = 40_000, 40_001
#: Ports of the FTP connections that announce, in turn: the table stays small.
FIRST_MASTER, LAST_MASTER = 1024, 1223


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """All parts, each in a fresh lab."""
    return {
        "idle": reaction(plan["guard_expectations"], 0),
        "flood": reaction(plan["guard_expectations"], plan["guard_flood_rate"]),
        "hold": hold(plan["guard_hold_rounds"]),
        "decisions": decisions(plan["guard_decisions"]),
        "events": events_kept_up_with(plan["guard_seconds"], plan["guard_event_rate"]),
    }


class Gateway:
    """A lab whose gateway's expectations are made to order."""

    def __init__(self, lab: Lab) -> None:
        self.pid = lab.gateway.pid
        self.ct = conntap.open(self.pid)
        self._lab = lab
        self._sport = FIRST_MASTER
        lab.server.run(["ip", "route", "add", "10.0.0.0/24", "via", "203.0.113.1"])

    def socket(self, host: Any, address: str, port: int) -> socket.socket:
        made = host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def announce(self, port: int, *, source: str) -> None:
        """An FTP connection of the client announces one from *source* ("": anybody)."""
        self._sport = self._sport + 1 if self._sport < LAST_MASTER else FIRST_MASTER
        self.ct.create(
            replace=True, orig_src=CLIENT, orig_dst=FRIEND, l4proto=6, orig_sport=self._sport, orig_dport=21,
            timeout=600, tcp_state=3, helper="ftp",
        )  # fmt: skip
        self.ct.create_expectation(
            src=source or None, dst=CLIENT, dport=port, l4proto=UDP, timeout=60,
            master_src=CLIENT, master_dst=FRIEND, master_l4proto=6, master_sport=self._sport, master_dport=21,
        )  # fmt: skip


def events_kept_up_with(seconds: float, rate: int) -> dict[str, Any]:
    """TFTP requests through the gateway: each but the first of a connection ends an expectation and makes one.

    A request is one packet and two events; 200 connections take turns.
    """
    with Lab() as lab, tempfile.NamedTemporaryFile() as summary:
        gateway = Gateway(lab)
        guard = guarding(gateway.pid, "--summary", summary.name)
        sink = gateway.socket(lab.server, FRIEND, 69)  # takes them, so that no ICMP error comes back
        begun = time.monotonic()
        spent = cpu_ns(guard.pid)
        traffic = lab.client.start(requests, seconds, rate / 2)
        memory = [resident_kib(guard.pid) for _ in ticks(seconds / 3, 3)]
        sent = traffic.result()
        took = time.monotonic() - begun
        time.sleep(0.5)  # waits: for what the guard still has to read
        spent = cpu_ns(guard.pid) - spent
        sink.close()
        guard.send_signal(signal.SIGTERM)
        guard.communicate()
        told = json.load(open(summary.name, encoding="utf-8"))
    events = told["expectations"] + told["ended"]
    return {
        "requests": sent,
        "events": events,
        "per_second": events / took,
        "lost": told["lost"],
        "cpu_share": spent / 1e9 / took,
        "resident_kib": memory,
    }


def requests(seconds: float, rate: float) -> int:
    """Ask for a file, again and again, from sockets in turn; how many requests were sent."""
    asked = b"\0\1boot.img\0octet\0"
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        for _ in range(max(1, min(2_000, int(now * rate) - sent))):
            sockets[sent % 200].sendto(asked, (FRIEND, 69))
            sent += 1
        time.sleep(0.0005)  # waits: for the rate
    for one in sockets:
        one.close()
    return sent


def ticks(seconds: float, count: int) -> Iterator[int]:
    """Come *count* times, every so many seconds."""
    for number in range(count):
        time.sleep(seconds)  # waits: for the next third
        yield number


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def guarding(pid: int, *words: str) -> subprocess.Popen[bytes]:
    """The command, subscribed."""
    command = [program(), "guard", "--netns", str(pid), "--quiet", *words]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert started.stderr is not None
    started.stderr.readline()  # "guarding by …"
    return started


def peak_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def reaction(count: int, rate: int) -> dict[str, Any]:
    """From NEW to DESTROY of expectations that are not allowed, milliseconds; *rate*: new flows a second beside."""
    with Lab() as lab, tempfile.NamedTemporaryFile() as summary:
        gateway = Gateway(lab)
        guard = guarding(gateway.pid, "--summary", summary.name)
        stop = flooding(gateway, lab, rate) if rate else None
        times: list[float] = []
        with gateway.ct.events("exp_new or exp_destroy", gather_ms=0) as events:
            for number in range(count):
                gateway.announce(20_000 + number % 20_000, source="")
                times.append(between(events))
                time.sleep(0.002)  # waits: one after the other, as they come in life
        flows = stop() if stop else 0
        memory = peak_kib(guard.pid)
        guard.send_signal(signal.SIGTERM)
        guard.communicate()
        told = json.load(open(summary.name, encoding="utf-8"))
    times.sort()
    return {
        "count": count,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[len(times) * 99 // 100],
        "max_ms": times[-1],
        "flows_per_second": flows,
        "deleted": told["deleted"],
        "lost": told["lost"],
        "peak_kib": memory,
    }


def between(events: Any) -> float:
    """Milliseconds from the next NEW to its DESTROY."""
    begun = None
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        batch = events.receive(1.0)
        for event in batch.events() if batch is not None else ():
            if event.kind == "EXP_NEW":
                begun = event.received_ns
            elif event.kind == "EXP_DESTROY" and begun is not None:
                return (event.received_ns - begun) / 1e6
    raise SystemExit("bench: the guard did not delete an expectation within 5 s")


def flooding(gateway: Gateway, lab: Lab, rate: int) -> Any:
    """New flows through the gateway, at about *rate* a second; the result ends it and says how many a second."""
    from threading import Event

    stop = Event()

    def send() -> float:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            begun = time.monotonic()
            sent = 0
            while not stop.is_set():
                for _ in range(rate // 100):
                    sent += 1
                    out.sendto(b"", (f"198.51.100.{10 + sent // 60_000 % 200}", 1024 + sent % 60_000))
                ahead = begun + sent / rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)  # waits: for the rate
            return sent / (time.monotonic() - begun)

    future = lab.client.start(send)

    def end() -> float:
        stop.set()
        return future.result()

    time.sleep(0.5)  # waits: until it flows
    return end


def hold(rounds: int) -> dict[str, Any]:
    """Friends that were announced and strangers that anybody's door was opened to: who comes in?"""
    with Lab() as lab:
        gateway = Gateway(lab)
        guard = guarding(gateway.pid, "--hold")
        doors = {port: gateway.socket(lab.client, CLIENT, port) for port in (DOOR, BACK_DOOR)}
        friend, stranger = (gateway.socket(lab.server, FRIEND, 0) for _ in range(2))
        came = again = 0
        for _ in range(rounds):
            gateway.announce(DOOR, source=FRIEND)
            gateway.announce(BACK_DOOR, source="")
            stranger.sendto(b"knock", (CLIENT, BACK_DOOR))
            tries = knocked(friend, doors[DOOR])
            came += bool(tries)
            again += tries > 1
            gateway.ct.delete(f"udp and dport {DOOR}")
        doors[BACK_DOOR].settimeout(0.5)
        strangers = 0
        try:
            while doors[BACK_DOOR].recv(100):
                strangers += 1
        except TimeoutError:
            pass
        for one in (*doors.values(), friend, stranger):
            one.close()
        guard.send_signal(signal.SIGTERM)
        guard.communicate()
    return {"rounds": rounds, "friends": came, "sent_again": again, "strangers": strangers}


def knocked(sender: socket.socket, door: socket.socket) -> int:
    """Send, and again as long as nothing arrives; the number of tries, 0 where none did."""
    for tries in range(1, 41):
        sender.sendto(b"knock", (CLIENT, DOOR))
        door.settimeout(0.05)
        try:
            door.recv(100)
        except TimeoutError:
            continue
        return tries
    return 0


def decisions(count: int) -> dict[str, Any]:
    """Decisions a second on events that have been received: decoding, deciding, remembering, telling."""
    with Lab() as lab:
        gateway = Gateway(lab)
        with gateway.ct.events("exp_new", gather_ms=0) as events:
            for number in range(500):
                gateway.announce(20_000 + number, source=FRIEND if number % 2 else "")
            batches = list(received(events))
        from conntap import _core

        batch = _core.Batch.concat(batches)
        guard = Guard(netns=gateway.pid, dry_run=True, tell=lambda _: None)
        begun = time.perf_counter()
        done = 0
        while done < count:
            guard.batch(batch)
            guard.tell_all()
            done += len(batch)
        seconds = time.perf_counter() - begun
        guard.close()
    return {"count": done, "per_second": done / seconds}


def received(events: Any) -> Iterator[Any]:
    while (batch := events.receive(0.2)) is not None:
        yield batch
