"""SANE, network scanners: the answer to NET_START names a port for the picture (sane-project.org, network protocol).

There is no translation: the port that is announced is the scanner host's own, and the client opens the connection.

Source: kernel net/netfilter/nf_conntrack_sane.c.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import ORIGINAL, TCP, Expect, Helper, Packet, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Sane"]

_REQUEST: Final = struct.Struct(">II")  # procedure, handle
_REPLY: Final = struct.Struct(">IHH")  # status, always 0, port
_NET_START: Final = 7
_SUCCESS: Final = 0


class Sane(Helper):
    """Waits for the answer to NET_START."""

    name: ClassVar[str] = "sane"
    port: ClassVar[int] = 6566
    policies: ClassVar[tuple[Policy, ...]] = (Policy("image", 1, 300),)

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        super().__init__(options)
        self._started = False

    def packet(self, packet: Packet) -> None:
        """Read a request or its answer, each known by being a segment of its own.

        Raises:
            Drop: the expectation is refused.
        """
        payload = packet.payload
        if packet.state != "established" or not payload:
            return
        if packet.direction == ORIGINAL:
            if len(payload) == _REQUEST.size:
                procedure, _handle = _REQUEST.unpack(payload)
                self._started = procedure == _NET_START
            return
        started, self._started = self._started, False
        if not started or len(payload) < _REPLY.size:
            return
        status, zero, port = _REPLY.unpack_from(payload)
        if status == _SUCCESS and zero == 0:
            packet.expect(Expect(src=packet.original.src, dst=packet.original.dst, dport=port, l4proto=TCP))
