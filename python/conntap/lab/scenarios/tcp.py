"""A TCP connection out: greeting, answer, orderly end."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from conntap.lab.scenarios.facts import TCP, Claim, Ends, Facts
from conntap.lab.topology import CLIENT, GATEWAY, SERVER

if TYPE_CHECKING:
    from conntap.lab.host import Host
    from conntap.lab.topology import Lab

__all__ = ["connect_and_echo", "run"]

PORT = 7  # echo, RFC 862
TIMEOUT_SECONDS = 5.0


def run(lab: Lab) -> Facts:
    """The client says a line, the server says it again."""
    sport = connect_and_echo(lab.client, lab.server, (SERVER, PORT), listen=(SERVER, PORT))
    original = Ends(CLIENT, SERVER, sport, PORT)
    reply = Ends(SERVER, GATEWAY, PORT)
    return Facts(
        summary=f"{CLIENT}:{sport} spoke with {SERVER}:{PORT}, which saw {GATEWAY}",
        claims=(
            Claim(
                says="the connection begins", kind="NEW", protocol=TCP, original=original, reply=reply, related=False
            ),
            Claim(says="it changes state", kind="UPDATE", protocol=TCP, original=original, reply=reply),
            Claim(says="the kernel forgets it", kind="DESTROY", protocol=TCP, original=original, reply=reply),
        ),
    )


def connect_and_echo(
    caller: Host, called: Host, to: tuple[str, int], *, listen: tuple[str, int], source: str | None = None
) -> int:
    """Connect *caller* to *called*, send a line and read it back; return the caller's port."""
    with called.call(socket.create_server, listen) as listener:
        listener.settimeout(TIMEOUT_SECONDS)
        echo = called.start(_echo_once, listener)
        origin = (source, 0) if source else None
        with caller.call(socket.create_connection, to, timeout=TIMEOUT_SECONDS, source_address=origin) as speaker:
            sport: int = speaker.getsockname()[1]
            speaker.sendall(b"hello\r\n")
            speaker.shutdown(socket.SHUT_WR)
            while speaker.recv(4096):
                pass
        echo.result()
    return sport


def _echo_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(TIMEOUT_SECONDS)
        while data := connection.recv(4096):
            connection.sendall(data)
