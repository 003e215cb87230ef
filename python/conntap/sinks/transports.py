"""How messages travel to a log daemon: datagrams (UDP, a local socket) or a stream (TCP, TLS)."""

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
from typing import TYPE_CHECKING, Final

from conntap.errors import ConntapError
from conntap.sinks.base import SinkUnavailableError

if TYPE_CHECKING:
    from conntap import _core

__all__ = ["Datagrams", "Stream"]

#: Seconds that a receiver may take for one send, or to confirm what was sent.
PATIENCE: Final = 10.0
ESTABLISHED: Final = 1  # of TCP_INFO's first byte


class Datagrams:
    """One record a datagram, to a UDP port or a local socket.

    UDP tells of a loss only where the other machine is there and nobody listens: then all since the last flush is
    offered again. A full receive buffer, a router on the way and a firewall lose silently.
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

    def send(self, formatter: _core.LineFormatter, records: _core.Batch) -> int:
        """Send all records, each in a datagram.

        Returns:
            How many were too long for this socket and are lost.

        Raises:
            SinkUnavailableError: some may have been sent; all are to be sent again.
        """
        if self._socket is None:
            raise SinkUnavailableError(f"{self.name}: is not connected")
        too_long = 0
        try:
            for message in formatter.datagrams(records):
                try:
                    self._socket.send(message)
                except OSError as error:
                    if error.errno != errno.EMSGSIZE:
                        raise
                    too_long += 1
        except OSError as error:
            raise _away(self.name, error) from error
        return too_long

    def flush(self) -> None:
        """Hear whether the last datagrams were refused.

        Raises:
            SinkUnavailableError: they were.
        """
        if self._socket is None:
            raise SinkUnavailableError(f"{self.name}: is not connected")
        if number := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise _away(self.name, OSError(number, os.strerror(number)))

    def close(self) -> None:
        """Let go."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


class Stream:
    """Framed records over TCP, with TLS or without.

    `flush` waits until the other machine's kernel has confirmed every byte and the connection still stands. What its
    program does with them afterwards, syslog cannot tell.
    """

    def __init__(
        self, name: str, host: str, port: int, *, tls: ssl.SSLContext | None = None, tls_name: str = ""
    ) -> None:
        """Prepare.

        Args:
            name: for errors.
            host: name or address.
            port: number.
            tls: with TLS; None without.
            tls_name: what the certificate must say, where that is not *host*.
        """
        self.name = name
        self._host, self._port = host, port
        self._tls, self._tls_name = tls, tls_name or host
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            SinkUnavailableError: not now.
            ConntapError: the certificate is not trusted.
        """
        self.close()
        try:
            plain = socket.create_connection((self._host, self._port), timeout=PATIENCE)
        except OSError as error:
            raise _away(self.name, error) from error
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._tls_name)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            hint = "say tls_ca=FILE for the authority that signed it, or tls_name=NAME if it is another machine's name"
            raise ConntapError(f"{self.name}: certificate: {error.verify_message}", hint=hint) from error
        except OSError as error:
            plain.close()
            raise _away(self.name, error) from error

    def send(self, formatter: _core.LineFormatter, records: _core.Batch) -> int:
        """Send all records; returns 0, as none is too long.

        Raises:
            SinkUnavailableError: the connection is closed: a receiver drops what it has of a record.
        """
        if self._socket is None:
            raise SinkUnavailableError(f"{self.name}: is not connected")
        try:
            self._listen(0)
            self._socket.sendall(formatter.format(records))
        except OSError as error:
            self.close()
            raise _away(self.name, error) from error
        return 0

    def flush(self) -> None:
        """Wait until all was confirmed.

        Raises:
            SinkUnavailableError: the connection broke, or nothing was confirmed for too long.
        """
        if self._socket is None:
            raise SinkUnavailableError(f"{self.name}: is not connected")
        deadline = time.monotonic() + PATIENCE
        pause = 0.0
        try:
            while True:
                self._listen(pause)
                if not self._unconfirmed():
                    self._listen(0)
                    self._check()
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

    def _unconfirmed(self) -> int:
        """Bytes that the peer has not acknowledged (SIOCOUTQ)."""
        assert self._socket is not None
        answer = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return struct.unpack("i", answer)[0]

    def _check(self) -> None:
        """An acknowledged byte may be one that nobody will read: the connection must still stand."""
        assert self._socket is not None
        if number := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))
        if self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
            raise ConnectionResetError(errno.ECONNRESET, "closed the connection")

    def _listen(self, seconds: float) -> None:
        """Hear the end of the connection. Log daemons say nothing; what they say nonetheless is thrown away."""
        assert self._socket is not None
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return
        self._socket.settimeout(0)
        try:
            said = self._socket.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            self._socket.settimeout(PATIENCE)
        if not said:
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


def _away(name: str, error: OSError) -> SinkUnavailableError:
    why = "nobody listens" if error.errno == errno.ECONNREFUSED else (error.strerror or str(error) or "timed out")
    return SinkUnavailableError(f"{name}: {why}")
