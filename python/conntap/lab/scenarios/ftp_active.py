"""FTP download, active: the server opens the data connection, to the port that the client named by PORT.

The helper also rewrites the PORT command, which names an inside address, to the gateway's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import Ends, Facts
from conntap.lab.scenarios.ftp import CONTROL_PORT, data_claims, download
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]


def run(lab: Lab) -> Facts:
    """Download with the data connection coming from outside."""
    done = download(lab, SERVER, passive=False)
    return Facts(
        summary=f"{SERVER} connected back through the NAT and sent {done.size_bytes:,} bytes to {CLIENT}",
        claims=data_claims(
            control=Ends(CLIENT, SERVER, done.control_sport, CONTROL_PORT),
            control_reply=Ends(SERVER, GATEWAY, CONTROL_PORT),
            awaited=Ends(SERVER, GATEWAY, None, done.data_sport),
            data=Ends(SERVER, GATEWAY, done.data_dport, done.data_sport),
            data_reply=Ends(CLIENT, SERVER, done.data_sport, done.data_dport),
        ),
    )
