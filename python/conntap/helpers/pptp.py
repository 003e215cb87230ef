"""PPTP: a control connection agrees on two call ids; the tunnel is GRE between the same hosts (RFC 2637).

The client is taken for the PNS, the server for the PAC. One call a connection is followed. GRE carries only the
receiver's id, so the engine is told which ids belong together (`map_gre`).

Source: kernel net/netfilter/nf_conntrack_pptp.c, net/ipv4/netfilter/nf_nat_pptp.c.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers.base import GRE, ORIGINAL, REPLY, Expect, Helper, Nat, Packet, Policy, Refused, Tuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Pptp"]

_CONTROL: Final = b"\x00\x01\x1a\x2b\x3c\x4d"  # packet type, magic cookie
_BODY: Final = 12  # where it begins
_DONE: Final = 1  # every result code's "it went well"


class _Type(IntEnum):
    """Control messages."""

    START_REQUEST = 1
    START_REPLY = 2
    STOP_REQUEST = 3
    STOP_REPLY = 4
    ECHO_REQUEST = 5
    ECHO_REPLY = 6
    OUT_CALL_REQUEST = 7
    OUT_CALL_REPLY = 8
    IN_CALL_REQUEST = 9
    IN_CALL_REPLY = 10
    IN_CALL_CONNECTED = 11
    CLEAR_REQUEST = 12
    DISCONNECT_NOTIFY = 13
    WAN_ERROR = 14
    SET_LINK_INFO = 15


# Bytes that the body of each must have; echoes are not looked at.
_SIZES: Final = {1: 144, 2: 144, 3: 4, 4: 4, 7: 156, 8: 20, 9: 208, 10: 12, 11: 16, 12: 4, 13: 136, 14: 28, 15: 12}

# Where in the body stands the PNS's call id, which is all that translation changes.
_SENT_ID: Final = {_Type.OUT_CALL_REQUEST: 0, _Type.IN_CALL_REPLY: 0, _Type.CLEAR_REQUEST: 0}
_RECEIVED_ID: Final = {
    _Type.OUT_CALL_REPLY: 2,
    _Type.IN_CALL_CONNECTED: 0,
    _Type.DISCONNECT_NOTIFY: 0,
    _Type.WAN_ERROR: 0,
    _Type.SET_LINK_INFO: 0,
}


class _Session(IntEnum):
    """State of the control connection; the order counts."""

    NONE = 0
    ERROR = 1
    STOPPING = 2
    REQUESTED = 3
    CONFIRMED = 4


class _Call(IntEnum):
    """State of the call."""

    NONE = 0
    OUT_REQUESTED = 1
    OUT_CONFIRMED = 2
    IN_REQUESTED = 3
    IN_REPLIED = 4
    IN_CONFIRMED = 5
    CLEARING = 6


_OUTGOING: Final = {_Call.OUT_REQUESTED, _Call.OUT_CONFIRMED}
_INCOMING: Final = {_Call.IN_REQUESTED, _Call.IN_REPLIED}
_ANSWERED: Final = {_Call.IN_REPLIED, _Call.IN_CONFIRMED}


class Pptp(Helper):
    """Follows the control connection."""

    name: ClassVar[str] = "pptp"
    port: ClassVar[int] = 1723
    families: ClassVar[tuple[int, ...]] = (4,)
    policies: ClassVar[tuple[Policy, ...]] = (Policy("tunnel", 2, 300),)

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        super().__init__(options)
        self._session = _Session.NONE
        self._call = _Call.NONE
        self._pac = 0
        self._pns = 0  # as the PAC sees it
        self._pns_inside = 0  # as the PNS chose it, where that was translated

    def packet(self, packet: Packet) -> None:
        """Read the message at the start of the segment.

        Never drops: where a tunnel cannot be expected, the call goes on without.
        """
        payload = packet.payload
        if packet.state != "established" or len(payload) < _BODY or payload[2:8] != _CONTROL:
            return
        kind, body = int.from_bytes(payload[8:10], "big"), payload[_BODY:]
        if len(body) < _SIZES.get(kind, 0):
            return
        handle = self._from_client if packet.direction == ORIGINAL else self._from_server
        if handle(kind, packet, body) and packet.natted:
            self._translate(packet, kind)

    def _from_client(self, kind: int, packet: Packet, body: bytes) -> bool:
        """Act on a message of the client; False: out of turn, and not translated."""
        match kind:
            case _Type.START_REQUEST if self._session == _Session.NONE:
                self._session = _Session.REQUESTED
            case _Type.STOP_REQUEST:
                self._session = _Session.STOPPING
            case _Type.OUT_CALL_REQUEST if self._session == _Session.CONFIRMED:
                self._call, self._pns = _Call.OUT_REQUESTED, _id(body, 0)
                if packet.natted:
                    # Unique among the clients behind this address, because the TCP port is.
                    self._pns_inside, self._pns = self._pns, packet.reply.dport
            case _Type.IN_CALL_REPLY if self._call in _INCOMING and _id(body, 2) == self._pac:
                self._call = _Call.IN_REPLIED if body[4] == _DONE else _Call.NONE
                if body[4] == _DONE:
                    self._pns = _id(body, 0)
            case _Type.CLEAR_REQUEST if self._session == _Session.CONFIRMED:
                self._call = _Call.CLEARING
            case _Type.SET_LINK_INFO | _Type.ECHO_REQUEST | _Type.ECHO_REPLY:
                pass
            case _:
                return False
        return True

    def _from_server(self, kind: int, packet: Packet, body: bytes) -> bool:
        """Act on a message of the server; False: out of turn, and not translated."""
        confirmed = self._session == _Session.CONFIRMED
        match kind:
            case _Type.START_REPLY if self._session >= _Session.REQUESTED:
                self._session = _Session.CONFIRMED if body[2] == _DONE else _Session.ERROR
            case _Type.STOP_REPLY if self._session <= _Session.STOPPING:
                self._session = _Session.NONE if body[0] == _DONE else _Session.ERROR
            case _Type.OUT_CALL_REPLY if confirmed and self._call in _OUTGOING and _id(body, 2) == self._pns:
                self._call = _Call.OUT_CONFIRMED if body[4] == _DONE else _Call.NONE
                if body[4] == _DONE:
                    self._pac = _id(body, 0)
                    self._expect_tunnel(packet)
            case _Type.IN_CALL_REQUEST if confirmed:
                self._call, self._pac = _Call.IN_REQUESTED, _id(body, 0)
            case _Type.IN_CALL_CONNECTED if confirmed and self._call in _ANSWERED and _id(body, 0) == self._pns:
                self._call = _Call.IN_CONFIRMED
                self._expect_tunnel(packet)
            case _Type.DISCONNECT_NOTIFY:
                self._call = _Call.NONE
                self._end_tunnel(packet)
            case _Type.WAN_ERROR | _Type.SET_LINK_INFO | _Type.ECHO_REQUEST | _Type.ECHO_REPLY:
                pass
            case _:
                return False
        return True

    def _expect_tunnel(self, packet: Packet) -> None:
        """Expect GRE both ways, or neither."""
        there, back = packet.original, packet.reply
        inside = self._pns_inside if packet.natted else self._pns
        forth = Tuple(there.src, there.dst, GRE, inside, self._pac)
        answer = Tuple(back.src, back.dst, GRE, self._pac, self._pns)
        first = Nat(ORIGINAL, self._pns, function="pptp") if packet.natted else None
        second = Nat(REPLY, inside, function="pptp") if packet.natted else None
        try:
            one = packet.expect(_wanted(forth, first, removes_inverse=True))
        except Refused:
            return
        try:
            # Translated, the kernel looks for the first under keys of 0 and leaves it.
            other = packet.expect(_wanted(answer, second, removes_inverse=not packet.natted))
        except Refused:
            one.remove()
            return
        if not packet.map_gre(forth, answer):
            other.remove()
            one.remove()

    def _end_tunnel(self, packet: Packet) -> None:
        packet.unmap_gre()
        there, back = packet.original, packet.reply
        for flow in (
            Tuple(there.src, there.dst, GRE, self._pns, self._pac),
            Tuple(back.src, back.dst, GRE, self._pac, self._pns),
        ):
            if not packet.kill(flow) and (waiting := packet.find(flow)) is not None:
                waiting.remove()

    def _translate(self, packet: Packet, kind: int) -> None:
        """Write the PNS's call id as the receiver knows it."""
        outward = packet.direction == ORIGINAL
        place = (_SENT_ID if outward else _RECEIVED_ID).get(_Type(kind))
        if place is not None:
            call_id = self._pns if outward else self._pns_inside
            packet.mangle(_BODY + place, 2, call_id.to_bytes(2, "big"))


def _id(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 2], "big")


def _wanted(flow: Tuple, nat: Nat | None, *, removes_inverse: bool) -> Expect:
    return Expect(
        src=flow.src,
        sport=flow.sport,
        dst=flow.dst,
        dport=flow.dport,
        l4proto=flow.l4proto,
        nat=nat,
        removes_inverse=removes_inverse,
    )
