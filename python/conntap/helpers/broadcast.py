"""A question that this host itself broadcast may be answered by anyone in the network.

Only packets that the gateway sends itself: one that forwards, or only listens, never expects anything here.

Source: kernel net/netfilter/nf_conntrack_broadcast.c.
"""

from __future__ import annotations

from contextlib import suppress

from conntap.helpers.base import ORIGINAL, UDP, Expect, Packet, Refused

__all__ = ["expect_answers"]


def expect_answers(packet: Packet, port: int, seconds: int) -> None:
    """Expect answers from *port* of every host of the network, for so many *seconds*; the question lives as long.

    Does nothing where the packet was not broadcast by this host.
    """
    if packet.local_network is None or packet.direction != ORIGINAL:
        return
    answer = packet.reply
    # The kernel does not look whether it was taken.
    with suppress(Refused):
        packet.expect(
            Expect(
                src=answer.src,
                src_prefix=packet.local_network.network.prefixlen,
                sport=port,
                dst=answer.dst,
                dport=answer.dport,
                l4proto=UDP,
                permanent=True,
            )
        )
    packet.refresh(seconds)
