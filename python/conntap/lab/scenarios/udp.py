"""A UDP datagram out and one back."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import UDP, Claim, Ends, Facts
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["bound", "run"]

PORT = 7  # echo, RFC 862
TIMEOUT_SECONDS = 5.0


def run(lab: Lab) -> Facts:
    """The client asks, the server answers."""
    with lab.server.call(bound, (SERVER, PORT)) as server, lab.client.call(bound, (CLIENT, 0)) as client:
        sport: int = client.getsockname()[1]
        client.sendto(b"hello", (SERVER, PORT))
        question, asker = server.recvfrom(2048)
        server.sendto(question, asker)
        client.recv(2048)
    original = Ends(CLIENT, SERVER, sport, PORT)
    reply = Ends(SERVER, GATEWAY, PORT)
    return Facts(
        summary=f"{CLIENT}:{sport} asked {SERVER}:{PORT}, which answered {asker[0]}:{asker[1]}",
        claims=(
            Claim(says="the first datagram", kind="NEW", protocol=UDP, original=original, reply=reply, related=False),
            Claim(says="the answer", kind="UPDATE", protocol=UDP, original=original, reply=reply),
            Claim(says="the kernel forgets it", kind="DESTROY", protocol=UDP, original=original, reply=reply),
        ),
    )


def bound(address: tuple[str, int]) -> socket.socket:
    """A UDP socket of this host at *address* (port 0: any)."""
    handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    handle.settimeout(TIMEOUT_SECONDS)
    handle.bind(address)
    return handle
