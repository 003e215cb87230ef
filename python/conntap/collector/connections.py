"""TCP and TLS: many exporters at once, each a stream of messages."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

from conntap import _core
from conntap.collector.datagrams import plain
from conntap.collector.listening import bind
from conntap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conntap.collector.place import Place

__all__ = ["Connection", "Connections"]

#: Exporters at one time; one more is refused.
MOST: Final = 256
#: One turn of a connection takes so many bytes at most, so that the others have theirs.
TURN_BYTES: Final = 256 << 10
PIECE: Final = 64 << 10
#: TLS has so long to begin.
HANDSHAKE_SECONDS: Final = 10.0
#: TCP asks an exporter that is silent whether it is still there, after so many seconds and so often.
KEEPALIVE: Final = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 20, socket.TCP_KEEPCNT: 3}


class Connections:
    """Exporters that come by TCP or TLS.

    Attributes:
        place: where it listens.
        address: the socket's own, with the port that it has.
        counters: connections, and what became of them.
    """

    def __init__(self, place: Place, watch: Callable[[Connection], None], forget: Callable[[Connection], None]) -> None:
        """Listen; *watch* and *forget* are told of connections whose descriptors should be waited for.

        Raises:
            KernelError: the address is taken, or none of ours.
            UsageError: a file for TLS cannot be used.
        """
        self.place, self._watch, self._forget = place, watch, forget
        self.tls = tls_context(place) if place.transport == "tls" else None
        self.socket = bind(place, socket.SOCK_STREAM)
        self.socket.listen(128)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.counters = dict.fromkeys(
            (
                "connections", "connections_refused", "connections_broken", "connections_cut",
                "tls_failed", "bytes", "refused_exporter",
            ),
            0,
        )  # fmt: skip
        self.open: set[Connection] = set()

    def fileno(self) -> int:
        """The listening socket's descriptor."""
        return self.socket.fileno()

    def read(self, reader: _core.IpfixReader, now_ns: int) -> None:
        """Take new connections; their messages come later."""
        while True:
            try:
                accepted, peer = self.socket.accept()
            except BlockingIOError:
                return
            except OSError:
                return  # it was gone again, or no descriptor is free: the next turn tries anew
            address = plain(peer[0])
            if not self.place.takes_from(address):
                self.counters["refused_exporter"] += 1
                accepted.close()
            elif len(self.open) >= MOST:
                self.counters["connections_refused"] += 1
                accepted.close()
            else:
                self._begin(accepted, address, peer[1])

    def _begin(self, accepted: socket.socket, address: str, port: int) -> None:
        self.counters["connections"] += 1
        accepted.setblocking(False)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE.items():
            accepted.setsockopt(socket.IPPROTO_TCP, option, value)
        if self.tls is not None:
            accepted = self.tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        connection = Connection(self, accepted, address, port)
        self.open.add(connection)
        self._watch(connection)

    def end(self, connection: Connection) -> None:
        """Let go of a connection."""
        self._forget(connection)
        self.open.discard(connection)
        connection.socket.close()

    def end_slow(self) -> None:
        """Let go of those that have not begun TLS in time."""
        now = time.monotonic()
        for connection in [slow for slow in self.open if slow.begins_until is not None and slow.begins_until < now]:
            self.counters["tls_failed"] += 1
            self.end(connection)

    def close(self) -> None:
        """Stop listening and let go of all."""
        for connection in list(self.open):
            self.end(connection)
        self.socket.close()


class Connection:
    """One exporter's stream.

    Attributes:
        begins_until: TLS has so long to begin; None where it has, or there is none.
    """

    def __init__(self, owner: Connections, accepted: socket.socket, exporter: str, port: int) -> None:
        self._owner, self.socket, self._exporter, self._port = owner, accepted, exporter, port
        self._rest = bytearray()
        self._last_ns = 0
        self.begins_until = time.monotonic() + HANDSHAKE_SECONDS if isinstance(accepted, ssl.SSLSocket) else None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def read(self, reader: _core.IpfixReader, now_ns: int) -> _core.Batch | None:
        """Read what has come; at the end, or where it cannot be read further, let go of it."""
        if self.begins_until is not None and not self._begin_tls():
            return None
        size, ended = self._receive()
        self._last_ns = self._last_ns or now_ns
        self._owner.counters["bytes"] += size
        batch, used, fault = reader.feed_stream(bytes(self._rest), self._exporter, now_ns, self._port)
        del self._rest[:used]
        if used:
            self._last_ns = now_ns
        if not (ended or fault):
            return batch
        parts = [batch, reader.end(self._exporter, self._port)]
        if fault:
            self._owner.counters["connections_broken"] += 1
        elif self._rest:
            self._owner.counters["connections_cut"] += 1
        if fault or self._rest:
            parts.append(_core.Batch.gap("damage", self._last_ns, max(self._last_ns, now_ns)))
        self._owner.end(self)
        return _core.Batch.concat(parts)

    def _receive(self) -> tuple[int, bool]:
        """Take bytes; returns how many came and whether the stream has ended."""
        size = 0
        while size < TURN_BYTES or self._pending():
            try:
                data = self.socket.recv(PIECE)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return size, False
            except OSError:
                return size, True
            if not data:
                return size, True
            self._rest += data
            size += len(data)
        return size, False

    def _pending(self) -> bool:
        """Has TLS read more than it has given? Nobody would tell of it again."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def _begin_tls(self) -> bool:
        """Go on with the handshake; True when it is done."""
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self._owner.counters["tls_failed"] += 1
            self._owner.end(self)
            return False
        self.begins_until = None
        return True


def tls_context(place: Place) -> ssl.SSLContext:
    """What TLS is told: who we are, and whom to believe.

    Raises:
        UsageError: a file cannot be read, or is none of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if place.cert:
            context.load_cert_chain(place.cert, place.key)
        if place.ca:
            context.load_verify_locations(place.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        files = ", ".join(file for file in (place.cert, place.key, place.ca) if file)
        raise UsageError(
            f"TLS: {files}: {error.strerror or error}", hint="cert=, key= and ca= are PEM files"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
