"""Sockets to listen with."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from conntap.errors import KernelError, UsageError

if TYPE_CHECKING:
    from conntap.collector.place import Place

__all__ = ["bind"]

HINT = "ss -lntup shows who has it, ip address which addresses there are"


def bind(place: Place, kind: socket.SocketKind) -> socket.socket:
    """A socket that is bound to a place and does not block.

    Raises:
        UsageError: the name is unknown.
        KernelError: the address is taken, or none of ours.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=kind, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UsageError(f"{place.text}: {error.strerror}", hint="say an address of this machine") from error
    family, _, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise KernelError(
            f"listening at {place.text}", error.errno or 0, error.strerror or str(error), hint=HINT
        ) from error
    return made
