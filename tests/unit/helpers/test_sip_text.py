"""Headers, URIs and session lines are found where the kernel finds them, and nowhere else."""

from __future__ import annotations

from copy import copy
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.sip_text import (
    CONNECTION,
    CONTACT,
    CONTENT_LENGTH,
    CSEQ,
    EXPIRES,
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


def message(*lines: str, family: int = 4) -> Text:
    return Text("\r\n".join(["OPTIONS sip:x SIP/2.0", *lines, "", ""]).encode("latin-1"), family)


def number(text: Text) -> bytes | None:
    """What the CSeq says."""
    span = text.digits(CSEQ)
    return None if span is None else text.data[span.start : span.end]


def contacts(*lines: str, family: int = 4) -> list[str]:
    """All addresses of Contact headers."""
    return [f"{uri.address}:{uri.port}" for uri in uris(message(*lines, family=family))]


def uris(text: Text) -> list[Uri]:
    """All addresses of Contact headers, with their places."""
    cursor = Cursor(text.start)
    return list(iter(lambda: text.next_uri(CONTACT, cursor), None))


def said(text: Text, span: Span | None) -> bytes | None:
    return span and text.data[span.start : span.end]


# --- where a header is


@pytest.mark.parametrize(
    "header",
    [
        "CSeq: 7 ACK",
        "cseq:7 ACK",
        "CSEQ : 7",
        "CSeq\t:\t7",
        "CSeq:\r\n 7",
        "CSeq\r\n\t : 7",
        "CSeq:7x",
        "X: 1\nCSeq: 7",
        "X: 1\rCSeq: 7",
    ],
)
def test_a_header_is_found_however_it_is_written(header):
    assert number(message(header)) == b"7"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(" CSeq: 7", id="a continuation line"),
        pytest.param("X: CSeq: 7", id="within a line"),
        pytest.param("X:\n\nCSeq: 7", id="the second of two line feeds is passed over"),
        pytest.param("CSeq 7", id="no colon"),
        pytest.param("CSeq: x", id="no number"),
        pytest.param("CSeq: x\r\nCSeq: 7", id="only the first header counts"),
        pytest.param("CSequence: 1\r\nCSeq: 7", id="a longer name ends the search"),
        pytest.param("CSeq:\r\n\r\n 7", id="an empty line is no continuation"),
        pytest.param("CSeq:\r\n \r\n 7", id="one line end is passed over"),
    ],
)
def test_no_header(header):
    assert number(message(header)) is None


def test_a_header_does_not_begin_a_message():
    assert number(Text(b"CSeq: 7\r\n", 4)) is None


def test_two_line_ends_of_cr_lf_hide_nothing():
    assert number(message("", "CSeq: 7")) == b"7"


@pytest.mark.parametrize(
    "tail", ["\r\nCSeq", "\r\nCSeq:", "\r\nCSeq: ", "\r\nCSeq:\r\n ", "\r\nCSeq\r\n ", "\r\n", "\r"]
)
def test_a_header_that_is_cut_off_is_none(tail):
    assert number(Text(b"OPTIONS sip:x SIP/2.0" + tail.encode(), 4)) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [("l: 5", True), ("L:5", True), ("l\t:5", True), ("lx: 5", False), ("l\xe4: 5", False), ("l1: 5", False)],
)
def test_a_compact_name_has_no_letter_behind(line, found):
    assert (message(line).digits(CONTENT_LENGTH) is not None) == found


def test_a_message_ends_where_it_ends():
    text = message("X: 1", "CSeq: 7")
    text.end = text.data.index(b": 7")
    assert number(text) is None
    text.start = text.end = len(text.data)
    assert number(text) is None


# --- numbers


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"0", 0),
        (b"4294967295", 0xFFFF_FFFF),
        (b"00000000001", 1),
        (b"007x", 7),
        (b"4294967296", None),
        (b"000000000001", None),
        (b"9" * 5000, None),
        (b"", None),
        (b"x", None),
        (b"-1", None),
    ],
)
def test_a_number_has_32_bits_and_eleven_digits(written, value):
    found = Text(b"=" + written, 4).number(1, len(written) + 1)
    assert (found and found[0]) == value


def test_a_number_ends_at_the_limit():
    assert Text(b"12345", 4).number(1, 3) == (23, 3)


# --- addresses


