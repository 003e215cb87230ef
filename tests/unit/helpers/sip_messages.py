"""SIP messages for tests, and what no phone would send."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import strategies as st

from conntap.helpers.base import UDP, Tuple

PHONE, SERVER, OUTSIDE = "10.0.1.2", "10.0.2.2", "203.0.113.199"


def flow(src: str = PHONE, sport: int = 5060, dst: str = SERVER, dport: int = 5060, l4proto: int = UDP) -> Tuple:
    """The tuple of packets from one end to another."""
    return Tuple(ip_address(src), ip_address(dst), l4proto, sport, dport)


def message(first: str, *headers: str, body: str = "") -> bytes:
    """A message with a Content-Length."""
    return "\r\n".join([first, *headers, f"Content-Length: {len(body)}", "", body]).encode("latin-1")


def session(address: str, *media: str, owner: bool = True, shared: bool = True) -> str:
    """A session description; media lines may bring lines of their own."""
    family = "IN IP6" if ":" in address else "IN IP4"
    lines = [
        "v=0",
        f"o=- 1 1 {family} {address}",
        "s=-",
        f"c={family} {address}",
        "t=0 0",
        *[f"m={one}" for one in media],
    ]
    unwanted = {line for line in lines if (line[0] == "o" and not owner) or (line[0] == "c" and not shared)}
    return "".join(f"{line}\r\n" for line in lines if line not in unwanted)


def request(method: str, *headers: str, cseq: int | str = 1, body: str = "") -> bytes:
    """A request with a CSeq."""
    return message(f"{method} sip:x SIP/2.0", f"CSeq: {cseq} {method}", *headers, body=body)


def answer(code: int | str, method: str, *headers: str, cseq: int | str = 1, body: str = "") -> bytes:
    """An answer with a CSeq."""
    return message(f"SIP/2.0 {code} x", f"CSeq: {cseq} {method}", *headers, body=body)


def register(contact: str = f"<sip:a@{PHONE}>", *headers: str, cseq: int = 1, expires: int | str = 60) -> bytes:
    """A registration."""
    return request("REGISTER", f"Contact: {contact}", f"Expires: {expires}", *headers, cseq=cseq)


def call(*media: str, address: str = PHONE, cseq: int = 1, method: str = "INVITE") -> bytes:
    """A call with a session description."""
    return request(method, cseq=cseq, body=session(address, *media))


SAMPLES = [
    register(),
    register(f"<sip:a@{PHONE}:7000>;expires=30, <sip:{PHONE}>", f"Via: SIP/2.0/UDP {PHONE}:5061;rport=5060"),
    call("audio 8000 RTP/AVP 0", "video 8002 RTP/AVP 0"),
    answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>;expires=30"),
    answer(200, "INVITE", f"Via: SIP/2.0/UDP {OUTSIDE};received={OUTSIDE}", body=session(SERVER, "audio 9000")),
    answer(486, "INVITE"),
    request("BYE"),
]
_PIECES = [
    *[b"\r\n", b"\n", b"\r", b" ", b"\t", b",", b";", b":", b"@", b"<", b"\0", b"\xe4", b"9", b"99999999999"],
    *[
        b"sip:",
        b"m:",
        b"l:",
        b"v=",
        b"m=audio ",
        b"c=IN IP4 ",
        b"expires=",
        b"CSeq:",
        b"SIP/2.0 ",
        b"INVITE ",
        b"[::1]",
    ],
    *[text.encode() for text in (PHONE, SERVER, OUTSIDE)],
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One or two of the samples with a few faults."""
    payload = bytearray(b"".join(draw(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=2))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(payload)))
        match draw(st.integers(0, 3)):
            case 0:
                payload[at:at] = draw(st.sampled_from(_PIECES))
            case 1:
                del payload[at : at + draw(st.integers(1, 9))]
            case 2:
                payload[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case _:
                del payload[at:]
    return bytes(payload)


ARBITRARY = st.one_of(st.binary(max_size=80), st.lists(st.sampled_from(_PIECES), max_size=40).map(b"".join), mutated())
