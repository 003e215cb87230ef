"""Names that the system gives to numbers: services, protocols, connection labels. None for those it does not know."""

from __future__ import annotations

import socket

__all__ = ["label", "protocol", "service"]

LABEL_MAP = "/etc/xtables/connlabel.conf"


def service(name: str) -> int | None:
    """Return the port of a service."""
    try:
        return socket.getservbyname(name)
    except OSError:
        return None


def protocol(name: str) -> int | None:
    """Return the number of an IP protocol."""
    try:
        return socket.getprotobyname(name)
    except OSError:
        return None


def label(name: str) -> int | None:
    """Return the number of a connection label, by the file that nft and conntrack use."""
    try:
        with open(LABEL_MAP, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                words = line.partition("#")[0].split()
                if len(words) == 2 and words[1] == name and words[0].isdecimal():
                    return int(words[0])
    except OSError:
        pass
    return None
