"""Port forward: somebody outside connects to the gateway and reaches the client's web server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import TCP, Claim, Ends, Facts
from conntap.lab.scenarios.tcp import connect_and_echo
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]

OUTSIDE_PORT = 8080  # forwarded by the gateway's rules to
INSIDE_PORT = 80


def run(lab: Lab) -> Facts:
    """The server connects to the gateway's outside and is answered by the client."""
    sport = connect_and_echo(
        lab.server, lab.client, (GATEWAY, OUTSIDE_PORT), listen=(CLIENT, INSIDE_PORT), source=SERVER
    )
    original = Ends(SERVER, GATEWAY, sport, OUTSIDE_PORT)
    reply = Ends(CLIENT, SERVER, INSIDE_PORT, sport)
    return Facts(
        summary=f"{SERVER}:{sport} asked {GATEWAY}:{OUTSIDE_PORT} and was answered by {CLIENT}:{INSIDE_PORT}",
        claims=(
            Claim(
                says="the connection begins", kind="NEW", protocol=TCP, original=original, reply=reply, related=False
            ),
            Claim(says="it changes state", kind="UPDATE", protocol=TCP, original=original, reply=reply),
            Claim(says="the kernel forgets it", kind="DESTROY", protocol=TCP, original=original, reply=reply),
        ),
    )
