"""NetBIOS name service: a name is asked for by broadcast, and whoever has it answers (RFC 1002).

Source: kernel net/netfilter/nf_conntrack_netbios_ns.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from conntap.helpers.base import UDP, Helper, Packet, Policy
from conntap.helpers.broadcast import expect_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NetbiosNs"]


class NetbiosNs(Helper):
    """Lets the network answer.

    Parameters:
        timeout: seconds in which an answer may come.
    """

    name: ClassVar[str] = "netbios-ns"
    l4protos: ClassVar[tuple[int, ...]] = (UDP,)
    port: ClassVar[int] = 137
    families: ClassVar[tuple[int, ...]] = (4,)
    policies: ClassVar[tuple[Policy, ...]] = (Policy("answers", 1, 3),)
    parameters: ClassVar[Mapping[str, int]] = {"timeout": 3}

    @classmethod
    def policies_for(cls, options: Mapping[str, int]) -> tuple[Policy, ...]:
        """One policy, with the timeout."""
        return (cls.policies[0]._replace(timeout=options.get("timeout", cls.parameters["timeout"])),)

    def packet(self, packet: Packet) -> None:
        """Expect answers to a broadcast of this host."""
        expect_answers(packet, self.port, self.options["timeout"])
