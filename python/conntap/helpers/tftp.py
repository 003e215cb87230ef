"""TFTP: a read or write request is answered from a port of the server's choice (RFC 1350).

Source: kernel net/netfilter/nf_conntrack_tftp.c, nf_nat_tftp.c.
"""

from __future__ import annotations

from typing import ClassVar

from conntap.helpers.base import REPLY, UDP, Expect, Helper, Nat, Packet, Policy

__all__ = ["Tftp"]

_READ, _WRITE = 1, 2


class Tftp(Helper):
    """Reads requests; each lets the server reach the client's port from any of its own."""

    name: ClassVar[str] = "tftp"
    l4protos: ClassVar[tuple[int, ...]] = (UDP,)
    port: ClassVar[int] = 69
    policies: ClassVar[tuple[Policy, ...]] = (Policy("transfer", 1, 300),)

    def packet(self, packet: Packet) -> None:
        """Look at the opcode, in either direction.

        Raises:
            Drop: the expectation is refused.
        """
        if len(packet.payload) < 2 or int.from_bytes(packet.payload[:2], "big") not in {_READ, _WRITE}:
            return
        answer = packet.reply
        packet.expect(
            Expect(
                src=answer.src,
                dst=answer.dst,
                dport=answer.dport,
                l4proto=UDP,
                nat=Nat(REPLY, packet.original.sport) if packet.natted else None,
            )
        )
