"""The scenarios of the lab by name, one file each.

A new one: a file here with `run(lab) -> Facts`, and its line in `SCENARIOS`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from conntap.errors import UsageError

if TYPE_CHECKING:
    from conntap.lab.scenarios.facts import Scenario

__all__ = ["SCENARIOS", "load"]

#: Name → module and what it shows. A listing loads none of them.
SCENARIOS: Final = {
    "tcp": ("tcp", "a TCP connection through the masquerading gateway"),
    "udp": ("udp", "a UDP question and its answer"),
    "icmp": ("icmp", "ICMP and ICMPv6 echo"),
    "sctp": ("sctp", "an SCTP association, packet by packet from a raw socket"),
    "gre": ("gre", "GRE packets, both ways"),
    "dnat": ("dnat", "a connection from outside through a forwarded port"),
    "ftp": ("ftp", "FTP download, passive: the ftp helper announces the data connection"),
    "ftp-active": ("ftp_active", "FTP download, active: the server connects back through the NAT"),
    "ftp6": ("ftp6", "FTP download over IPv6 (EPSV)"),
    "tftp": ("tftp", "TFTP read: the answer comes from another port"),
}


def load(name: str) -> Scenario:
    """Return the scenario *name*.

    Raises:
        UsageError: there is none.
    """
    if name not in SCENARIOS:
        close = get_close_matches(name, SCENARIOS, n=1)
        advice = f", did you mean '{close[0]}'?" if close else ""
        raise UsageError(f"unknown scenario '{name}'{advice}", hint="conntap lab list shows them all")
    from importlib import import_module

    from conntap.lab.scenarios.facts import Scenario

    module, description = SCENARIOS[name]
    return Scenario(name=name, description=description, run=import_module(f"{__name__}.{module}").run)
