"""A collector goes away for some seconds, in the middle of a connection, and comes back."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ipfix_reader import OURS, Reader
from lab.log.faults import Load, Truth, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from lab.log.faults import Gateway


#: The connection to the collector is none of the flows that are counted.
NOTRACK = """table inet away {
    chain out { type filter hook output priority -300; meta l4proto tcp notrack; }
    chain in { type filter hook prerouting priority -300; meta l4proto tcp notrack; }
}"""


class Collector:
    """Keeps what each connection brings, until it is told to go away."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self.listener.getsockname()[1]
        self.sessions: list[bytearray] = []
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            session = bytearray()
            self.sessions.append(session)
            self._taken.append(connection)
            with connection:
                try:
                    while data := connection.recv(1 << 16):
                        session += data
                except OSError:
                    continue

    def close(self) -> None:
        """Away, without a word."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self._taken:
            if connection.fileno() >= 0:
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()


def messages(session: bytearray) -> list[bytes]:
    """The whole messages of a session."""
    found: list[bytes] = []
    at = 0
    while at + 4 <= len(session) and at + (length := int.from_bytes(session[at + 2 : at + 4], "big")) <= len(session):
        found.append(bytes(session[at : at + length]))
        at += length
    return found


@pytest.mark.slow
def test_away_and_back(gateway: Gateway, tmp_path: Path) -> None:
    """What waits is spilled; every flow arrives, and what comes twice is known by its flow and record number."""
    gateway.host.run(["nft", "-f", "-"], input=NOTRACK)
    first = gateway.host.call(Collector)
    port = first.port
    logger = gateway.log("udp", "--to", f"ipfix://127.0.0.1:{port}?transport=tcp", "--state", str(tmp_path)).ready()
    truth = Truth(gateway)
    load = Load(gateway, 2000)
    wait_until(lambda: any(map(len, first.sessions)), "the collector hears something")
    wait_until(lambda: load.sent > 4000, "traffic flows")
    first.close()
    wait_until(lambda: any(tmp_path.glob("sinks/*/spool/*.pcapng")), "records are spilled to the disk")
    away = load.sent
    wait_until(lambda: load.sent > away + 6000, "traffic goes on")
    second = gateway.host.call(Collector, port)
    made = load.stop()
    lives = truth.lives()
    wait_until(lambda: not any(tmp_path.glob("sinks/*/spool/*.pcapng")), "the spool is empty again")
    said = logger.stop()
    second.close()

    came: list[tuple[str, int, int]] = []
    for session in first.sessions + second.sessions:
        reader = Reader().feed(messages(session))
        assert not reader.faults
        came += [(flow[12], flow[148], flow.values.get((OURS, 7), 0)) for flow in reader.flows() if 12 in flow.values]
    assert {name for name, _, _ in came} == lives.keys(), said
    once = set(came)
    assert len(once) == made
    print(f"{made} flows, {len(came) - made} came twice: {said}")
