"""TFTP read (RFC 1350): asked on port 69, answered from another port, which only the helper's expectation lets in."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import UDP, Claim, Ends, Facts
from conntap.lab.scenarios.udp import bound
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.topology import Lab

__all__ = ["run"]

PORT = 69
RRQ, DATA, ACK = 1, 3, 4
CONTENT = b"a file of one block"  # shorter than 512 bytes: also the last one


def run(lab: Lab) -> Facts:
    """The client reads a file of one block."""
    with (
        lab.client.call(bound, (CLIENT, 0)) as client,
        lab.server.call(bound, (SERVER, PORT)) as server,
        lab.server.call(bound, (SERVER, 0)) as transfer,
    ):
        sport: int = client.getsockname()[1]
        tid: int = transfer.getsockname()[1]  # the server's transfer identifier
        client.sendto(struct.pack("!H", RRQ) + b"boot.img\0octet\0", (SERVER, PORT))
        _, asker = server.recvfrom(2048)
        transfer.sendto(struct.pack("!HH", DATA, 1) + CONTENT, asker)
        _, sender = client.recvfrom(2048)
        client.sendto(struct.pack("!HH", ACK, 1), sender)
        transfer.recv(2048)
    control, control_reply = Ends(CLIENT, SERVER, sport, PORT), Ends(SERVER, GATEWAY, PORT)
    awaited = Ends(SERVER, GATEWAY, None, asker[1])
    data, data_reply = Ends(SERVER, GATEWAY, tid, asker[1]), Ends(CLIENT, SERVER, sport, tid)
    return Facts(
        summary=f"{CLIENT}:{sport} asked {SERVER}:{PORT} and was sent {len(CONTENT)} bytes from port {tid}",
        claims=(
            Claim(
                says="the helper announces the answer",
                kind="EXP_NEW", protocol=UDP, original=awaited, helper="tftp", master=control,
            ),
            Claim(
                says="the question; a rule gave it the tftp helper",
                kind="NEW", protocol=UDP, original=control, reply=control_reply, related=False, helper="tftp",
            ),
            Claim(
                says="the announcement is used up",
                kind="EXP_DESTROY", protocol=UDP, original=awaited, helper="tftp", master=control,
            ),
            Claim(
                says="the answer comes in: RELATED, with the NAT of its master",
                kind="NEW", protocol=UDP, original=data, reply=data_reply, related=True, master=control,
            ),
            Claim(says="the acknowledgement", kind="UPDATE", protocol=UDP, original=data, reply=data_reply),
            Claim(says="the transfer is forgotten", kind="DESTROY", protocol=UDP, original=data, reply=data_reply),
        ),
    )  # fmt: skip
