"""GRE (RFC 2784, version 0) between client and server; tracked by addresses, its keys are 0."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import GRE, Claim, Ends, Facts
from conntap.lab.scenarios.packets import raw_socket, receive_payload
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]

PACKET = struct.pack("!HH", 0, 0x0800) + bytes(20)  # no flags; payload type IPv4, an empty header


def run(lab: Lab) -> Facts:
    """A packet there and one back."""
    with lab.client.call(raw_socket, CLIENT, GRE) as client, lab.server.call(raw_socket, SERVER, GRE) as server:
        client.sendto(PACKET, (SERVER, 0))
        packet, source = receive_payload(server)
        server.sendto(packet, (source, 0))
        receive_payload(client)
    original, reply = Ends(CLIENT, SERVER), Ends(SERVER, GATEWAY)
    return Facts(
        summary=f"GRE from {CLIENT} reached {SERVER} from {source}, and back",
        claims=(
            Claim(says="the first packet", kind="NEW", protocol=GRE, original=original, reply=reply, related=False),
            Claim(says="the answer", kind="UPDATE", protocol=GRE, original=original, reply=reply),
            Claim(says="the kernel forgets it", kind="DESTROY", protocol=GRE, original=original, reply=reply),
        ),
    )
