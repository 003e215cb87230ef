"""FTP download over IPv6: EPSV instead of PASV (RFC 2428), and masquerading all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import Ends, Facts
from conntap.lab.scenarios.ftp import CONTROL_PORT, data_claims, download
from conntap.lab.topology import CLIENT6, GATEWAY6, SERVER6

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]


def run(lab: Lab) -> Facts:
    """Passive download from the server's IPv6 address."""
    done = download(lab, SERVER6)
    return Facts(
        summary=f"{CLIENT6} downloaded {done.size_bytes:,} bytes from {SERVER6}",
        claims=data_claims(
            control=Ends(CLIENT6, SERVER6, done.control_sport, CONTROL_PORT),
            control_reply=Ends(SERVER6, GATEWAY6, CONTROL_PORT),
            awaited=Ends(CLIENT6, SERVER6, None, done.data_dport),
            data=Ends(CLIENT6, SERVER6, done.data_sport, done.data_dport),
            data_reply=Ends(SERVER6, GATEWAY6, done.data_dport),
        ),
    )
