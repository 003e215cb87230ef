"""Amanda, backups: the client's answer lists TCP ports that the server will connect to.

`CONNECT DATA 5001 MESG 5002 INDEX 5003` and, since 3.3, `STATE 5004`, on one line of a UDP datagram.

Source: kernel net/netfilter/nf_conntrack_amanda.c, nf_nat_amanda.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import ORIGINAL, TCP, UDP, Drop, Expect, Helper, Nat, Packet, Policy
from conntap.helpers.nat import announce

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Amanda"]

_CONNECT: Final = b"CONNECT "
_STREAMS: Final = (b"DATA ", b"MESG ", b"INDEX ", b"STATE ")  # looked for in this order, whatever the text's is
_DIGITS: Final = re.compile(rb"[0-9]{0,5}")


class Amanda(Helper):
    """Reads answers.

    Parameters:
        master_timeout: seconds that the connection lives after each answer, since backups take their time.
    """

    name: ClassVar[str] = "amanda"
    l4protos: ClassVar[tuple[int, ...]] = (UDP,)
    port: ClassVar[int] = 10080
    policies: ClassVar[tuple[Policy, ...]] = (Policy("stream", 4, 180),)
    parameters: ClassVar[Mapping[str, int]] = {"master_timeout": 300}

    def packet(self, packet: Packet) -> None:
        """Read one datagram.

        Raises:
            Drop: an expectation is refused. The streams behind it are expected all the same; where the connection is
                translated, only what became of the last one counts.
        """
        if packet.direction == ORIGINAL:
            return
        packet.refresh(self.options["master_timeout"])
        connect = packet.payload.find(_CONNECT)
        start = connect + len(_CONNECT)
        # Not moved where translation changes the length before it: the kernel's is not either.
        stop = packet.payload.find(b"\n", start)
        if connect < 0 or stop < 0:
            return
        refusal: Drop | None = None
        for stream in _STREAMS:
            found = packet.payload.find(stream, start, stop)
            if found < 0:
                continue
            digits = _DIGITS.match(packet.payload, found + len(stream), stop)
            port = int(digits.group() or b"0") & 0xFFFF if digits else 0
            if digits is None or port == 0:
                break
            try:
                self._expect(packet, digits.start(), digits.end(), port)
            except Drop as drop:
                refusal = drop
            else:
                refusal = None if packet.natted else refusal
        if refusal is not None:
            raise refusal

    def _expect(self, packet: Packet, start: int, end: int, port: int) -> None:
        wanted = Expect(
            src=packet.original.src,
            dst=packet.original.dst,
            dport=port,
            l4proto=TCP,
            nat=Nat(ORIGINAL, port) if packet.natted else None,
        )
        if packet.natted:
            announce(packet, wanted, start, end - start, lambda port: b"%d" % port)
        else:
            packet.expect(wanted)
