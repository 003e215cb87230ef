"""Echo request and reply, ICMP and ICMPv6; the server's kernel answers."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import ICMP, ICMPV6, Claim, Ends, Facts
from conntap.lab.scenarios.packets import internet_checksum
from conntap.lab.topology import CLIENT, CLIENT6, GATEWAY, GATEWAY6, SERVER, SERVER6

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]

TIMEOUT_SECONDS = 5.0
IDENTIFIER = 0x1DEA


def run(lab: Lab) -> Facts:
    """The client pings the server."""
    lab.client.call(_ping, socket.AF_INET, SERVER)
    lab.client.call(_ping, socket.AF_INET6, SERVER6)
    claims: list[Claim] = []
    for protocol, name, client, gateway, server in (
        (ICMP, "ICMP", CLIENT, GATEWAY, SERVER),
        (ICMPV6, "ICMPv6", CLIENT6, GATEWAY6, SERVER6),
    ):
        original, reply = Ends(client, server), Ends(server, gateway)
        claims += [
            Claim(says=f"{name} request", kind="NEW", protocol=protocol, original=original, reply=reply, related=False),
            Claim(says=f"{name} reply", kind="UPDATE", protocol=protocol, original=original, reply=reply),
            Claim(says=f"{name} forgotten", kind="DESTROY", protocol=protocol, original=original, reply=reply),
        ]
    return Facts(summary=f"{CLIENT} and {CLIENT6} were answered by {SERVER} and {SERVER6}", claims=tuple(claims))


def _ping(family: socket.AddressFamily, to: str) -> None:
    v6 = family == socket.AF_INET6
    request, answer = (128, 129) if v6 else (8, 0)  # RFC 4443 section 4, RFC 792
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_RAW, protocol) as handle:
        handle.settimeout(TIMEOUT_SECONDS)
        body = struct.pack("!HH", IDENTIFIER, 1) + b"conntap lab"
        # The kernel fills in the ICMPv6 checksum, the ICMP one is ours.
        checksum = 0 if v6 else internet_checksum(struct.pack("!BBH", request, 0, 0) + body)
        handle.sendto(struct.pack("!BBH", request, 0, checksum) + body, (to, 0))
        while True:
            packet = handle.recv(2048)
            message = packet if v6 else packet[(packet[0] & 15) * 4 :]
            if message[0] == answer and message[4:] == body:
                return