@pytest.mark.parametrize(
    ("contact", "found"),
    [
        ("<sip:a@10.0.1.2:5061>", "10.0.1.2:5061"),
        ("<SIP:10.0.1.2>", "10.0.1.2:5060"),
        ('"Al, B" <sip:a:b@10.0.1.2;x>', "10.0.1.2:5060"),
        ("sip:a@10.0.1.2", "10.0.1.2:5060"),
        ("x\r\n  y <sip:10.0.1.2>", "10.0.1.2:5060"),
        ("<sip:10.0.1.2:05060>", "10.0.1.2:5060"),
        ("<sip:10.0.1.2:65535>", "10.0.1.2:65535"),
        ("<sip:10.0.1.2:1024x>", "10.0.1.2:1024"),
        ("<sip:a@b@10.0.1.2>", None),
        ("<sips:10.0.1.2>", None),
        ("<sip:a@host>", None),
        ("<sip:10.0.1.2:1023>", None),
        ("<sip:10.0.1.2:65536>", None),
        ("<sip:10.0.1.2:005060>", None),
        ("<sip:10.0.1.2:>", None),
        ("<sip:10.0.1.2.>", None),
        ("x\r\n sip:10.0.1.2>", None),
    ],
)
def test_an_address_follows_the_user(contact, found):
    uri = message(f"Contact: {contact}").uri(CONTACT)
    assert (uri and f"{uri.address}:{uri.port}") == found


@pytest.mark.parametrize("tail", [b"sip:10.0.1.2", b"sip:10.0.1.2:5060", b"sip:10.0.1.2:", b"sip:", b"sip", b"sip:1"])
def test_an_address_must_not_end_the_message(tail):
    assert Text(b"OPTIONS sip:x\r\nContact: " + tail, 4).uri(CONTACT) is None


def test_an_address_says_where_it_stands():
    text = message("m: <sip:a@10.0.1.2:5061>;x")
    uri = text.uri(CONTACT)
    assert text.data[uri.start : uri.end] == b"10.0.1.2:5061"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["Contact: <sip:b@10.0.1.2>, <sip:a@10.0.1.3:5061>"], ["10.0.1.2:5060", "10.0.1.3:5061"]),
        (["Contact: <sip:10.0.1.2>", "m: <sip:10.0.1.3>"], ["10.0.1.2:5060", "10.0.1.3:5060"]),
        (["Contact: <sip:10.0.1.2>,", "\t<sip:10.0.1.3>", "X: ,sip:10.0.1.4;"], ["10.0.1.2:5060", "10.0.1.3:5060"]),
        (["Contact: <sip:host>, <sip:10.0.1.3>"], []),
        (["Contact: <sip:host>", "Contact: <sip:10.0.1.3>"], ["10.0.1.3:5060"]),
        (["Contact: <sip:10.0.1.2>, <sip:host>, <sip:10.0.1.3>"], ["10.0.1.2:5060", "10.0.1.3:5060"]),
        (["Contact: <sip:10.0.1.2>, <tel:1>, <sip:10.0.1.3>"], ["10.0.1.2:5060", "10.0.1.3:5060"]),
        (["Contact: <sip:10.0.1.2>; sip:10.0.1.3;"], ["10.0.1.2:5060"]),
        (["Contact: <sip:10.0.1.2>, x", "Contact: y", "Contact: <sip:10.0.1.3>"], ["10.0.1.2:5060", "10.0.1.3:5060"]),
        (["Contact: sip:10.0.1.2,", " sip:10.0.1.3;"], ["10.0.1.2:5060"]),
        (["Contact: *"], []),
    ],
)
def test_contacts_are_divided_by_commas_or_headers(lines, found):
    assert contacts(*lines) == found


def test_a_value_without_a_user_is_taken_for_the_next_one_that_has_one():
    assert contacts("Contact: <sip:10.0.1.2>, <sip:a@10.0.1.3>, <sip:10.0.1.4>") == ["10.0.1.3:5060", "10.0.1.4:5060"]


def test_ipv6_addresses_need_brackets():
    lines = ["Contact: <sip:a@[2001:db8::1]>, <sip:2001:db8::2>, <sip:[2001:db8::3]:5061>"]
    assert contacts(*lines, family=6) == ["2001:db8::1:5060", "2001:db8::3:5061"]
    assert contacts("Contact: <sip:10.0.1.2>", family=6) == []


