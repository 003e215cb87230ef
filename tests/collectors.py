"""Collectors that keep what they are sent."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


class UdpCollector:
    """Takes datagrams on a port of its own."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, 0))
        self.socket.settimeout(10)
        self.host, self.port = self.socket.getsockname()[:2]

    def messages(self) -> list[bytes]:
        """What has come: on loopback a datagram is there when `send` returns."""
        found = []
        self.socket.setblocking(False)
        while True:
            try:
                found.append(self.socket.recv(65_536))
            except BlockingIOError:
                return found


class TcpCollector:
    """Takes connections, one after another, each whole."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self.listener.getsockname()
        self.tls = tls
        self.sessions: list[bytearray] = []
        self.ended = 0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self.listener.accept()
            except OSError:
                return
            try:
                self._take(taken)
            except OSError as error:
                self.failed.append(str(error))
            self.ended += 1

    def _take(self, taken: socket.socket) -> None:
        with taken:
            taken.settimeout(10)
            connection = self.tls.wrap_socket(taken, server_side=True) if self.tls else taken
            with connection:
                session = bytearray()
                self.sessions.append(session)
                while data := connection.recv(65_536):
                    session += data

    def close(self) -> None:
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(10)
