"""The system programs that the lab runs, and which package brings each."""

from __future__ import annotations

from typing import Final

from conntap.lab.errors import MissingProgramError
from conntap.programs import find

__all__ = ["PACKAGES", "require"]

PACKAGES: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "iptables-nft": "iptables",
    "iptables-nft-restore": "iptables",
    "iptables-nft-save": "iptables",
    "ip6tables-nft": "iptables",
    "ip6tables-nft-save": "iptables",
    "ip6tables-nft-restore": "iptables",
    "tshark": "tshark",
    "ping": "iputils-ping",
}


def require(program: str) -> str:
    """Return the full path of *program*.

    Raises:
        MissingProgramError: not found; the hint is the command that installs it.
    """
    path = find(program)
    if path is not None:
        return path
    package = PACKAGES.get(program, program)
    redhat = "iproute" if package == "iproute2" else package
    hint = f"sudo apt-get install -y {package}    (Debian, Ubuntu)   or   sudo dnf install -y {redhat}   (Fedora)"
    raise MissingProgramError(f"the lab needs '{program}', which is not installed", hint=hint)
