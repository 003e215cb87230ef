"""SNMP: a broadcast question may be answered by every agent; and addresses in messages follow translation (RFC 2962).

Translated are values of type IpAddress that equal the client's own, in both directions, for SNMPv1 and v2c. What is
no such message is dropped where the connection's source is translated, SNMPv3 and v1 traps included.

Source: kernel net/netfilter/nf_conntrack_snmp.c, net/ipv4/netfilter/nf_nat_snmp_basic_main.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import ORIGINAL, REPLY, UDP, Drop, Helper, Packet, Policy
from conntap.helpers.ber import Reader
from conntap.helpers.broadcast import expect_answers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Snmp"]

_TRAP_PORT: Final = 162

# Identifiers (X.690).
_INTEGER, _STRING, _NULL, _OID, _SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_IP_ADDRESS: Final = 0x40
_PDUS: Final = frozenset({0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA6, 0xA7, 0xA8})
_VALUES: Final = frozenset(
    {_INTEGER, _STRING, _OID, _IP_ADDRESS, 0x41, 0x42, 0x43, 0x44, 0x46, _NULL, 0x80, 0x81, 0x82}
)


class Snmp(Helper):
    """Lets the network answer, and translates addresses in messages.

    Parameters:
        timeout: seconds in which an answer may come.
    """

    name: ClassVar[str] = "snmp"
    l4protos: ClassVar[tuple[int, ...]] = (UDP,)
    port: ClassVar[int] = 161
    families: ClassVar[tuple[int, ...]] = (4,)
    policies: ClassVar[tuple[Policy, ...]] = (Policy("answers", 1, 30),)
    parameters: ClassVar[Mapping[str, int]] = {"timeout": 30}

    @classmethod
    def policies_for(cls, options: Mapping[str, int]) -> tuple[Policy, ...]:
        """One policy, with the timeout."""
        return (cls.policies[0]._replace(timeout=options.get("timeout", cls.parameters["timeout"])),)

    def packet(self, packet: Packet) -> None:
        """Expect answers to a broadcast of this host; translate.

        Raises:
            Drop: the source is translated and this is no SNMPv1 or v2c message.
        """
        expect_answers(packet, self.port, self.options["timeout"])
        if packet.natted:
            _translate(packet, self.port)


def _translate(packet: Packet, port: int) -> None:
    # As the packet leaves, that is, translated.
    source, destination = packet.inverse.dport, packet.inverse.sport
    if source == port and packet.direction != REPLY:
        return
    if destination == _TRAP_PORT and packet.direction != ORIGINAL:
        return
    old, new = packet.original.src.packed, packet.reply.dst.packed
    if old == new:
        return
    for place in _addresses(packet.payload):
        if packet.payload[place : place + 4] == old:
            packet.mangle(place, 4, new)


def _addresses(payload: bytes) -> list[int]:
    """Where the addresses of a message stand.

    Raises:
        Drop: it is no SNMPv1 or v2c message.
    """
    found: list[int] = []
    message = Reader(payload).enter({_SEQUENCE})
    _, version, length = message.take({_INTEGER})
    if length != 1 or payload[version] > 1:
        raise Drop("SNMPv1 and v2c are translated only")
    message.take({_STRING})
    if message.at_end():
        return found
    pdu = message.enter(_PDUS)
    for _ in ("request-id", "error-status", "error-index"):
        pdu.take({_INTEGER})
    bindings = pdu.enter({_SEQUENCE})
    # One at least, but its value may be missing.
    while True:
        binding = bindings.enter({_SEQUENCE})
        binding.take({_OID})
        if not binding.at_end():
            identifier, place, length = binding.take(_VALUES)
            if identifier == _IP_ADDRESS:
                if length != 4:
                    raise Drop("an IP address has four bytes")
                found.append(place)
        binding.finish()
        if bindings.at_end():
            break
    pdu.finish()
    message.finish()
    return found