@pytest.mark.parametrize(
    ("line", "udp", "tcp"),
    [
        ("Via: SIP/2.0/UDP 10.0.1.2:5061;branch=z", 5061, None),
        ("v: SIP/2.0/udp 10.0.1.2", 5060, None),
        ("Via: SIP/2.0/TCP 10.0.1.2:5061\r\nVia: SIP/2.0/UDP 10.0.1.3:5062", 5062, 5061),
        ("Via: SIP/2.0/UDP  10.0.1.2", None, None),
        ("Via: SIP/2.0/UDP a@10.0.1.2", None, None),
    ],
)
def test_a_via_names_its_transport_and_no_user(line, udp, tcp):
    text = message(line)
    assert [(uri := text.uri(via)) and uri.port for via in (VIA_UDP, VIA_TCP)] == [udp, tcp]


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("INVITE sip:b@10.0.2.2:5061 SIP/2.0", 5061),
        ("x sip:10.0.2.2 SIP/2.0", 5060),
        ("INVITE\tSIP:10.0.2.2 x", 5060),
        ("INVITE tel:1;sip:10.0.2.2 x", 5060),
        ("\xe4 sip:10.0.2.2 x", 5060),
        ("INVITE sip:b@host SIP/2.0", None),
        ("INVITE sips:10.0.2.2 SIP/2.0", None),
        ("1 sip:10.0.2.2 SIP/2.0", None),
        ("INVITE \r\n sip:10.0.2.2 x", None),
        ("INVITE sip:10.0.2.2", None),
        ("INVITE", None),
        ("INVITE ", None),
        ("", None),
    ],
)
def test_a_request_uri_is_in_the_first_line(first, found):
    uri = Text(first.encode("latin-1"), 4).request_uri()
    assert (uri and uri.port) == found


# --- first lines


@pytest.mark.parametrize(
    ("first", "is_bye"),
    [
        ("BYE sip:x", True),
        ("bye x", True),
        ("BYE \xe4", True),
        ("BYE  sip:x", False),
        ("BYE\tsip:x", False),
        ("BYE2 x", False),
        ("BYE 1", False),
        ("BYE ", False),
    ],
)
def test_a_method_has_one_blank_and_a_letter_behind(first, is_bye):
    assert Text(first.encode("latin-1"), 4).requests(b"bye") == is_bye


def test_a_method_must_end_within_the_message():
    text = Text(b"BYE sip:x", 4)
    text.end = 4
    assert not text.requests(b"bye")


@pytest.mark.parametrize(
    ("written", "method"),
    [(b"INVITE", b"invite"), (b"prackx", b"prack"), (b"REGISTE", b""), (b" INVITE", b""), (b"BYE", b""), (b"ACK", b"")],
)
def test_an_answer_is_to_one_of_four_methods(written, method):
    assert Text(b"1 " + written, 4).method(2) == method


# --- parameters


@pytest.mark.parametrize(
    ("behind", "value"),
    [
        (";expires=60;x", "60"),
        (">; Expires=60;x", "60"),
        (";x\r\n  y;expires=60;", "60"),
        (";expires=6, sip:b", "6"),
        (";expires=60", "60"),
        pytest.param(";x\r\n expires=60;", None, id="the first byte of a continuation is passed over"),
        pytest.param(", sip:b;expires=60;", None, id="of the next value"),
        pytest.param("\r\nX: ;expires=60;", None, id="of another header"),
        pytest.param(";expires=,", None, id="nothing behind"),
    ],
)
def test_a_parameter_is_looked_for_up_to_the_next_value(behind, value):
    text = message(f"Contact: <sip:10.0.1.2>{behind}")
    found = text.parameter(b"expires=", text.uri(CONTACT).end)
    assert (found and text.data[found.start : found.start + len(value or "")].decode()) == value


def test_a_parameter_ends_at_the_next_value_at_the_latest():
    text = message("Contact: <sip:10.0.1.2>;expires=6, sip:b")
    assert said(text, text.parameter(b"expires=", text.uri(CONTACT).end)) == b"6"


# --- session descriptions

SDP = """v=0
o=- 1 1 IN IP4 10.0.1.9
c=IN IP4 10.0.1.2/127
m=audio 8000 RTP
c=IN IP4 10.0.1.3
m=video 8002 RTP
"""


def session(description: str = SDP, family: int = 4) -> Text:
    return Text(f"INVITE sip:x SIP/2.0\r\n\r\n{description}".encode("latin-1"), family)


def test_lines_say_version_addresses_and_media():
    text = session()
    begin = text.sdp(VERSION, 0).start
    assert said(text, text.sdp(OWNER, begin, MEDIA)) == b"10.0.1.9"
    assert said(text, text.sdp(CONNECTION, begin, MEDIA)) == b"10.0.1.2"
    media = text.sdp(MEDIA, begin)
    assert said(text, media) == b"audio 8000"
    assert said(text, text.sdp(CONNECTION, media.start, MEDIA)) == b"10.0.1.3"
    assert said(text, text.sdp(MEDIA, media.end)) == b"video 8002"
    assert text.sdp(CONNECTION, text.data.index(b"video"), MEDIA) is None


def test_an_address_of_a_session_can_be_had_itself():
    text = session()
    assert text.sdp_address(CONNECTION, 0, MEDIA) == ip_address("10.0.1.2")
    assert text.sdp_address(CONNECTION, text.data.index(b"m=video"), MEDIA) is None


