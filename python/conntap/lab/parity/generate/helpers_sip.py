"""SIP (RFC 3261, 4566) over UDP and TCP: registrations, calls, media, and messages that are nearly right.

The far end answers with the headers that it received, and media go to the places that each side read in the other's
session description.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import TCP, UDP
from conntap.lab.parity.generate.sites import as_text
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script

__all__ = ["Dialog", "compose", "description", "port_of"]

_COMPACT: Final = {"Via": "v", "From": "f", "To": "t", "Contact": "m", "Content-Length": "l", "Call-ID": "i"}
_MEDIA: Final = re.compile(rb"m=(audio|video|image) (\d+)")
_CONTACT: Final = re.compile(rb"(?im)^(?:Contact|m):[^\r\n]*?(?:\d+\.\d+\.\d+\.\d+|\]):(\d+)")
_COPIED: Final = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq|v|f|t|i):.*(?:\r\n[ \t].*)*", re.IGNORECASE | re.MULTILINE)


def compose(
    start: str, headers: list[str], body: str = "", *, length: int | None = None, compact: bool = False
) -> bytes:
    """A message; *length* lies about the body, *compact* uses the short header names."""
    lines = [*headers, f"Content-Length: {len(body) if length is None else length}"]
    if compact:
        names = (line.partition(":") for line in lines)
        lines = [_COMPACT.get(name, name) + colon + rest for name, colon, rest in names]
    return "\r\n".join([start, *lines, "", body]).encode()


def description(address: str, media: list[tuple[str, int]], *, per_media: bool = False, version: int = 4) -> str:
    """A session description. *per_media* repeats the address with each medium and leaves it out before."""
    where = f"c=IN IP{version} {address}"
    head = ["v=0", f"o=u 1 1 IN IP{version} {address}", "s=-", *([] if per_media else [where]), "t=0 0"]
    lines: list[str] = []
    for kind, port in media:
        lines += [f"m={kind} {port} RTP/AVP 0", *([where] if per_media else []), "a=sendrecv"]
    return "\r\n".join([*head, *lines, ""])


def port_of(text: bytes | None, otherwise: int) -> int:
    """The port of the first Contact of a message that arrived."""
    found = _CONTACT.search(text or b"")
    return int(found[1]) if found else otherwise


class Dialog:
    """A client and a server that speak SIP over one flow."""

    __slots__ = ("call", "client", "compact", "flow", "number", "server", "site", "tcp")

    def __init__(self, site: Site, *, over_tcp: bool = False, source: int | None = None) -> None:
        port, public = site.listens(TCP if over_tcp else UDP, 5060)
        self.site = site
        self.tcp = over_tcp
        make = Tcp if over_tcp else Udp
        self.flow: Tcp | Udp = make(site, port, public=public, source=source)
        self.client, self.server = self.flow.client, self.flow.server
        self.number = site.rng.randrange(1, 1000)
        self.call = f"{site.rng.getrandbits(32):x}@h"
        self.compact = site.rng.random() < 0.15

    def start(self) -> Script[None]:
        """Connect, where that is needed."""
        if isinstance(self.flow, Tcp):
            yield from self.flow.open()

    def say(self, side: int, text: bytes) -> Script[bytes | None]:
        """Send a message; returns it as it arrived, or None."""
        if isinstance(self.flow, Tcp):
            return (yield from self.flow.say(side, text))
        return (yield from self.flow.emit(side, text))

    def address(self, side: int, host: int = 0) -> str:
        """An address as it stands in a URI."""
        text = as_text(self.site.real(side, host))
        return text if self.site.version == 4 else f"[{text}]"

    def port(self, side: int) -> int:
        return self.flow.end(side)[1]

    def headers(self, side: int, method: str, *, contact: str | None = None) -> list[str]:
        """What a request of *side* carries."""
        where = f"{self.address(side)}:{self.port(side)}"
        return [
            f"Via: SIP/2.0/{'TCP' if self.tcp else 'UDP'} {where};branch=z9hG4bK{self.number}",
            f"From: <sip:a@{self.address(side)}>;tag=1",
            f"To: <sip:b@{self.address(1 - side)}>",
            f"Call-ID: {self.call}",
            f"CSeq: {self.number} {method}",
            f"Contact: {f'<sip:a@{where}>' if contact is None else contact}",
        ]

    def ask(
        self,
        side: int,
        method: str,
        *,
        more: tuple[str, ...] = (),
        body: str = "",
        contact: str | None = None,
        number: int | None = None,
    ) -> Script[bytes | None]:
        """Send a request; the sequence number goes up unless one is given. Returns what arrived."""
        self.number = self.number + 1 if number is None else number
        headers = [*self.headers(side, method, contact=contact), *more]
        if body:
            headers.append("Content-Type: application/sdp")
        start = f"{method} sip:b@{self.address(1 - side)} SIP/2.0"
        return (yield from self.say(side, compose(start, headers, body, compact=self.compact)))

    def answer(
        self, side: int, request: bytes | None, status: str, *, more: tuple[str, ...] = (), body: str = ""
    ) -> Script[bytes | None]:
        """Answer a request that arrived, with its own headers; nothing if it never did."""
        if request is None:
            return None
        copied = [line.decode(errors="replace") for line in _COPIED.findall(request)]
        headers = [*copied, *more, *(["Content-Type: application/sdp"] if body else [])]
        return (yield from self.say(side, compose(f"SIP/2.0 {status}", headers, body, compact=False)))

    def offer(self, side: int, media: list[tuple[str, int]], *, address: str | None = None) -> str:
        """A session description of *side*."""
        own = as_text(self.site.real(side)) if address is None else address
        return description(own, media, per_media=self.site.rng.random() < 0.3, version=self.site.version)

    def media(self, offered: bytes | None, mine: int, answered: bytes | None, theirs: int) -> Script[None]:
        """RTP and RTCP between the ports that arrived in offer and answer; *mine* and *theirs* are the real ones."""
        rng = self.site.rng
        there, back = _MEDIA.search(answered or b""), _MEDIA.search(offered or b"")
        far = int(there[2]) if there else theirs
        near = int(back[2]) if back else mine
        far, near = far & 0xFFFE, near & 0xFFFE
        for step in rng.choice(((0,), (0, 1), (1, 0), (0, 0))):
            if rng.random() < 0.5:
                rtp = Udp(self.site, theirs + step, client=self.client, source=mine + step, public=far + step)
            else:
                rtp = Udp(self.site, mine + step, client=self.server, source=theirs + step, public=near + step)
            for side in (rtp.client, rtp.server)[: rng.choice((1, 2))]:
                yield from rtp.emit(side, b"\x80\0rtp packet")
