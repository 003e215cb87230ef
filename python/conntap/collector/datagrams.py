"""UDP: a socket with a large buffer, and what the kernel dropped for want of room."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conntap.collector.listening import bind

if TYPE_CHECKING:
    from conntap import _core
    from conntap.collector.place import Place

__all__ = ["Datagrams"]

#: One reading takes so many datagrams, and bytes, at most: what they become has its place in memory.
MOST: Final = 512
MOST_BYTES: Final = 1 << 20
LONGEST: Final = 65_535

# asm-generic/socket.h
SO_RCVBUFFORCE: Final = 33
SO_MEMINFO: Final = 55
#: linux/sock_diag.h: SK_MEMINFO_DROPS of nine numbers.
MEMINFO: Final = struct.Struct("9I")
DROPS: Final = 8


class Datagrams:
    """Messages that come by UDP.

    Attributes:
        place: where it listens.
        address: the socket's own, with the port that it has.
        counters: datagrams, their bytes, those from strangers, and those that the kernel had no room for.
        buffer_bytes: receive buffer that the kernel gave, as it counts: twice what was asked for, at most.
    """

    def __init__(self, place: Place) -> None:
        """Listen.

        Raises:
            KernelError: the address is taken, or none of ours.
        """
        self.place = place
        self.socket = bind(place, socket.SOCK_DGRAM)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.counters = {"datagrams": 0, "bytes": 0, "refused_exporter": 0, "kernel_drops": 0}
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, place.buffer_bytes)
        with suppress(OSError):  # CAP_NET_ADMIN: beyond net.core.rmem_max
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, place.buffer_bytes)
        self.buffer_bytes = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def read(self, reader: _core.IpfixReader, now_ns: int) -> _core.Batch | None:
        """Read what has come."""
        found: list[tuple[bytes, str, int]] = []
        size = 0
        while len(found) < MOST and size < MOST_BYTES:
            try:
                data, sender = self.socket.recvfrom(LONGEST)
            except OSError:
                break  # nothing more is there
            address = plain(sender[0])
            if not self.place.takes_from(address):
                self.counters["refused_exporter"] += 1
                continue
            size += len(data)
            found.append((data, address, sender[1]))
        self.counters["datagrams"] += len(found)
        self.counters["bytes"] += size
        self._count_drops()
        return reader.feed_all(found, now_ns) if found else None

    def _count_drops(self) -> None:
        with suppress(OSError, struct.error):  # a kernel without it (before 4.12)
            numbers = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
            # The kernel's number has 32 bits and begins anew.
            before = self.counters["kernel_drops"]
            self.counters["kernel_drops"] += (MEMINFO.unpack(numbers)[DROPS] - before) % (1 << 32)

    def close(self) -> None:
        """Stop listening."""
        self.socket.close()


def plain(address: str) -> str:
    """An address without the mark of an IPv4 one in IPv6, and without its interface."""
    return address.removeprefix("::ffff:").partition("%")[0] if "." in address or "%" in address else address