@pytest.mark.parametrize(
    ("line", "kind", "found"),
    [
        ("V=12", VERSION, b"12"),
        ("v=x", VERSION, None),
        ("v =0", VERSION, None),
        ("c=in ip4 10.0.1.2", CONNECTION, None),
        ("c=IN IP6 ::1", CONNECTION, None),
        ("c=IN IP4 host", CONNECTION, None),
        ("c=x IN IP4 10.0.1.2 y", CONNECTION, b"10.0.1.2"),
        ("c=IN\r\n IP4 10.0.1.2", CONNECTION, None),
        ("m=audio 8000", MEDIA, b"audio 8000"),
        ("m=audio  8000", MEDIA, b"audio "),
        ("m=audio", MEDIA, None),
        ("m= 8000", MEDIA, b" 8000"),
        ("m=a\xe4 1", MEDIA, b"a\xe4 1"),
        ("m=a1 1", MEDIA, None),
    ],
)
def test_a_session_line_is_read_to_where_it_makes_sense(line, kind, found):
    text = session(f"{line}\r\n")
    assert said(text, text.sdp(kind, 0)) == found


def test_an_address_may_end_a_session():
    text = session("c=IN IP4 10.0.1.2")
    assert said(text, text.sdp(CONNECTION, 0)) == b"10.0.1.2"


def test_ipv6_sessions_name_their_family():
    text = session("c=IN IP6 2001:db8::1\r\n", 6)
    assert said(text, text.sdp(CONNECTION, 0)) == b"2001:db8::1"


# --- after a replacement


VALUES = st.sampled_from(
    ["<sip:10.0.1.2>", "<sip:a@10.0.1.2>", "<sip:a@10.0.1.2:5061>", "<sip:10.0.1.22>", "<sip:host>"]
)


@given(st.lists(st.tuples(VALUES, st.sampled_from([",", ", ", ";x,"])), max_size=6), st.data())
def test_a_walk_goes_on_after_a_replacement_as_if_the_text_had_been_so(values, data):
    text = message(f"Contact: {''.join(value + comma for value, comma in values)}", "m: <sip:b@10.0.1.2>")
    cursor = Cursor(text.start)
    while (uri := text.next_uri(CONTACT, cursor)) is not None:
        span = Span(uri.start, uri.end)
        replacement = data.draw(st.sampled_from([text.data[span.start : span.end], b"1.1.1.1", b"203.0.113.199:50611"]))
        text.replaced(text.data[: span.start] + replacement + text.data[span.end :], span, replacement)
        assert text.end == len(text.data)
        ahead, fresh = copy(cursor), copy(cursor)
        assert text.next_uri(CONTACT, ahead) == Text(text.data, 4).next_uri(CONTACT, fresh)
    assert uris(text) == uris(Text(text.data, 4))


# --- arbitrary text

WORDS = "INVITE|sip:|m:|Contact|Via|UDP |10.0.1.2|[::1]|CSeq|9|v=|m=|c=IN IP4 |expires="
MARKS = [b"\r\n", b"\r", b"\n", b" ", b"\t", b",", b";", b":", b"@"]
PIECES = st.sampled_from([*WORDS.encode().split(b"|"), *MARKS])
PAYLOADS = st.lists(st.one_of(PIECES, st.binary(max_size=3)), max_size=60).map(b"".join)


@given(PAYLOADS, st.sampled_from([4, 6]), st.data())
def test_a_message_is_read_as_if_nothing_stood_around_it(payload, family, data):
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, len(payload)))
    at = data.draw(st.integers(0, end - start))
    within, alone = Text(payload, family), Text(payload[start:end], family)
    within.start, within.end = start, end
    assert everything(within, start + at) == everything(alone, at)


def everything(text: Text, at: int) -> list[object]:
    """All that can be found from this place on, told from the message's start."""
    spans = [text.request_uri(), text.parameter(b"expires=", at), text.sdp(MEDIA, at)]
    spans += [text.digits(header) for header in (CSEQ, EXPIRES, CONTENT_LENGTH)]
    spans += [text.sdp(line, at, MEDIA) for line in (VERSION, OWNER, CONNECTION)]
    for header in (FROM, TO, CONTACT, VIA_UDP, VIA_TCP):
        cursor = Cursor(at)
        while (uri := text.next_uri(header, cursor)) is not None:
            assert uri.end == cursor.at
            spans.append(uri)
    assert all(span is None or text.start <= span[0] <= span[1] <= text.end for span in spans)
    found = [span and (span[0] - text.start, span[1] - text.start, *span[2:]) for span in spans]
    return [*found, text.begins(b"sip:"), text.requests(b"m"), text.method(at), text.sdp_address(CONNECTION, at, MEDIA)]
