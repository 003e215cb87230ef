"""SIP through NAT: addresses in messages become those that the other side sees.

Rewritten are the request URI, the topmost Via with its maddr, received and rport, every Contact, From and To, where
they name an end of this very connection; and of a session description the connection address (c=), the owner's (o=),
the ports of media (m=), and the Content-Length of the message.

An expectation is made at the translated address and remembers the private one: `Nat(…, function="sip")`. Where its
port is taken it gets another, for media the next pair.

Source: kernel net/netfilter/nf_nat_sip.c.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from conntap.helpers import sip_address
from conntap.helpers.base import REPLY, TCP, Address, Drop, Expect, Expectation, Nat, Packet, Refused
from conntap.helpers.nat import expect_at_free_port
from conntap.helpers.sip_text import (
    CONNECTION,
    CONTACT,
    CONTENT_LENGTH,
    FROM,
    MEDIA,
    OWNER,
    TO,
    VERSION,
    VIA_TCP,
    VIA_UDP,
    Cursor,
    Span,
    Text,
    Uri,
)

if TYPE_CHECKING:
    from conntap.helpers.sip_text import SdpLine

__all__ = [
    "expect_media",
    "expect_signalling",
    "rewrite_connection",
    "rewrite_media_port",
    "rewrite_message",
    "rewrite_session",
]

_PORTS: Final = 1 << 16
_LOWEST_PORT: Final = 1024


def rewrite_message(packet: Packet, text: Text, forced_dport: int) -> None:
    """Rewrite the headers of a message.

    Args:
        packet: has the message.
        text: the message.
        forced_dport: where the phone listens that sends from another port; 0: where it sends from.

    Raises:
        Drop: the packet would become too long, or the phone's port was named in a message over TCP.
    """
    is_request = not text.begins(b"sip/2.0")
    if is_request:
        _rewrite_uri(packet, text, text.request_uri(), forced_dport)
    _rewrite_via(packet, text, forced_dport, is_request=is_request)
    cursor = Cursor(text.start)
    while (contact := text.next_uri(CONTACT, cursor)) is not None:
        _rewrite_uri(packet, text, contact, forced_dport)
    for header in FROM, TO:
        _rewrite_uri(packet, text, text.uri(header), forced_dport)
    if packet.direction == REPLY and forced_dport:
        if packet.original.l4proto == TCP:
            raise Drop("a port was named for answers over UDP, but this is TCP")
        packet.set_dport(forced_dport)


def expect_signalling(packet: Packet, text: Text, contact: Uri, wanted: Expect, forced_dport: int) -> None:
    """Expect calls for whoever registers, at the address that the registrar sees; write that into the Contact.

    Args:
        packet, text: the REGISTER.
        contact: where the phone says that it is.
        wanted: the expectation as it would be without NAT.
        forced_dport: as for `rewrite_message`.

    Raises:
        Drop: no port is free, or the packet would become too long.
        Refused: for another reason than "busy".
    """
    here, there = packet.tuple, packet.inverse
    # The port that the phone sends from has been translated already.
    first = there.dport if wanted.dport == (forced_dport or here.sport) else wanted.dport
    made = expect_at_free_port(packet, replace(_translated(packet, wanted), dport=first))
    end = made.wanted.dst, made.wanted.dport
    if end == (wanted.dst, wanted.dport):
        return
    try:
        _write(packet, text, Span(contact.start, contact.end), sip_address.text_with_port(*end))
    except Drop:
        made.remove()
        raise


def expect_media(packet: Packet, text: Text, port_at: Span, rtp: Expect) -> Address:
    """Expect a media stream and its control stream at an even port and the next; write that port if it changed.

    Args:
        packet, text: the message with the session description.
        port_at: where the port stands in it.
        rtp: the expectation of the media stream as it would be without NAT; its port is even.

    Returns:
        The address that the stream is expected at.

    Raises:
        Drop: no two ports are free, or the packet would become too long, or it has no Content-Length.
        Refused: for another reason than "busy".
    """
    translated = _translated(packet, rtp)
    control = _translated(packet, replace(rtp, dport=rtp.dport + 1))
    for port in range(rtp.dport, _PORTS, 2):
        media = _expect_if_free(packet, replace(translated, dport=port))
        if media is None:
            continue
        made: list[Expectation] = [media]
        try:
            free = _expect_if_free(packet, replace(control, dport=port + 1))
            if free is not None:
                made.append(free)
                if port != rtp.dport:
                    rewrite_media_port(packet, text, port_at, port)
                return translated.dst
        except Drop:
            for expectation in made:
                expectation.remove()
            raise
        media.remove()
    raise Drop("no two ports are free for media")


def rewrite_media_port(packet: Packet, text: Text, port_at: Span, port: int) -> None:
    """Write the port of a media line.

    Raises:
        Drop: there is no Content-Length, or the packet would become too long.
    """
    _write(packet, text, port_at, b"%d" % port)
    _write_length(packet, text)


def rewrite_connection(packet: Packet, text: Text, at: int, address: Address) -> None:
    """Write the connection address of the media description that *at* is in.

    Raises:
        Drop: there is none, or no Content-Length, or the packet would become too long.
    """
    if not _rewrite_line(packet, text, CONNECTION, at, address):
        raise Drop("the connection address of the media is lost")
    _write_length(packet, text)


def rewrite_session(packet: Packet, text: Text, at: int, address: Address) -> None:
    """Write the addresses of the owner, who must be there, and of the connection, where the session names one.

    Args:
        packet, text: the message.
        at: where the session description begins.
        address: the new one.

    Raises:
        Drop: no owner, no Content-Length, or the packet would become too long.
    """
    if not _rewrite_line(packet, text, OWNER, at, address):
        raise Drop("the session has no owner")
    _rewrite_line(packet, text, CONNECTION, at, address)
    _write_length(packet, text)


def _rewrite_via(packet: Packet, text: Text, forced_dport: int, *, is_request: bool) -> None:
    """Rewrite the topmost Via: the sender's in a request, the receiver's in an answer."""
    here, there = packet.tuple, packet.inverse
    via = text.uri(VIA_TCP if packet.original.l4proto == TCP else VIA_UDP)
    if via is None:
        return
    expected = (here.src, here.sport) if is_request else (here.dst, here.dport)
    if (via.address, via.port) != expected:
        return
    end = via.end + _rewrite_uri(packet, text, via, forced_dport)
    # Where answers are to go (RFC 3261), and where the request came from (RFC 3261, 3581).
    for name, old, new, must in ((b"maddr=", here.src, there.dst, True), (b"received=", here.dst, there.src, False)):
        at = text.parameter(name, end)
        found = at and sip_address.parse_bracketed(text.data, at.start, at.end, text.family, must=must)
        if at and found and found[0] == old != new:
            _write(packet, text, Span(at.start, found[1]), sip_address.text(new, bracketed=must))
    at = text.parameter(b"rport=", end)
    number = at and text.number(at.start, at.end)
    if at and number and number[0] >= _LOWEST_PORT and number[0] == here.dport != there.sport:
        _write(packet, text, Span(at.start, number[1]), b"%d" % there.sport)


def _rewrite_uri(packet: Packet, text: Text, uri: Uri | None, forced_dport: int) -> int:
    """Rewrite an address and port if it is one of this connection's ends; by how much the text grew."""
    if uri is None:
        return 0
    here, there = packet.tuple, packet.inverse
    old = uri.address, uri.port
    if old == (here.src, here.sport):
        new = there.dst, there.dport
    elif old == (here.dst, here.dport):
        new = there.src, forced_dport or there.sport
    else:
        return 0
    if new == old:
        return 0
    return _write(packet, text, Span(uri.start, uri.end), sip_address.text_with_port(*new))


