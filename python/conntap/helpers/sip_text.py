"""What the kernel sees in SIP and SDP text: headers, URIs, parameters, media lines (RFC 3261, 4566).

The kernel's SIP helper does not parse the grammar; it searches, and what it finds, and where it gives up, decides
what it does. These are its searches with their limits: a header begins only at the start of a line; the byte behind
a line end is looked at once (`LF LF Via:` hides the header); what is searched must not end the text, and neither must
an address; ports are 1024 to 65535.

All places are offsets into the payload. The cost of a walk over a message is linear in its length: where the same
line would be searched again for each of its values, what was found is remembered.

Source: kernel net/netfilter/nf_conntrack_sip.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from conntap.helpers import sip_address

if TYPE_CHECKING:
    from conntap.helpers.base import Address

__all__ = [
    "CONNECTION",
    "CONTACT",
    "CONTENT_LENGTH",
    "CSEQ",
    "EXPIRES",
    "FROM",
    "MEDIA",
    "OWNER",
    "TO",
    "VERSION",
    "VIA_TCP",
    "VIA_UDP",
    "Cursor",
    "Header",
    "SdpLine",
    "Span",
    "Text",
    "Uri",
]

_DEFAULT_PORT: Final = 5060
_LOWEST_PORT: Final = 1024
_LONGEST_PORT: Final = 5  # digits, leading zeros included
_HIGHEST_PORT: Final = 0xFFFF
_LONGEST_NUMBER: Final = 11  # digits, leading zeros included
_HIGHEST_NUMBER: Final = 0xFFFF_FFFF

# Letters are Latin-1's, as in the kernel. Possessive: what is read once is not read again.
_LETTER: Final = rb"A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff"
_LETTERS: Final = re.compile(rb"[%s]++" % _LETTER)
_DIGITS: Final = re.compile(rb"[0-9]++")
_NO_BLANK: Final = re.compile(rb"[^ \t]")
_MEDIA_AND_PORT: Final = re.compile(rb"[%s]*+ [0-9]*+" % _LETTER)
_LINE_END: Final = re.compile(rb"[\r\n]")
_USER_END: Final = re.compile(rb"[@\r\n]")

# One match for each line start. Where none of the names stands there, one byte is passed over.
_LINES: Final = rb"[\r\n](?:(?<=\r)\n)?(?:(%s)|.)"
_ANSWERED: Final = (b"invite", b"update", b"prack", b"register")
_AT: Final = ord("@")
_COLON: Final = ord(":")
_BLANKS: Final = frozenset(b" \t")
_ENDS: Final = frozenset(b"\r\n")
_SPACE: Final = ord(" ")


class Span(NamedTuple):
    """Bytes of the payload from *start* up to, not including, *end*."""

    start: int
    end: int


class Uri(NamedTuple):
    """Where an address with its port stands, and what it says; 5060 where it names no port."""

    start: int
    end: int
    address: Address
    port: int


class Cursor:
    """How far a walk over the values of a header has come; *inside* a header more values may follow a comma."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.inside = False


class Header:
    """How a header is spelt, and behind which word of its value (lower case) an address is looked for."""

    def __init__(self, name: bytes, compact: bytes = b"", word: bytes = b"") -> None:
        # The compact name must have something behind it that is no letter.
        names = name + (rb"|%s(?=[^%s])" % (compact, _LETTER) if compact else b"")
        self.lines = re.compile(_LINES % names, re.IGNORECASE | re.DOTALL)
        self.word = word
        self.has_user = word == b"sip:"


CSEQ: Final = Header(b"cseq")
EXPIRES: Final = Header(b"expires")
CONTENT_LENGTH: Final = Header(b"content-length", b"l")
FROM: Final = Header(b"from", b"f", b"sip:")
TO: Final = Header(b"to", b"t", b"sip:")
CONTACT: Final = Header(b"contact", b"m", b"sip:")
VIA_UDP: Final = Header(b"via", b"v", b"udp ")
VIA_TCP: Final = Header(b"via", b"v", b"tcp ")


class SdpLine(NamedTuple):
    """A line of a session description: its letter, and what is looked for in it."""

    letter: bytes
    content: re.Pattern[bytes] | None  # None: an address


VERSION: Final = SdpLine(b"v", _DIGITS)
OWNER: Final = SdpLine(b"o", None)
CONNECTION: Final = SdpLine(b"c", None)
MEDIA: Final = SdpLine(b"m", _MEDIA_AND_PORT)

_SDP_LINES: Final = re.compile(_LINES % rb"[vocm]=", re.IGNORECASE | re.DOTALL)


