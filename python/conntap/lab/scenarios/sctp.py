"""An SCTP association from INIT to SHUTDOWN COMPLETE, written by hand: few kernels have SCTP sockets, all track it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from conntap.lab.errors import LabError
from conntap.lab.scenarios.facts import SCTP, Claim, Ends, Facts
from conntap.lab.scenarios.packets import crc32c, raw_socket, receive_payload
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    import socket

    from conntap.lab.topology import Lab

__all__ = ["run"]

SPORT, DPORT = 5060, 9  # discard
CLIENT_TAG, SERVER_TAG = 0x0A00_0005, 0xC633_6409

# Chunk types, RFC 9260 section 3.2
DATA, INIT, INIT_ACK, SACK, SHUTDOWN, SHUTDOWN_ACK = 0, 1, 2, 3, 7, 8
COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 10, 11, 14

COOKIE = b"lab cookie.."

# A kernel that has SCTP sockets knows nothing of this association and would abort it.
NO_ABORT = """\
table inet no_abort {
    chain output { type filter hook output priority filter; sctp chunk abort exists drop; }
}
"""


def run(lab: Lab) -> Facts:
    """Open the association, send one message, close it."""
    for host in (lab.client, lab.server):
        host.run(["nft", "-f", "-"], input=f"table inet no_abort\ndelete table inet no_abort\n{NO_ABORT}")
    with lab.client.call(raw_socket, CLIENT, SCTP) as client, lab.server.call(raw_socket, SERVER, SCTP) as server:
        # A packet carries the tag that its receiver chose; INIT carries none.
        _send(client, (SPORT, DPORT), SERVER, 0, INIT, _init_body(CLIENT_TAG))
        outside = _arrives(server, INIT)
        sport = outside[1]
        there, back = (SPORT, DPORT), (DPORT, sport)
        cookie = struct.pack("!HH", 7, 4 + len(COOKIE)) + COOKIE
        _send(server, back, outside[0], CLIENT_TAG, INIT_ACK, _init_body(SERVER_TAG) + cookie)
        _arrives(client, INIT_ACK)
        for chunk, answer, body, answer_body in (
            (COOKIE_ECHO, COOKIE_ACK, COOKIE, b""),
            (DATA, SACK, struct.pack("!IHHI", 1, 0, 0, 0) + b"hi, lab.", struct.pack("!IIHH", 1, 65536, 0, 0)),
            (SHUTDOWN, SHUTDOWN_ACK, struct.pack("!I", 0), b""),
        ):
            _send(client, there, SERVER, SERVER_TAG, chunk, body)
            _arrives(server, chunk)
            _send(server, back, outside[0], CLIENT_TAG, answer, answer_body)
            _arrives(client, answer)
        _send(client, there, SERVER, SERVER_TAG, SHUTDOWN_COMPLETE, b"")
        _arrives(server, SHUTDOWN_COMPLETE)
    original, reply = Ends(CLIENT, SERVER, SPORT, DPORT), Ends(SERVER, GATEWAY, DPORT)
    return Facts(
        summary=f"{CLIENT}:{SPORT} had an SCTP association with {SERVER}:{DPORT}",
        claims=(
            Claim(says="INIT", kind="NEW", protocol=SCTP, original=original, reply=reply, related=False),
            Claim(says="it changes state", kind="UPDATE", protocol=SCTP, original=original, reply=reply),
            Claim(says="the kernel forgets it", kind="DESTROY", protocol=SCTP, original=original, reply=reply),
        ),
    )


def _init_body(tag: int) -> bytes:
    """Initiate tag, receiver window, streams out and in, first TSN."""
    return struct.pack("!IIHHI", tag, 65536, 1, 1, 1)


def _send(sender: socket.socket, ports: tuple[int, int], address: str, tag: int, kind: int, body: bytes) -> None:
    flags = 3 if kind == DATA else 0  # first and last fragment
    chunk = struct.pack("!BBH", kind, flags, 4 + len(body)) + body
    bare = struct.pack("!HHII", *ports, tag, 0) + chunk
    sender.sendto(bare[:8] + struct.pack("<I", crc32c(bare)) + bare[12:], (address, 0))


def _arrives(receiver: socket.socket, kind: int) -> tuple[str, int]:
    """Wait for a chunk of this kind; return whom it came from."""
    for _ in range(20):
        packet, source = receive_payload(receiver)
        if packet[12] == kind:
            return source, int.from_bytes(packet[:2])
    raise LabError(f"SCTP chunk {kind} did not arrive")
