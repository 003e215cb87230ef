"""Log daemons for tests: each keeps what it got, and can go away and come back at the same address."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TLS = Path(__file__).resolve().parent / "data/tls"
DEADLINE = 10.0
#: Of structured data, of `key=value` text, of the journal's fields.
SEQ = re.compile(rb' seq="?([0-9]+)|^CONNTAP_SEQ=([0-9]+)', re.MULTILINE)


def wait_until(happened: Callable[[], bool]) -> bool:
    """Wait for a condition; False at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not happened():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.005)
    return True


class Receiver:
    """Keeps messages."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.come()

    def come(self) -> None:
        """Listen."""
        self._stop = threading.Event()
        self._socket = self._listen()
        self._socket.settimeout(0.02)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def go(self) -> None:
        """Stop listening: whoever sends hears of it."""
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def numbers(self, expected: int) -> list[int]:
        """The numbers of the records that came, when at least *expected* have."""
        wait_until(lambda: len(self.messages) >= expected)
        found = [SEQ.search(message) for message in self.messages]
        return [int(seq[1] or seq[2]) for seq in found if seq]

    def _listen(self) -> socket.socket:
        raise NotImplementedError

    def _run(self) -> None:
        raise NotImplementedError


class UdpReceiver(Receiver):
    """A UDP port."""

    port = 0

    def _listen(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        return listening

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError):
                self.messages.append(self._socket.recv(1 << 16))


class LocalReceiver(UdpReceiver):
    """A local datagram socket, as /dev/log or journald's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__()

    def _listen(self) -> socket.socket:
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listening.bind(str(self.path))
        return listening

    def go(self) -> None:
        super().go()
        self.path.unlink()


class StreamReceiver(Receiver):
    """A TCP port, with TLS or without, that takes framed messages."""

    port = 0

    def __init__(self, *, tls: bool = False, lf: bool = False) -> None:
        self.lf = lf
        self.context: ssl.SSLContext | None = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        super().__init__()

    def _listen(self) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        return listening

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError, OSError):
                plain, _ = self._socket.accept()
                plain.settimeout(DEADLINE)
                with plain if self.context is None else self.context.wrap_socket(plain, server_side=True) as connection:
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        data = b""
        while not self._stop.is_set():
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not piece:
                return
            data = self._frames(data + piece)

    def _frames(self, data: bytes) -> bytes:
        """Keep whole messages; returns the rest."""
        while True:
            if self.lf:
                message, end, rest = data.partition(b"\n")
                if not end:
                    return data
            else:
                length, space, rest = data.partition(b" ")
                if not space or len(rest) < int(length):
                    return data
                message, rest = rest[: int(length)], rest[int(length) :]
            self.messages.append(message)
            data = rest
