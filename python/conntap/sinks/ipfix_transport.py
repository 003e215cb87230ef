"""How IPFIX messages travel: datagrams, a TCP connection, TLS on one.

A transport is one session with a collector. What it cannot send it says with `SinkUnavailableError`, and is closed
then.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from conntap.errors import UsageError
from conntap.sinks.base import SinkUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Connection", "Datagrams", "Transport", "tls_context"]

#: Seconds between two looks at what the other side has not acknowledged.
LOOK = 0.002


class Transport(Protocol):
    """Takes whole messages."""

    def open(self) -> None:
        """Begin a new session; an older one is closed."""
        ...

    def send(self, messages: Sequence[bytes]) -> None:
        """Hand them to the kernel, all of them."""
        ...

    def settle(self) -> None:
        """Wait until the other side has what was sent, as far as the protocol can tell."""
        ...

    def close(self) -> None:
        """End the session. Never raises."""
        ...


def unavailable(doing: str, error: OSError, hint: str = "") -> SinkUnavailableError:
    """The error that says what was tried and why it failed."""
    reason = getattr(error, "verify_message", "") or error.strerror or str(error)
    return SinkUnavailableError(f"{doing}: {reason}", hint=hint)


def tls_context(
    *, ca: str | None = None, cert: str | None = None, key: str | None = None, verify: bool = True
) -> ssl.SSLContext:
    """What TLS is told: whom to believe, and who we are.

    Raises:
        UsageError: a file cannot be read, or is none of its kind.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if cert:
            context.load_cert_chain(cert, key)
    except OSError as error:
        files = ", ".join(file for file in (ca, cert, key) if file)
        raise UsageError(
            f"TLS: {files}: {error.strerror or error}", hint="ca=, cert= and key= are PEM files"
        ) from error
    return context


class Datagrams:
    """UDP. Nobody says what arrives; a receiver that is not there is heard of when its host says so (ICMP)."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """A new socket has a new port: for the collector, a new session."""
        self.close()
        doing = f"sending to {self.host} port {self.port}"
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise unavailable(doing, error) from error
        failed: OSError | None = None
        for family, kind, protocol, _, address in found:
            made = socket.socket(family, kind, protocol)
            try:
                made.connect(address)
            except OSError as error:
                made.close()
                failed = error
            else:
                self._socket = made
                return
        raise unavailable(doing, failed or OSError("no address")) from failed

    def send(self, messages: Sequence[bytes]) -> None:
        connected = self._open_socket()
        try:
            for message in messages:
                connected.send(message)
        except OSError as error:
            raise self._fail(error) from error
        self.settle()

    def settle(self) -> None:
        """Ask for a refusal that has come in since."""
        if error := self._open_socket().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise self._fail(OSError(error, os.strerror(error)))

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise SinkUnavailableError(f"sending to {self.host} port {self.port}: not open")
        return self._socket

    def _fail(self, error: OSError) -> SinkUnavailableError:
        self.close()
        hint = "no collector listens there" if isinstance(error, ConnectionRefusedError) else ""
        if error.errno == errno.EMSGSIZE:
            hint = "messages are longer than the path takes: say a smaller mtu="
        return unavailable(f"sending to {self.host} port {self.port}", error, hint)


class Connection:
    """TCP, with TLS where there is a context for it."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, timeout: float = 10.0) -> None:
        self.host, self.port, self.tls, self.timeout = host, port, tls, timeout
        self._socket: socket.socket | None = None

    def open(self) -> None:
        self.close()
        try:
            raw = socket.create_connection((self.host, self.port), self.timeout)
        except OSError as error:
            raise unavailable(f"connecting to {self.host} port {self.port}", error) from error
        if self.tls is None:
            self._socket = raw
            return
        try:
            self._socket = self.tls.wrap_socket(raw, server_hostname=self.host)
        except OSError as error:
            raw.close()
            hint = "ca= names the file of who signed its certificate" if isinstance(error, ssl.SSLError) else ""
            raise unavailable(f"TLS with {self.host} port {self.port}", error, hint) from error

    def send(self, messages: Sequence[bytes]) -> None:
        connected = self._open_socket()
        try:
            self._listen(connected)
            connected.sendall(b"".join(messages))
        except OSError as error:
            raise self._fail(error) from error

    def settle(self) -> None:
        """Wait until the other side's kernel has acknowledged every octet: IPFIX has no acknowledgement of its own."""
        connected = self._open_socket()
        deadline = time.monotonic() + self.timeout
        try:
            while struct.unpack("=i", fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)))[0]:
                if time.monotonic() >= deadline:
                    raise TimeoutError(errno.ETIMEDOUT, f"not acknowledged within {self.timeout:g} s")
                time.sleep(LOOK)
            if error := connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            self._listen(connected)
        except OSError as error:
            raise self._fail(error) from error

    def _listen(self, connected: socket.socket) -> None:
        """A collector says nothing; but the end of the connection is seen here before anything is written to it."""
        connected.settimeout(0)
        try:
            while connected.recv(4096):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            connected.settimeout(self.timeout)
        raise ConnectionResetError(errno.ECONNRESET, "the collector closed the connection")

    def close(self) -> None:
        if self._socket:
            with suppress(OSError):
                self._socket.settimeout(0)
                if isinstance(self._socket, ssl.SSLSocket):
                    self._socket.unwrap()  # says goodbye; the answer is not waited for
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._socket.close()
            self._socket = None

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise SinkUnavailableError(f"sending to {self.host} port {self.port}: not open")
        return self._socket

    def _fail(self, error: OSError) -> SinkUnavailableError:
        self.close()
        return unavailable(f"sending to {self.host} port {self.port}", error)
