"""Expectations for tests."""

from __future__ import annotations

from ipaddress import ip_address

from conntap.guard.subject import Subject

CLIENT, SERVER, STRANGER = (ip_address(one).packed for one in ("10.0.0.5", "198.51.100.9", "203.0.113.99"))
OUTSIDE = ip_address("203.0.113.1").packed
EXACT, ANYBODY = b"\xff" * 4, bytes(4)


def subject(**told):
    """What an FTP server may open at its client, unless something else is said."""
    fields = {
        "helper": "ftp", "protocol": 6, "src": SERVER, "src_mask": EXACT, "sport": 0, "sport_mask": 0,
        "dst": CLIENT, "dport": 50_000, "master_src": CLIENT, "master_dst": SERVER, "master_protocol": 6,
        "master_sport": 40_000, "master_dport": 21,
    }  # fmt: skip
    return Subject(**(fields | told))


def anybody(**told):
    return subject(helper="irc", src=ANYBODY, src_mask=ANYBODY, **told)
