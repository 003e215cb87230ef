"""A gateway whose expectations are made to order, a friend and a stranger outside, and a guard that runs beside."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import conntap
from conntap.guard.watch import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conntap.lab import Lab

CLIENT, FRIEND, STRANGER = "10.0.0.5", "198.51.100.9", "203.0.113.254"
DOOR, BACK_DOOR = 40_000, 40_001
UDP = 17


class Scene:
    """The lab, its sockets, and its gateway's tables."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.pid = lab.gateway.pid
        self.ct = conntap.open(self.pid)
        self.doors = {port: self.socket(lab.client, CLIENT, port) for port in (DOOR, BACK_DOOR)}
        self.friend = self.socket(lab.server, FRIEND, 0)
        self.stranger = self.socket(lab.server, STRANGER, 0)
        self._next = 1024

    def socket(self, host: Any, address: str, port: int) -> socket.socket:
        made = host.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made

    def close(self) -> None:
        for one in (*self.doors.values(), self.friend, self.stranger):
            one.close()
        self.ct.close()

    def announce(self, port: int = DOOR, *, source: str = FRIEND, server: str = FRIEND, zone: int = 0) -> int:
        """An FTP session of the client announces a connection from *source* ("": anybody); its master's port."""
        self._next += 1
        self.ct.create(
            orig_src=CLIENT, orig_dst=server, l4proto=6, orig_sport=self._next, orig_dport=21,
            timeout=60, tcp_state=3, helper="ftp", zone=zone,
        )  # fmt: skip
        self.expect(port, source=source, server=server, master=self._next, zone=zone)
        return self._next

    def expect(self, port: int, *, source: str, master: int, server: str = FRIEND, zone: int = 0) -> None:
        """A session that is there announces a connection."""
        self.ct.create_expectation(
            src=source or None, dst=CLIENT, dport=port, l4proto=UDP, timeout=60,
            master_src=CLIENT, master_dst=server, master_l4proto=6, master_sport=master, master_dport=21, zone=zone,
        )  # fmt: skip

    def send(self, sender: socket.socket, port: int = DOOR) -> None:
        sender.sendto(b"knock", (CLIENT, port))

    def arrives(self, port: int = DOOR, *, within: float = 1.0) -> bool:
        """Did a datagram get to the client?"""
        self.doors[port].settimeout(within)
        try:
            self.doors[port].recv(100)
        except TimeoutError:
            return False
        return True

    def comes_in(self, sender: socket.socket, port: int = DOOR) -> bool:
        """Does it, when it is sent again as long as nothing answers?"""
        for _ in range(40):
            self.send(sender, port)
            if self.arrives(port, within=0.05):
                return True
        return False

    def forget(self) -> None:
        """The connections that came by it end."""
        self.ct.delete(f"udp and (dport {DOOR} or dport {BACK_DOOR})")

    def tables(self) -> str:
        return self.lab.gateway.run(["nft", "list", "tables"])


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)  # waits: for the condition, with a deadline


@contextmanager
def running(guard: Guard) -> Iterator[Guard]:
    """A guard at work in a thread."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                guard.step(0.02)
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield guard
    finally:
        stop.set()
        thread.join()
        guard.close()
        if failed:
            raise failed[0]