class Text:
    """A payload and the message in it that is being read: from `start` up to `end`.

    Attributes:
        data: the payload.
        start, end: of the message. Offsets that methods take and return are the payload's.
        family: 4 or 6: which addresses are looked for.
    """

    def __init__(self, data: bytes, family: int) -> None:
        self.data = data
        self.family = family
        self.start = 0
        self.end = len(data)
        self._lower = data.lower()
        # What was found last, so that long lines are not read again for each value: asked from where, found where.
        self._line_end = Span(0, -1)
        self._user_end = Span(0, -1)
        self._no_address = -1

    def replaced(self, data: bytes, span: Span, replacement: bytes) -> None:
        """Take note that *replacement* has been written over *span*: the payload is *data* now."""
        self.data = data
        self._lower = self._lower[: span.start] + replacement.lower() + self._lower[span.end :]
        growth = len(replacement) - (span.end - span.start)
        self.end += growth
        self._line_end = _moved(self._line_end, span, growth)
        self._user_end = _moved(self._user_end, span, growth)
        self._no_address = -1

    # --- first line

    def begins(self, word: bytes) -> bool:
        """Does the message begin with *word*, which is in lower case?"""
        return self._lower.startswith(word, self.start, self.end)

    def requests(self, method: bytes) -> bool:
        """Is it a request with this method, which is in lower case?"""
        behind = self.start + len(method)
        return (
            self.end >= behind + 2
            and self.begins(method)
            and self.data[behind] == _SPACE
            and _LETTERS.match(self.data, behind + 1) is not None
        )

    def method(self, at: int) -> bytes:
        """Which of the methods whose answers matter begins here, in lower case; empty: none."""
        return next((method for method in _ANSWERED if self._lower.startswith(method, at, self.end)), b"")

    def request_uri(self) -> Uri | None:
        """The address in the first line of a request, whatever its method."""
        method = _LETTERS.match(self.data, self.start, self.end)
        if method is None:
            return None
        at = method.end() + 1
        found = self._in_line(self._lower, at, self.end, b"sip:")
        return None if found is None else self._uri(found + 4, has_user=True)

    # --- headers

    def digits(self, header: Header) -> Span | None:
        """The number that the first such header begins with."""
        found = self._header(header, self.start)
        digits = _DIGITS.match(self.data, found[1], self.end) if found and found[1] is not None else None
        return Span(*digits.span()) if digits else None

    def uri(self, header: Header) -> Uri | None:
        """The first address in such a header that can be read."""
        return self.next_uri(header, Cursor(self.start))

    def next_uri(self, header: Header, cursor: Cursor) -> Uri | None:
        """The next address in such a header that can be read; moves *cursor* behind it.

        Values may be divided by commas or stand in headers of their own.
        """
        at = cursor.at
        while cursor.inside:
            comma = self._search(at, self.end, b",")
            found = None if comma is None else self._search(comma, self.end, header.word)
            if found is None:
                cursor.inside = False
                break
            at = found + len(header.word)
            uri = self._uri(at, has_user=header.has_user)
            if uri is not None:
                cursor.at = uri.end
                return uri
        while (value := self._header(header, at)) is not None:
            at, found = value
            uri = None if found is None else self._uri(found, has_user=header.has_user)
            if uri is not None:
                cursor.at = uri.end
                cursor.inside = True
                return uri
        return None

    def parameter(self, name: bytes, at: int) -> Span | None:
        """Where the value of a parameter begins, and where it ends at the latest.

        Args:
            name: in lower case, with the equals sign.
            at: from where to look: up to the next comma or the header's end.
        """
        comma = self._search(at, self.end, b",")
        end = self.end if comma is None else comma
        found = self._search(at, end, name)
        return None if found is None else Span(found + len(name), end)

    def number(self, at: int, limit: int) -> tuple[int, int] | None:
        """The number at this place and where it ends; None if there is none, it is over 32 bits or over 11 digits."""
        digits = _DIGITS.match(self.data, at, limit)
        if digits is None or digits.end() - at > _LONGEST_NUMBER:
            return None
        value = int(digits[0])
        return (value, digits.end()) if value <= _HIGHEST_NUMBER else None

    # --- session description

    def sdp(self, line: SdpLine, at: int, stop: SdpLine | None = None) -> Span | None:
        """What the first such line behind *at* says: a version, an address, or a media type with its port.

        Args:
            line: which line.
            at: from where to look; a line that begins right there is not seen.
            stop: not behind a line of this kind.

        Returns:
            The bytes that say it; None where there is no such line, or the first one is not understood.
        """
        for found in _SDP_LINES.finditer(self.data, at, self.end):
            if found[1] is None:
                continue
            letter = found[1][:1].lower()
            if stop is not None and letter == stop.letter:
                return None
            if letter == line.letter:
                return self._sdp_content(line, found.end())
        return None

    def sdp_address(self, line: SdpLine, at: int, stop: SdpLine) -> Address | None:
        """As `sdp`, but the address itself."""
        span = self.sdp(line, at, stop)
        found = sip_address.parse(self.data, span.start, span.end, self.family) if span else None
        return found[0] if found else None

    def _sdp_content(self, line: SdpLine, at: int) -> Span | None:
        if line.content is not None:
            content = line.content.match(self.data, at, self.end)
            return Span(*content.span()) if content else None
        word = b"IN IP4 " if self.family == 4 else b"IN IP6 "
        found = self._in_line(self.data, at, self.end, word)
        if found is None:
            return None
        start = found + len(word)
        address = sip_address.parse(self.data, start, self.end, self.family)
        return Span(start, address[1]) if address else None

    # --- the searches that all are made of

    def _header(self, header: Header, at: int) -> tuple[int, int | None] | None:
        """Find a header: where its value begins, and the place behind the header's word (None: not in it)."""
        for line in header.lines.finditer(self.data, at, self.end):
            if line[1] is None:
                continue
            # A longer name that begins like this one ends the search: nothing behind it is looked at.
            colon = self._skip_blanks(line.end())
            if colon is None or self.data[colon] != _COLON:
                return None
            value = self._skip_blanks(colon + 1)
            if value is None:
                return None
            if not header.word:
                return value, value
            found = self._search(value, self.end, header.word)
            return value, None if found is None else found + len(header.word)
        return None

    def _skip_blanks(self, at: int) -> int | None:
        """Pass over blanks and one line end that is continued; None at the end of the header or the message."""
        at = self._behind_blanks(at, self.end)
        if at < self.end and self.data[at] in _ENDS:
            return self._continued(at, self.end)
        return at if at < self.end else None

    def _behind_blanks(self, at: int, limit: int) -> int:
        found = _NO_BLANK.search(self.data, at, limit)
        return found.start() if found else limit

    def _continued(self, at: int, limit: int) -> int | None:
        """From a line end to the text of the next line if that continues this one: it begins with a blank."""
        at += 1
        if self.data[at - 1 : min(at + 1, limit)] == b"\r\n":
            at += 1
        if at >= limit or self.data[at] not in _BLANKS:
            return None
        behind = self._behind_blanks(at, limit)
        return behind if behind < limit else None

    def _search(self, at: int, limit: int, word: bytes) -> int | None:
        """Find *word*, in lower case, up to the end of a header; it must end before *limit*."""
        last = limit - len(word)
        while at < last:
            end = min(self._end_of_line(at), last)
            found = self._lower.find(word, at, end + len(word) - 1)
            if found >= 0:
                return found
            if end == last:
                break
            continued = self._continued(end, last)
            if continued is None:
                break
            at = continued + 1  # the first byte of a continuation is passed over
        return None

    def _in_line(self, where: bytes, at: int, limit: int, word: bytes) -> int | None:
        """Find *word* up to the end of the line; it must end before *limit*."""
        if at >= limit:
            return None
        end = min(self._end_of_line(at), limit - len(word))
        found = where.find(word, at, end + len(word) - 1)
        return found if found >= 0 else None

    def _end_of_line(self, at: int) -> int:
        if not self._line_end.start <= at <= self._line_end.end:
            self._line_end = Span(at, self._next(_LINE_END, at))
        return self._line_end.end

    def _next(self, what: re.Pattern[bytes], at: int) -> int:
        found = what.search(self.data, at)
        return found.start() if found else len(self.data)

    def _uri(self, at: int, *, has_user: bool) -> Uri | None:
        """Read an address and a port, behind a user name if there is one in this line."""
        if has_user:
            if not self._user_end.start <= at <= self._user_end.end:
                self._user_end = Span(at, self._next(_USER_END, at))
            user = self._user_end.end
            if user < self.end and self.data[user] == _AT:
                at = user + 1
        if at == self._no_address:
            return None
        found = sip_address.parse_bracketed(self.data, at, self.end, self.family, must=True)
        port = None if found is None else self._port(found[1])
        if found is None or port is None:
            self._no_address = at
            return None
        return Uri(at, port[1], found[0], port[0])

    def _port(self, at: int) -> tuple[int, int] | None:
        """Read `:5061`; the default where there is none. None: malformed, or the message ends here."""
        if at >= self.end:
            return None
        if self.data[at] != _COLON:
            return _DEFAULT_PORT, at
        digits = _DIGITS.match(self.data, at + 1, self.end)
        if digits is None or len(digits[0]) > _LONGEST_PORT or digits.end() >= self.end:
            return None
        port = int(digits[0])
        return (port, digits.end()) if _LOWEST_PORT <= port <= _HIGHEST_PORT else None


def _moved(found: Span, span: Span, growth: int) -> Span:
    """What was found, after a replacement; forgotten where it may not hold any more."""
    if found.start <= span.start and span.end <= found.end:
        return Span(found.start, found.end + growth)
    return Span(0, -1)
