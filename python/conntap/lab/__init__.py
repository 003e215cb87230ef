"""Client, NAT gateway and server on the real kernel, in namespaces that vanish with the process.

with Lab() as lab:
    lab.client.run(["ping", "-c1", SERVER])       # a program in a host
    lab.gateway.call(function)                    # a function in a host: its sockets belong there
    conntap.open(netns=lab.gateway.pid)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conntap.lab.errors import LabError, MissingProgramError, NamespaceError, NetfilterError
    from conntap.lab.host import Host
    from conntap.lab.topology import CLIENT, CLIENT6, GATEWAY, GATEWAY6, SERVER, SERVER6, Lab

__all__ = [
    "CLIENT",
    "CLIENT6",
    "GATEWAY",
    "GATEWAY6",
    "SERVER",
    "SERVER6",
    "Host",
    "Lab",
    "LabError",
    "MissingProgramError",
    "NamespaceError",
    "NetfilterError",
]


def __getattr__(name: str) -> object:
    """Load the module of a public name on first use: the sandbox starts from this package and must be quick."""
    if name not in __all__:
        raise AttributeError(f"module 'conntap.lab' has no attribute {name!r}")
    from importlib import import_module

    home = {"Host": "host"}.get(name, "errors" if name.endswith("Error") else "topology")
    return getattr(import_module(f"conntap.lab.{home}"), name)
