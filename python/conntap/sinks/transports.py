"""How messages travel to a collector or a log daemon: datagrams (UDP, a local socket) or a stream (TCP, TLS).

A transport that fails says so with `SinkUnavailableError`, and is closed then; `open` begins anew.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from conntap.errors import UsageError
from conntap.sinks.base import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Datagrams", "Stream", "Transport", "tls_context"]

#: Seconds that a receiver may take for one send, or to confirm what was sent.
PATIENCE: Final = 10.0
PIECE: Final = 1 << 16
ESTABLISHED: Final = 1  # of TCP_INFO's first byte


class Transport(Protocol):
    """What `Datagrams` and `Stream` have in common."""

    def open(self) -> None:
        """Connect, also once more: an older session is closed."""
        ...

    def send(self, messages: Iterable[bytes]) -> int:
        """Send all; returns how many are lost as too long."""
        ...

    def flush(self) -> None:
        """Hear what can be heard of what was sent."""
        ...

    def close(self) -> None:
        """Let go. Never raises."""
        ...


def tls_context(
    *, ca: str | None = None, cert: str | None = None, key: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """What TLS is told: whom to believe, and who we are.

    Raises:
        UsageError: a file cannot be read, or is none of its kind.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if cert:
            context.load_cert_chain(cert, key)
    except OSError as error:
        files = ", ".join(file for file in (ca, cert, key) if file)
        raise UsageError(f"TLS: {files}: {error.strerror or error}", hint="they must be PEM files") from error
    return context


class Datagrams:
    """One message a datagram, to a UDP port or a local socket.

    UDP tells of a loss only where the other machine is there and nobody listens. A full receive buffer, a router on the
    way and a firewall lose silently.
    """

    def __init__(self, name: str, *, path: str | None = None, host: str = "", port: int = 0) -> None:
        """Prepare.

        Args:
            name: for errors.
            path: of a local socket, else:
            host: name or address,
            port: number.
        """
        self.name = name
        self._path, self._host, self._port = path, host, port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect; the socket stays unconnected where that fails.

        Raises:
            SinkUnavailableError: there is nobody now.
        """
        self.close()
        try:
            if self._path is not None:
                self._socket = _connected(socket.AF_UNIX, socket.SOCK_DGRAM, 0, self._path)
            else:
                self._socket = _first_that_connects(self._host, self._port)
        except OSError as error:
            raise _away(self.name, error) from error

    def send(self, messages: Iterable[bytes]) -> int:
        """Send each in a datagram.

        Returns:
            How many were too long for this socket and are lost.

        Raises:
            SinkUnavailableError: some may have been sent.
        """
        connected = _open(self._socket, self.name)
        too_long = 0
        try:
            for message in messages:
                try:
                    connected.send(message)
                except OSError as error:
                    if error.errno != errno.EMSGSIZE:
                        raise
                    too_long += 1
        except OSError as error:
            self.close()
            raise _away(self.name, error) from error
        return too_long

    def flush(self) -> None:
        """Hear whether the last datagrams were refused.

        Raises:
            SinkUnavailableError: they were.
        """
        if number := _open(self._socket, self.name).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close()
            raise _away(self.name, OSError(number, os.strerror(number)))

    def close(self) -> None:
        """Let go."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


class Stream:
    """Messages back to back over TCP, with TLS or without.

    `flush` waits until the other machine's kernel has confirmed every byte and the connection still stands. What its
    program does with them afterwards, neither syslog nor IPFIX can tell.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        tls_name: str = "",
        patience: float = PATIENCE,
    ) -> None:
        """Prepare.

        Args:
            name: for errors.
            host: name or address.
            port: number.
            tls: with TLS; None without.
            tls_name: what the certificate must say, where that is not *host*.
            patience: seconds to wait for a connection, for one send, and for confirmation.
        """
        self.name = name
        self._host, self._port = host, port
        self._tls, self._tls_name = tls, tls_name or host
        self._patience = patience
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            SinkUnavailableError: not now.
        """
        self.close()
        try:
            plain = socket.create_connection((self._host, self._port), timeout=self._patience)
        except OSError as error:
            raise _away(self.name, error) from error
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._tls_name)
        except OSError as error:
            plain.close()
            hint = "ca= names the file of who signed its certificate" if isinstance(error, ssl.SSLError) else ""
            raise _away(self.name, error, hint) from error

    def send(self, messages: Iterable[bytes]) -> int:
        """Send all; returns 0, as none is too long.

        Raises:
            SinkUnavailableError: the connection is closed: a receiver drops what it has of a message.
        """
        connected = _open(self._socket, self.name)
        try:
            self._listen(connected, 0)
            rest = memoryview(b"".join(messages))
            while rest:
                connected.sendall(rest[:PIECE])  # the patience is for each
                rest = rest[PIECE:]
        except OSError as error:
            self.close()
            raise _away(self.name, error) from error
        return 0

    def flush(self) -> None:
        """Wait until all was confirmed.

        Raises:
            SinkUnavailableError: the connection broke, or nothing was confirmed for too long.
        """
        connected = _open(self._socket, self.name)
        deadline = time.monotonic() + self._patience
        pause = 0.0
        try:
            while True:
                self._listen(connected, pause)
                if not _unconfirmed(connected):
                    self._listen(connected, 0)
                    _check(connected)
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError(errno.ETIMEDOUT, "does not confirm what was sent")
                pause = min(0.02, pause + 0.001)
        except OSError as error:
            self.close()
            raise _away(self.name, error) from error

    def close(self) -> None:
        """Say goodbye and let go. What was not confirmed may be lost."""
        if self._socket is None:
            return
        with suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.settimeout(1.0)
                self._socket = self._socket.unwrap()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.close()
        self._socket = None

    def _listen(self, connected: socket.socket, seconds: float) -> None:
        """Hear the end of the connection. Receivers say nothing; what they say nonetheless is thrown away."""
        ready = select.poll()
        ready.register(connected, select.POLLIN)
        if not ready.poll(seconds * 1000):
            return
        connected.settimeout(0)
        try:
            said = b" "
            while said:
                said = connected.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            connected.settimeout(self._patience)
        raise ConnectionResetError(errno.ECONNRESET, "closed the connection")


def _open(connected: socket.socket | None, name: str) -> socket.socket:
    if connected is None:
        raise SinkUnavailableError(f"{name}: is not connected")
    return connected


def _unconfirmed(connected: socket.socket) -> int:
    """Bytes that the peer has not acknowledged (SIOCOUTQ)."""
    answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    return struct.unpack("i", answer)[0]


def _check(connected: socket.socket) -> None:
    """An acknowledged byte may be one that nobody will read: the connection must still stand."""
    if number := connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(number, os.strerror(number))
    if connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
        raise ConnectionResetError(errno.ECONNRESET, "closed the connection")


def _connected(family: int, kind: int, protocol: int, address: str | tuple[object, ...]) -> socket.socket:
    tried = socket.socket(family, kind, protocol)
    try:
        tried.settimeout(PATIENCE)
        tried.connect(address)
    except OSError:
        tried.close()
        raise
    return tried


def _first_that_connects(host: str, port: int) -> socket.socket:
    last = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM):
        try:
            return _connected(family, kind, protocol, address)
        except OSError as error:
            last = error
    raise last


def _away(name: str, error: OSError, hint: str = "") -> SinkUnavailableError:
    said = getattr(error, "verify_message", "")
    why = f"certificate: {said}" if said else error.strerror or str(error) or "timed out"
    if error.errno == errno.ECONNREFUSED:
        why = "nobody listens"
    return SinkUnavailableError(f"{name}: {why}", hint=hint)
