"""H.323 messages as short byte recipes in aligned PER (X.691): RAS (H.225.0), call signalling (Q.931), H.245.

Each recipe says its fields in their order; bits that stand together in one byte are written as one number.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "admission_confirm",
    "call_proceeding",
    "channel_ack",
    "gatekeeper_confirm",
    "location_confirm",
    "open_channel",
    "q931",
    "registration",
    "registration_confirm",
    "tpkt",
    "unregistration",
]

_OID: Final = bytes.fromhex("06 00 08 91 4a 00 02")  # itu-t(0) recommendation(0) h(8) 2250 version(0) 2


def _place(address: bytes, port: int) -> bytes:
    """Address and port, the content of ipAddress and ip6Address."""
    return address + struct.pack("!H", port)


def _transport(address: bytes, port: int) -> bytes:
    """An H.225.0 TransportAddress on a byte's border: extension bit, three bits of choice (ip 0, ip6 3)."""
    return (b"\x30" if len(address) == 16 else b"\0") + _place(address, port)


def _ras(kind: int, number: int) -> bytes:
    """A RasMessage's head: extension bit, five bits of choice; the sequence's own bits, all zero; its number."""
    return bytes((kind << 2, 0)) + struct.pack("!H", number)


def registration(address: bytes, signal_port: int, ras_port: int, number: int = 0) -> bytes:
    """RegistrationRequest: OID, discovery, call signal and RAS addresses (one each), terminal type, vendor."""
    addresses = b"\x00\x01" + _transport(address, signal_port) + b"\x01" + _transport(address, ras_port)
    return _ras(3, number) + _OID + addresses + b"\0\0\0\xb5\0\x53\x4c"


def registration_confirm(address: bytes, signal_port: int, number: int = 0) -> bytes:
    """RegistrationConfirm: OID, call signal address, endpoint identifier."""
    return _ras(4, number) + _OID + b"\x01" + _transport(address, signal_port) + b"\x00\x00a"


def gatekeeper_confirm(address: bytes, ras_port: int, number: int = 0) -> bytes:
    """GatekeeperConfirm: OID, RAS address."""
    return _ras(1, number) + _OID + _transport(address, ras_port)


def unregistration(address: bytes, signal_port: int, number: int = 0) -> bytes:
    """UnregistrationRequest: call signal addresses (one)."""
    return _ras(6, number) + b"\x01" + _transport(address, signal_port)


def admission_confirm(address: bytes, signal_port: int, number: int = 0) -> bytes:
    """AdmissionConfirm: bandwidth (two bits of length, one byte), call model (direct) and address choice, address."""
    choice = b"\x0c" if len(address) == 16 else b"\0"
    return _ras(10, number) + b"\0\x64" + choice + _place(address, signal_port)


def location_confirm(address: bytes, signal_port: int, ras_port: int, number: int = 0) -> bytes:
    """LocationConfirm, whose head is one byte: call signal address, RAS address."""
    head = b"\x4c" + struct.pack("!H", number)
    return head + _transport(address, signal_port) + _transport(address, ras_port)


def tpkt(body: bytes, *, length: int | None = None) -> bytes:
    """RFC 1006 framing; *length* lies."""
    return struct.pack("!BBH", 3, 0, len(body) + 4 if length is None else length) + body


def q931(kind: int, information: bytes, *, reference: bytes = b"\x02\0\1") -> bytes:
    """A Q.931 message with a user-user element that holds *information*."""
    head = b"\x08" + reference + bytes((kind,))
    return head + b"\x7e" + struct.pack("!H", len(information) + 1) + b"\x05" + information


def call_proceeding(address: bytes, port: int) -> bytes:
    """CallProceeding with h245Address: choice and options, OID, terminal type (nine bits) and choice, address."""
    choice = b"\0\x18" if len(address) == 16 else b"\0\0"
    return q931(2, b"\x01\x40" + _OID + choice + _place(address, port))


def _unicast(address: bytes, port: int) -> bytes:
    """An H.245 TransportAddress on a byte's border: unicastAddress, iPAddress 0 or iP6Address 2."""
    return (b"\x08" if len(address) == 16 else b"\0") + _place(address, port)


def open_channel(address: bytes, rtp: int, rtcp: int | None, number: int = 1) -> bytes:
    """OpenLogicalChannel: request and its choice, channel number, null data, H.225.0 parameters.

    Those are an extension with a length: option bits (media channel, media control channel), session, addresses.
    """
    options = b"\x14\0" if rtcp is not None else b"\x10\0"
    parameters = options + b"\1" + _unicast(address, rtp) + (b"" if rtcp is None else _unicast(address, rtcp))
    return b"\x03\0" + struct.pack("!H", number) + b"\x06\0" + bytes((len(parameters),)) + parameters


def channel_ack(address: bytes, rtp: int, rtcp: int, number: int = 1) -> bytes:
    """OpenLogicalChannelAck: response and its choice with the extension bit, channel number, two extensions.

    The second one (forwardMultiplexAckParameters) is there: its length, option bits and address choice, addresses.
    """
    parameters = (b"\x0c\x10" if len(address) == 16 else b"\x0c\0") + _place(address, rtp) + _unicast(address, rtcp)
    return b"\x22\xc0" + struct.pack("!H", number) + b"\x02\x80" + bytes((len(parameters),)) + parameters


def fast_start(address: bytes, rtp: int, rtcp: int) -> bytes:
    """CallProceeding with fastStart, which opens a channel without H.245.

    Choice, extension bit and options; OID; terminal type (nine bits), how many extensions may be (seven) and which is
    there (five); its length, one channel, that one's length, and the channel as H.245 has it behind its choices.
    """
    return q931(2, b"\x01\x80" + _OID + b"\0\x04\x08" + _one(b"\0" + open_channel(address, rtp, rtcp)[2:]))


def tunnelled(address: bytes, rtp: int, rtcp: int) -> bytes:
    """CallProceeding beside h245Control, which holds H.245 messages, here one that opens a channel.

    The extension is the outer sequence's third.
    """
    return q931(2, b"\x21\0" + _OID + b"\0\x02\x20" + _one(open_channel(address, rtp, rtcp)))


def _one(content: bytes) -> bytes:
    """An extension's length, and a sequence of one string: how many, its length, its content."""
    inner = b"\x01" + bytes((len(content),)) + content
    return bytes((len(inner),)) + inner
