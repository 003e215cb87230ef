"""SIP: registrations announce calls, session descriptions announce media streams (RFC 3261, 3264, 4566).

A REGISTER opens the phone's own port to the registrar once that has agreed. INVITE, UPDATE, ACK and PRACK, and the
answers to them, may carry a session description; each audio, video or image line in it that has a port announces two
streams: RTP at the even port, RTCP at the next. BYE, a new INVITE or the refusal of one take announced streams back.

Source: kernel net/netfilter/nf_conntrack_sip.c.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from conntap.helpers import sip_nat
from conntap.helpers.base import TCP, UDP, Address, Drop, Expect, Expectation, Helper, Packet, Policy, Refused, Tuple
from conntap.helpers.sip_address import unspecified
from conntap.helpers.sip_text import (
    CONNECTION,
    CONTACT,
    CONTENT_LENGTH,
    CSEQ,
    EXPIRES,
    MEDIA,
    VERSION,
    VIA_UDP,
    Cursor,
    Span,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Sip"]

_SIGNALLING: Final = 0
#: Words of media lines, and the class of their expectations; a session has as many lines that count.
_MEDIA_CLASSES: Final = {b"audio ": 1, b"video ": 2, b"image ": 3}

_SHORTEST: Final = len(b"SIP/2.0 200")
_CODE_AT: Final = len(b"SIP/2.0 ")
_HEADERS_END: Final = b"\r\n\r\n"
_PORTS: Final = range(1024, 65536)

#: The kernel counts time in ticks, of which there are 250 in a second as most distributions build it; their number
#: in an answer's `expires` has 32 bits.
_TICKS: Final = 250


class Sip(Helper):
    """Reads SIP over UDP or TCP.

    Parameters:
        sip_timeout: how long a packet lets its connection live, in seconds.
        sip_direct_signalling: 1: only the registrar may call; 0: anyone.
        sip_direct_media: 1: only streams between the ends of the signalling are expected; 0: from anyone to
            whatever address is announced.
        sip_external_media: 1: without direct media, nothing is expected for addresses that lie behind the interface
            by which the packet leaves.
    """

    name: ClassVar[str] = "sip"
    l4protos: ClassVar[tuple[int, ...]] = (UDP, TCP)
    port: ClassVar[int] = 5060
    policies: ClassVar[tuple[Policy, ...]] = (
        Policy("signalling", 1, 180),
        Policy("audio", 4, 180),
        Policy("video", 4, 180),
        Policy("image", 2, 180),
    )
    parameters: ClassVar[Mapping[str, int]] = {
        "sip_timeout": 3600,
        "sip_direct_signalling": 1,
        "sip_direct_media": 1,
        "sip_external_media": 0,
    }

    def __init__(self, options: Mapping[str, int] | None = None) -> None:
        super().__init__(options)
        self._register_cseq = 0
        self._invite_cseq = 0
        self._forced_dport = 0

    def packet(self, packet: Packet) -> None:
        """Read one datagram, or one segment of TCP; messages are not reassembled.

        Raises:
            Drop: a message is malformed where the kernel must understand it, or an expectation is refused.
        """
        is_tcp = packet.original.l4proto == TCP
        if not packet.payload or (is_tcp and packet.state != "established"):
            return
        packet.refresh(self.options["sip_timeout"])
        if len(packet.payload) < _SHORTEST:
            return
        text = Text(packet.payload, packet.original.src.version)
        if is_tcp:
            self._segment(packet, text)
        else:
            self._message(packet, text)

    def _segment(self, packet: Packet, text: Text) -> None:
        """Read the messages that lie in a segment as a whole."""
        grown = 0
        while (end := _message_end(text)) is not None:
            if end > text.end:
                return  # as in the kernel, which forgets the growth of the messages before
            text.end = end
            self._message(packet, text)
            grown += text.end - end
            text.start, text.end = text.end, len(text.data)
        if packet.natted and grown:
            packet.adjust_sequence(grown)

    def _message(self, packet: Packet, text: Text) -> None:
        if text.begins(b"sip/2.0 "):
            self._answer(packet, text)
        else:
            self._request(packet, text)
        if packet.natted:
            sip_nat.rewrite_message(packet, text, self._forced_dport)

    def _request(self, packet: Packet, text: Text) -> None:
        via = text.uri(VIA_UDP)
        if via is not None and via.port != packet.tuple.sport and via.address == packet.tuple.src:
            # Phones that send from a high port may listen at 5060.
            self._forced_dport = via.port
        if text.requests(b"invite"):
            cseq = _cseq(text)[0]
            _forget_media(packet)
            self._session(packet, text)
            self._invite_cseq = cseq
        elif text.requests(b"update") or text.requests(b"ack") or text.requests(b"prack"):
            _cseq(text)
            self._session(packet, text)
        elif text.requests(b"bye"):
            _cseq(text)
            _forget_media(packet)
        elif text.requests(b"register"):
            self._register(packet, text, _cseq(text)[0])

    def _answer(self, packet: Packet, text: Text) -> None:
        if text.end - text.start < _SHORTEST:
            return
        found = text.number(text.start + _CODE_AT, text.end)
        code = found[0] if found else 0
        if not code:
            raise Drop("an answer without a code")
        cseq, method = _cseq(text)
        if method in {b"invite", b"update", b"prack"}:
            if 100 <= code <= 299:
                self._session(packet, text)
            elif cseq == self._invite_cseq:
                _forget_media(packet)
        elif method == b"register" and cseq == self._register_cseq:
            self._registered(packet, text, code)

    # --- registrations

    def _register(self, packet: Packet, text: Text, cseq: int) -> None:
        if packet.expected:
            return
        contact = text.uri(CONTACT)
        # Whoever registers for others is not believed.
        if contact is None or contact.address != packet.tuple.src or not _same_transport(packet, text, contact.end):
            return
        if _expires(text, contact.end, _default_expires(text)):
            wanted = Expect(
                dst=contact.address,
                dport=contact.port,
                l4proto=packet.original.l4proto,
                src=packet.inverse.src if self.options["sip_direct_signalling"] else None,
                expect_class=_SIGNALLING,
                permanent=True,
                inactive=True,
                helper=self.name,
            )
            if packet.natted:
                sip_nat.expect_signalling(packet, text, contact, wanted, self._forced_dport)
            else:
                packet.expect(wanted)
        self._register_cseq = cseq

    def _registered(self, packet: Packet, text: Text, code: int) -> None:
        """Activate the expectation if the registrar agreed; remove it if not."""
        if 100 <= code <= 199:
            return
        if not (200 <= code <= 299 and _activate(packet, text)):
            for expectation in packet.expectations():
                if expectation.wanted.expect_class == _SIGNALLING:
                    expectation.remove()
                    break

    # --- sessions

    def _session(self, packet: Packet, text: Text) -> None:
        """Expect the streams that a session description announces."""
        version = text.sdp(VERSION, text.start)
        if version is None:
            return
        at = version.start
        address = session_address = text.sdp_address(CONNECTION, at, MEDIA)
        counted = 0
        while counted < len(_MEDIA_CLASSES) and (line := text.sdp(MEDIA, at)) is not None:
            at = line.start + len(b"audio ")
            expect_class = _MEDIA_CLASSES.get(text.data[line.start : min(at, line.end)])
            if expect_class is None:
                at = line.end
                continue
            number = text.number(at, text.end)
            if number is None or number[0] == 0:
                continue  # an inactive stream
            if number[0] not in _PORTS:
                raise Drop(f"a media port of {number[0]}")
            own_address = text.sdp_address(CONNECTION, at, MEDIA)
            address = own_address or session_address
            if address is None:
                raise Drop("a media stream without an address")
            address = self._media(packet, text, Span(at, line.end), address, number[0], expect_class)
            if own_address is not None and packet.natted:
                sip_nat.rewrite_connection(packet, text, at, address)
            counted += 1
        if address is not None and packet.natted:
            sip_nat.rewrite_session(packet, text, version.start, address)

    def _media(
        self, packet: Packet, text: Text, port_at: Span, address: Address, port: int, expect_class: int
    ) -> Address:
        """Expect one media stream; at which address the session description shall say that it is."""
        src = None
        if self.options["sip_direct_media"]:
            if address != packet.tuple.src:
                return address
            src = packet.inverse.src
        elif self.options["sip_external_media"] and packet.leaves_alike(address):
            return address
        known = _known(packet, Tuple(src or unspecified(text.family), address, UDP, 0, port), expect_class)
        is_direct = False
        if known is not None and packet.natted:
            # Someone behind NAT offers this stream on another connection, and so is this receiver: they may well
            # reach each other directly.
            nat = known.wanted.nat
            private = ((nat and nat.saved_addr) or unspecified(text.family), nat.saved_port if nat else 0)
            if private != (known.wanted.dst, known.wanted.dport):
                is_direct = True
                address, port = private
                known = _known(packet, Tuple(src or unspecified(text.family), address, UDP, 0, port), expect_class)
        port &= ~1
        if is_direct:
            sip_nat.rewrite_media_port(packet, text, port_at, port)
        if known is not None:
            return address
        rtp = Expect(dst=address, dport=port, l4proto=UDP, src=src, expect_class=expect_class, any_master=True)
        if packet.natted and not is_direct:
            return sip_nat.expect_media(packet, text, port_at, rtp)
        _expect_pair(packet, rtp)
        return address


def _message_end(text: Text) -> int | None:
    """Where the first message in a segment ends, by its Content-Length; None if that cannot be told."""
    length = text.digits(CONTENT_LENGTH)
    number = text.number(length.start, text.end) if length else None
    if number is None or number[0] > text.end - text.start:
        return None
    headers_end = text.data.find(_HEADERS_END, number[1], text.end)
    return None if headers_end < 0 else headers_end + len(_HEADERS_END) + number[0]


def _cseq(text: Text) -> tuple[int, bytes]:
    """The sequence number, and the method that an answer is to, in lower case (empty: not one that matters).

    Raises:
        Drop: there is no number.
    """
    digits = text.digits(CSEQ)
    number = text.number(digits.start, text.end) if digits else None
    if digits is None or number is None:
        raise Drop("a message without a CSeq")
    return number[0], text.method(digits.end + 1)


def _default_expires(text: Text) -> int:
    digits = text.digits(EXPIRES)
    number = text.number(digits.start, text.end) if digits else None
    return number[0] if number else 0


def _expires(text: Text, at: int, default: int) -> int:
    """How long a Contact is to hold, in seconds.

    Raises:
        Drop: it says so, but not in a number.
    """
    value = text.parameter(b"expires=", at)
    if value is None:
        return default
    number = text.number(*value)
    if number is None:
        raise Drop("a Contact's expires is no number")
    return number[0]


def _same_transport(packet: Packet, text: Text, at: int) -> bool:
    """Is a Contact for the protocol that this connection has?"""
    value = text.parameter(b"transport=", at)
    if value is None:
        return True
    named = text.data[value.start : value.start + 3].upper()
    return named == (b"TCP" if packet.original.l4proto == TCP else b"UDP")


def _activate(packet: Packet, text: Text) -> bool:
    """Activate the expectation that one of the answer's Contacts confirms; False if none does.

    Raises:
        Drop: a Contact's expires is no number.
    """
    default = _default_expires(text)
    cursor = Cursor(text.start)
    while (contact := text.next_uri(CONTACT, cursor)) is not None:
        if contact.address != packet.tuple.dst or not _same_transport(packet, text, contact.end):
            continue
        expires = _expires(text, contact.end, default)
        if expires == 0:
            break
        sought = (contact.address, packet.original.l4proto, contact.port, _SIGNALLING)
        for expectation in packet.expectations():
            wanted = expectation.wanted
            if (wanted.dst, wanted.l4proto, wanted.dport, wanted.expect_class) == sought:
                expectation.refresh(expires * _TICKS % (1 << 32) // _TICKS, activate=True)
                return True
    return False


def _forget_media(packet: Packet) -> None:
    for expectation in packet.expectations():
        if expectation.wanted.expect_class != _SIGNALLING:
            expectation.remove()


def _known(packet: Packet, stream: Tuple, expect_class: int) -> Expectation | None:
    """The expectation of this stream that another connection of this helper has made."""
    found = packet.find(stream)
    if found is None or found.mine or not found.same_helper or found.wanted.expect_class != expect_class:
        return None
    return found


def _expect_pair(packet: Packet, rtp: Expect) -> None:
    """Expect a media stream and its control stream; one that is expected already is as good.

    Raises:
        Refused: one of them is refused; then none is expected.
    """
    made = _expect_or_known(packet, rtp)
    try:
        _expect_or_known(packet, replace(rtp, dport=rtp.dport + 1))
    except Refused:
        if made is not None:
            made.remove()
        raise


def _expect_or_known(packet: Packet, wanted: Expect) -> Expectation | None:
    """Expect it; None where the same is expected already, by another connection or as another class."""
    try:
        return packet.expect(wanted)
    except Refused as refused:
        if refused.why != "already":
            raise
        return None
