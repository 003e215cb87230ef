"""Payloads that make a helper work hardest, of whatever size: repeated pieces at which searches begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conntap.helpers.base import ORIGINAL, REPLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from helper_messages import Conversation

#: Longer than any UDP payload or TCP segment that fits an IPv4 packet is not needed.
LARGEST = 65_000

# For texts: what begins a message, the piece that is repeated, what ends it.
_TEXTS: dict[str, list[tuple[bytes, bytes, bytes]]] = {
    "ftp": [
        (b"PORT ", b"1,", b"\r\n"),
        (b"PORT ", b"9", b",1,1,1,1,1\r\n"),
        (b"PORT", b" ", b"\r\n"),
        (b"EPRT |2|", b"0", b"|5000|\r\n"),
        (b"EPRT |2|", b":", b"|5000|\r\n"),
        (b"EPRT |2|", b"0:", b"|5000|\r\n"),
        (b"EPRT |1|", b"9", b".1.1.1|5000|\r\n"),
        (b"EPRT |1|10.0.1.2|", b"9", b"|\r\n"),
    ],
    "irc": [
        (b"PRIVMSG ", b"x", b" :\1DCC SEND a 167772418 5001\1\n"),
        (b"PRIVMSG ", b" :", b"\1DCC SEND a 1 1\1\n"),
        (b"", b"\n", b""),
        (b"PRIVMSG b :\1DCC SEND a ", b"9", b" 1\1\n"),
        (b"PRIVMSG b :\1DCC SEND a 167772418", b" ", b"5001\1\n"),
    ],
    "amanda": [
        (b"CONNECT ", b"DATA 5001 ", b"\n"),
        (b"", b"CONNECT ", b"\n"),
        (b"CONNECT ", b"DATA", b" 1\n"),
        (b"CONNECT DATA ", b"0", b"5001\n"),
    ],
}

_CSEQ = b"CSeq: 1 INVITE\r\n"
_SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.1.2\r\ns=-\r\nc=IN IP4 10.0.1.2\r\nt=0 0\r\n"
_REGISTER = b"REGISTER sip:x SIP/2.0\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\n"
_TEXTS["sip"] = [
    (_REGISTER, b"Contact: <sip:a@10.0.1.2:5060>\r\n", b"\r\n"),
    (_REGISTER + b"Contact: <sip:a@10.0.1.2:5060>", b",<sip:a@10.0.1.2:5060>", b"\r\n\r\n"),
    (_REGISTER + b"Contact: <sip:a@10.0.1.2:5060>", b",sip:", b"\r\n\r\n"),
    (_REGISTER + b"Contact: <sip:a@10.0.1.2:5060>", b"\r\n ,", b"\r\n\r\n"),
    (_REGISTER + b"Contact: ", b"sip:", b"\r\n\r\n"),
    (_REGISTER + b"Contact: <sip:a@10.0.1.2>;", b"expires", b"\r\n\r\n"),
    (_REGISTER + b"Contact: ", b"<sip:a@[", b"\r\n\r\n"),
    (_REGISTER, b"m: <sip:a@9.9.9.9>;transport=tcp\r\n", b"\r\n"),
    (_REGISTER, b"\r\n ", b"Contact: <sip:a@10.0.1.2>\r\n\r\n"),
    (_REGISTER, b"Contact:\r\n", b"\r\n"),
    (_REGISTER, b"Contact", b"\r\n\r\n"),
    (b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nExpires: 60\r\n", b"Contact: <sip:a@10.0.2.2:5060>\r\n", b"\r\n"),
    (b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@10.0.2.2:5060>", b",<sip:a@10.0.2.2:5060>", b"\r\n\r\n"),
    (b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n", b"Via: SIP/2.0/UDP 10.0.2.2:5060\r\n", b"\r\n"),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\n" + _SDP, b"m=audio 8000 RTP/AVP 0\r\n", b""),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\n" + _SDP, b"m=text 1 x\r\n", b""),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\n" + _SDP, b"m=audio 0 x\r\n", b"m=audio 8000 x\r\n"),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\n" + _SDP, b"m=audio 0 x\r\nc=IN IP4 10.0.1.2\r\n", b""),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\n", b"c=IN IP4 ", b""),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ + b"\r\nv=0\r\n", b"c=", b"\r\n"),
    (b"INVITE sip:", b"a", b"@10.0.1.2 SIP/2.0\r\n" + _CSEQ + b"\r\n"),
    (b"INVITE ", b"sip:", b" SIP/2.0\r\n" + _CSEQ + b"\r\n"),
    (b"INVITE sip:x SIP/2.0\r\n", b"CSeq: ", b"1 INVITE\r\n\r\n"),
    (b"INVITE sip:x SIP/2.0\r\nCSeq: ", b"9", b" INVITE\r\n\r\n"),
    (b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.2:5060;", b"received=", b"\r\n" + _CSEQ + b"\r\n"),
    (b"INVITE sip:x SIP/2.0\r\n" + _CSEQ, b"Contact: <sip:a@10.0.1.2:40000>\r\n", b"\r\n"),
    (b"", b"INVITE sip:x SIP/2.0\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", b""),
    (b"", b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nl:0\r\n\r\n", b""),
    (b"", b"INVITE sip:x SIP/2.0\r\nCSeq: 1 INVITE\r\nContact: <sip:10.0.1.2:40000>\r\nl: 0\r\n\r\n", b""),
    (b"", b"\r\n", b""),
    (b"INVITE x", b"\r", b""),
]


def _filled(begins: bytes, piece: bytes, ends: bytes, size: int) -> bytes:
    return begins + piece * ((size - len(begins) - len(ends)) // len(piece)) + ends


def _text(name: str, index: int) -> Callable[[int], Conversation]:
    begins, piece, ends = _TEXTS[name][index]

    def build(size: int) -> Conversation:
        payload = _filled(begins, piece, ends, size)
        server = name == "amanda" or begins.startswith(b"SIP/2.0")
        # FTP reads a segment only where one with a line end came before.
        first: Conversation = [(ORIGINAL, b"x\n")] if name == "ftp" else []
        return [*first, (REPLY if server else ORIGINAL, payload)]

    return build


def _server(payload: Callable[[int], bytes]) -> Callable[[int], Conversation]:
    return lambda size: [(REPLY, b"x\n"), (REPLY, payload(size))]


def _client(payload: Callable[[int], bytes]) -> Callable[[int], Conversation]:
    return lambda size: [(ORIGINAL, payload(size))]


def _long(identifier: int, contents: bytes) -> bytes:
    return bytes([identifier, 0x82]) + len(contents).to_bytes(2, "big") + contents


def _snmp(binding: bytes) -> Callable[[int], bytes]:
    def payload(size: int) -> bytes:
        bindings = _long(0x30, binding * ((size - 60) // len(binding)))
        return _long(0x30, b"\2\1\1\4\1p" + _long(0xA2, b"\2\1\1\2\1\0\2\1\0" + bindings))

    return payload


def _tpkt(message: bytes) -> bytes:
    return b"\3\0" + (4 + len(message)).to_bytes(2, "big") + message


def _elements(size: int) -> bytes:
    return _tpkt(b"\x08\0\x05" + b"\x01\0" * ((size - 10) // 2))


def _user_user(octet: int, head: bytes = b"") -> Callable[[int], bytes]:
    """A SETUP whose H.225.0 part is one octet again and again: lists of lists."""

    def payload(size: int) -> bytes:
        contents = head + bytes([octet]) * (size - 20 - len(head))
        return _tpkt(b"\x08\x02\0\1\5\x7e" + (len(contents) + 1).to_bytes(2, "big") + b"\5" + contents)

    return payload


def _repeated(seed: Conversation) -> Callable[[int], Conversation]:
    """A real segment again and again: as many messages as fit."""
    direction, payload = seed[0]
    return lambda size: [(direction, payload * max(1, size // len(payload)))]


def _stretched(seed: Conversation, at: int, octet: int) -> Callable[[int], Conversation]:
    """A real message, from some place on one octet again and again."""
    direction, payload = seed[0]

    def build(size: int) -> Conversation:
        out = bytearray(payload[:at] + bytes([octet]) * (size - at))
        if out[:2] == b"\3\0":
            out[2:4] = len(out).to_bytes(2, "big")
            place = out.find(b"\x7e", 4, at)
            if place >= 0 and place + 3 < len(out):
                out[place + 1 : place + 3] = (len(out) - place - 3).to_bytes(2, "big")
        return [(direction, bytes(out))]

    return build


def shapes(name: str, seeds: list[Conversation]) -> Iterator[tuple[str, Callable[[int], Conversation]]]:
    """What to measure a helper with: a name, and a maker of conversations whose last payload has that size."""
    for index, (begins, piece, _) in enumerate(_TEXTS.get(name, [])):
        yield f"{begins[-20:]!r} {piece!r}…", _text(name, index)
    match name:
        case "ftp":
            for piece, ends in ((b"9", b",1,1,1,1,1)\r\n"), (b"x", b"1,1,1,1,1,1)\r\n"), (b"1,", b"\r\n")):
                yield (
                    f"227 {piece!r}…",
                    _server(lambda size, piece=piece, ends=ends: _filled(b"227 (", piece, ends, size)),
                )
            for piece in (b"(", b"|", b"9"):
                yield f"229 {piece!r}…", _server(lambda size, piece=piece: _filled(b"229 (|||", piece, b"|)\r\n", size))
        case "snmp":
            for binding in (
                b"\x30\x09\6\1\0\x40\4\x0a\0\1\2",
                b"\x30\2\6\0",
                b"\x30\x05\6\1\0\5\0",
            ):
                yield f"binding {binding.hex()}…", _client(_snmp(binding))
            yield "30…", _client(lambda size: b"\x30\x82\xff\xf0" * (size // 4))
        case "RAS" | "Q.931" | "H.245":
            if name == "Q.931":
                yield "elements", _client(_elements)
            if name != "RAS":
                yield "empty messages", _client(lambda size: b"\3\0\0\4" * (size // 4))
            for octet in (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x40, 0x55, 0x20):
                yield (
                    f"{octet:02x}…",
                    _client(
                        _user_user(octet)
                        if name == "Q.931"
                        else (
                            (lambda size, octet=octet: bytes([octet]) * size)
                            if name == "RAS"
                            else (lambda size, octet=octet: _tpkt(bytes([octet]) * (size - 4)))
                        )
                    ),
                )
            for number, seed in enumerate(seeds[:12]):
                yield f"seed {number} repeated", _repeated(seed)
                length = len(seed[0][1])
                for at in (length // 4, length // 2, length * 3 // 4, length):
                    for octet in (0x00, 0x01, 0xFF):
                        yield f"seed {number}[:{at}] {octet:02x}…", _stretched(seed, at, octet)
        case _:
            pass
    for octet in (0x00, 0x20, 0xFF):
        yield f"{octet:02x} alone", _client(lambda size, octet=octet: bytes([octet]) * size)
    if seeds:
        yield "a seed repeated", _repeated(seeds[0])
