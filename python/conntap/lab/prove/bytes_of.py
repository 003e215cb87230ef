"""The commands that helpers read: what an inside host says, in an honest session or without knowing."""

from __future__ import annotations

from conntap.lab.parity.generate.helpers_sip import compose, description
from conntap.lab.prove.wire import text_of

__all__ = ["contact", "dcc", "eprt", "invite", "passive", "ringing", "sip_ok"]


def uri(address: bytes) -> str:
    text = text_of(address)
    return text if len(address) == 4 else f"[{text}]"


def eprt(address: bytes, port: int) -> bytes:
    """FTP's active mode: PORT, of IPv6 EPRT."""
    if len(address) == 4:
        return f"PORT {','.join(map(str, address))},{port >> 8},{port & 255}\r\n".encode()
    return f"EPRT |2|{text_of(address)}|{port}|\r\n".encode()


def passive(address: bytes, port: int) -> bytes:
    """FTP's passive mode: the server's answer."""
    if len(address) == 4:
        return f"227 Entering Passive Mode ({','.join(map(str, address))},{port >> 8},{port & 255}).\r\n".encode()
    return f"229 Entering Extended Passive Mode (|||{port}|)\r\n".encode()


def dcc(address: bytes, port: int) -> bytes:
    """An offer of a file, as IRC clients make it."""
    return f"PRIVMSG bob :\x01DCC SEND photo.jpg {int.from_bytes(address)} {port} 100\x01\r\n".encode()


def headers(host: bytes, remote: bytes, port: int, method: str, transport: str) -> list[str]:
    where = f"{uri(host)}:{port}"
    return [
        f"Via: SIP/2.0/{transport} {where};branch=z9hG4bK7",
        f"From: <sip:a@{uri(host)}>;tag=1",
        f"To: <sip:a@{uri(remote)}>",
        "Call-ID: 7@h",
        f"CSeq: 7 {method}",
        f"Contact: <sip:a@{where}>",
    ]


def contact(host: bytes, remote: bytes, port: int, transport: str) -> bytes:
    """REGISTER: "calls reach me there"."""
    more = ["Expires: 3600"]
    return compose(f"REGISTER sip:{uri(remote)} SIP/2.0", headers(host, remote, port, "REGISTER", transport) + more)


def invite(host: bytes, remote: bytes, port: int, media: int, transport: str) -> bytes:
    """INVITE: "send me sound there"."""
    body = description(text_of(host), [("audio", media)], version=4 if len(host) == 4 else 6)
    more = ["Content-Type: application/sdp"]
    return compose(f"INVITE sip:b@{uri(remote)} SIP/2.0", headers(host, remote, port, "INVITE", transport) + more, body)


def sip_ok(request: bytes, *, status: str = "200 OK") -> bytes:
    """The answer to a request as it arrived."""
    kept = ("via:", "from:", "to:", "call-id:", "cseq:", "contact:", "expires:")
    lines = request.decode(errors="replace").split("\r\n\r\n")[0].split("\r\n")
    return compose(f"SIP/2.0 {status}", [line for line in lines if line.lower().startswith(kept)])


def ringing(request: bytes) -> bytes:
    """The answer that tells nothing."""
    return sip_ok(request, status="180 Ringing")