def _translated(packet: Packet, wanted: Expect) -> Expect:
    """The expectation at the address that the other side sees, with what it is to become again."""
    here, there = packet.tuple, packet.inverse
    # An end that is not translated itself may still name another host.
    dst = wanted.dst if here.src == there.dst else there.dst
    nat = Nat(1 - packet.direction, wanted.dport, wanted.dst, "sip")
    return replace(wanted, dst=dst, nat=nat)


def _expect_if_free(packet: Packet, wanted: Expect) -> Expectation | None:
    """Expect it, unless another expectation is in the way.

    Raises:
        Refused: for another reason than "busy".
    """
    try:
        return packet.expect(wanted)
    except Refused as refused:
        if refused.why != "busy":
            raise
        return None


def _rewrite_line(packet: Packet, text: Text, line: SdpLine, at: int, address: Address) -> bool:
    span = text.sdp(line, at, MEDIA)
    if span is None:
        return False
    _write(packet, text, span, sip_address.text(address))
    return True


def _write_length(packet: Packet, text: Text) -> None:
    """Write how long the session description is: from its version line to the end of the message."""
    version = text.sdp(VERSION, text.start)
    length = text.digits(CONTENT_LENGTH)
    if version is None or length is None:
        raise Drop("there is no Content-Length to correct")
    _write(packet, text, length, b"%d" % (text.end - version.start + len(b"v=")))


def _write(packet: Packet, text: Text, span: Span, replacement: bytes) -> int:
    """Replace a part of the message; by how much it grew."""
    length = span.end - span.start
    # Of a segment the sequence numbers are adjusted once, when all its messages are written.
    packet.mangle(span.start, length, replacement, adjust=False)
    text.replaced(packet.payload, span, replacement)
    return len(replacement) - length
