"""What helpers are fuzzed with: real conversations, messages made by small grammars, and faults put into both."""

from __future__ import annotations

import json
import re
import struct
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from conntap.helpers.base import ORIGINAL, REPLY, TCP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from conntap.helpers.base import Helper

Step = tuple[int, bytes]
Conversation = list[Step]

DATA = Path(__file__).parents[1] / "tests/data"

# Numbers at which something ends or begins.
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 1023, 1024, 5060, 32767, 32768, 65534, 65535, 65536, 70000, 2**31, 2**32)

# ---------------------------------------------------------------- grammars of texts: {rule} is replaced

COMMON = {
    "n": [b"%d" % number for number in NUMBERS] + [b"", b"-1", b"007", b"5001", b"50000", b"40001", b"9" * 40],
    "o": [b"0", b"10", b"1", b"2", b"255", b"256", b"3", b"999"],
    "v4": [b"10.0.1.2", b"10.0.2.2", b"10.0.2.1", b"192.0.2.9", b"0.0.0.0", b"{o}.{o}.{o}.{o}", b"1.2.3"],
    "v6": [b"2001:db8:1::2", b"2001:db8:2::2", b"2001:db8:2::1", b"::", b"::1", b"::ffff:10.0.1.2", b"1:2:3", b":::"],
    "address": [b"{v4}", b"{v4}", b"{v6}", b"[{v6}]", b"host.example"],
    "eol": [b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n", b"\r\n "],
    "sp": [b" ", b" ", b" ", b"  ", b"\t", b""],
    "p": [b"8000", b"8002", b"40001", b"5001", b"65532", b"{n}"],
}
# Whoever sends, by direction and family.
SELF = {
    ORIGINAL: {"self": [b"10.0.1.2"], "ip": [b"IP4 10.0.1.2"]},
    REPLY: {"self": [b"10.0.2.2"], "ip": [b"IP4 10.0.2.2"]},
}
SELF6 = {
    ORIGINAL: {"self": [b"[2001:db8:1::2]"], "ip": [b"IP6 2001:db8:1::2"]},
    REPLY: {"self": [b"[2001:db8:2::2]"], "ip": [b"IP6 2001:db8:2::2"]},
}

FTP = {
    "client": [b"{port}", b"{eprt}", b"USER a{eol}", b"PASV\r\n", b"{port}{port}", b"po", b"EPR"],
    "server": [b"{pasv}", b"{epsv}", b"220 hi{eol}", b"{pasv}{epsv}", b"22", b"229"],
    "port": [b"PORT{sp}{six}{eol}", b"port {six}\r\n"],
    "pasv": [b"227 Entering Passive Mode ({six}).{eol}", b"227 {six}{eol}", b"227 x{six}"],
    "six": [
        b"10,0,1,2,195,80",
        b"10,0,2,2,195,80",
        b"10,0,1,2,{o},{o}",
        b"10,0,2,2,{o},{o}",
        b"{o},{o},{o},{o},{n},{n}",
        b"{o},{o},{o}",
    ],
    "d": [b"|", b"|", b"|", b"!", b".", b"1", b":"],
    "eprt": [b"EPRT{sp}|1|{v4}|{n}|{eol}", b"EPRT |2|{v6}|{n}|{eol}", b"EPRT {d}1{d}{v4}{d}{n}{d}{eol}"],
    "epsv": [b"229 Entering Extended Passive Mode (|||{n}|){eol}", b"229 ({d}{d}{d}{n}{d}){eol}", b"229 (||"],
}
IRC = {
    "client": [b"PRIVMSG bob :\1DCC {kind}{word}{sp}{where} {n}{size}\1{eol}", b"{eol}{client}", b"NICK a{eol}"],
    "server": [b":srv 001 a :hi\r\n", b"{client}"],
    "kind": [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT ", b"send ", b"RESUME "],
    "word": [b"file", b"", b"a b", b"x" * 300],
    "where": [b"167772418", b"167772674", b"167772673", b"{n}"],
    "size": [b" 100", b"", b" {n}"],
}
AMANDA = {
    "client": [b"Amanda 2.4 REQ HANDLE 1 SEQ 1\n", b"{server}"],
    "server": [b"Amanda 2.4 REP HANDLE 1\nCONNECT{streams}{sp}\nOPTIONS{eol}", b"CONNECT {streams}", b"CONNECT "],
    "streams": [b" DATA {n} MESG {n} INDEX {n}", b"{stream}", b"{stream}{stream}{stream}", b"{stream}" * 5],
    "stream": [b" DATA {n}", b" MESG {n}", b" INDEX {n}", b" STATE {n}", b"DATA{sp}{n}"],
}
SIP = {
    "client": [b"{request}", b"{request}", b"{request}", b"{answer}", b"{request}{request}"],
    "server": [b"{answer}", b"{answer}", b"{answer}", b"{request}", b"{answer}{answer}"],
    "request": [b"{method} sip:{who} SIP/2.0\r\n{headers}", b"{method} {uri} SIP/2.0{eol}{headers}"],
    "answer": [b"SIP/2.0 {code} OK\r\n{headers}", b"SIP/2.0 {code}"],
    "method": [b"INVITE", b"REGISTER", b"ACK", b"BYE", b"PRACK", b"UPDATE", b"OPTIONS", b"invite", b"CANCEL"],
    "code": [b"200", b"200", b"200", b"183", b"100", b"401", b"486", b"{n}", b"2xx"],
    "who": [
        b"a@{self}",
        b"a@{self}:5060",
        b"{self}:{p}",
        b"a@{address}",
        b"{address}:{n}",
        b"a@{address}:5060;transport=udp",
        b"a",
    ],
    "uri": [b"sip:{who}", b"<sip:{who}>", b'"A" <sip:{who}>', b"sips:{who}", b"tel:1"],
    "headers": [
        b"{via}{from}{to}{cseq}{contact}{expires}{length}\r\n{body}",
        b"{from}{to}{cseq}{contact}{length}\r\n{body}",
        b"{cseq}{length}\r\n{body}",
        b"{header}{header}{header}{header}{header}{length}{eol}{body}",
    ],
    "header": [b"{via}", b"{from}", b"{to}", b"{cseq}", b"{contact}", b"{expires}", b"{length}", b"Subject: x{eol}"],
    "via": [
        b"Via: SIP/2.0/{tr} {self}:5060;branch=z{eol}",
        b"Via: SIP/2.0/{tr} {address}:{p};branch=z{eol}",
        b"v: SIP/2.0/UDP {v4};rport={n};received={v4};maddr={address}\r\n",
        b"Via: SIP/2.0/{tr} {v4}:{n};rport\r\nVia: SIP/2.0/UDP {v4}\r\n",
    ],
    "tr": [b"UDP", b"TCP", b"udp", b"TLS"],
    "from": [b"From: {uri};tag=1\r\n", b"f: {uri}{eol}"],
    "to": [b"To: {uri}\r\n", b"t:{uri}{eol}"],
    "cseq": [b"CSeq: {n} {method}\r\n", b"CSeq: 1 INVITE\r\n", b"CSeq: 1 REGISTER\r\n", b"CSeq: {n}{eol}"],
    "contact": [
        b"Contact: <sip:a@{self}:5060>\r\n",
        b"Contact: <sip:a@{self}:5060>;expires=60\r\n",
        b"Contact: {uri};expires={n}\r\n",
        b"m: {uri}, {uri};expires={n};transport={tr},{uri}{eol}",
        b"Contact: *\r\n",
    ],
    "expires": [b"Expires: {n}\r\n", b"Expires: 60\r\n", b""],
    "length": [b"Content-Length: {n}\r\n", b"l: 150\r\n", b"Content-Length: 0\r\n", b"Content-Length: 120\r\n", b""],
    "body": [
        b"v=0\r\no=- 1 1 IN {ip}\r\ns=-\r\nc=IN {ip}\r\nt=0 0\r\n{media}",
        b"v=0\r\no=- 1 1 IN {ip}\r\ns=-\r\nc=IN {ip}\r\nt=0 0\r\n{media}{media}",
        b"v=0\r\no=- 1 1 IN {any}\r\ns=-\r\nc=IN {any}\r\nt=0 0\r\n{media}{media}",
        b"v=0\r\n{media}{media}{media}{media}",
        b"",
    ],
    "any": [b"IP4 {v4}", b"IP4 10.0.1.2", b"IP6 {v6}"],
    "media": [b"m={type} {p} RTP/AVP 0\r\n{own}", b"m={type} 8000 RTP/AVP 0\r\n", b"m={type} {n}/2 x{eol}"],
    "type": [b"audio", b"video", b"image", b"text", b"audio"],
    "own": [b"", b"", b"c=IN {ip}\r\n", b"c=IN {any}\r\n", b"a=rtcp:{n}\r\n"],
}

_RULE = re.compile(rb"\{(\w+)\}")
Grammar = dict[str, list[bytes]]


def expand(random: Random, grammar: Grammar, rule: str, depth: int = 0) -> bytes:
    """A text that the grammar makes of a rule."""
    choices = grammar.get(rule) or COMMON[rule]
    template = random.choice(choices) if depth < 12 else choices[-1]
    if depth > 14:
        return b""
    return _RULE.sub(lambda found: expand(random, grammar, found[1].decode(), depth + 1), template)


# ---------------------------------------------------------------- messages in octets


def number(random: Random, octets: int) -> bytes:
    """A number of so many octets."""
    value = random.choice(NUMBERS) if random.random() < 0.7 else random.getrandbits(8 * octets)
    return (value & ((1 << 8 * octets) - 1)).to_bytes(octets, "big")


def tftp(random: Random, _direction: int) -> bytes:
    """A request, or one of the other kinds."""
    kind = random.choice((1, 2, 1, 2, 3, 4, 5, 0, 256, 65535))
    return kind.to_bytes(2, "big") + random.choice((b"", b"boot\0octet\0", random.randbytes(9)))


def netbios(random: Random, _direction: int) -> bytes:
    """A question for a name."""
    return number(random, 2) + b"\1\x10\0\1\0\0\0\0\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0!\0\1"


def sane(random: Random, direction: int) -> bytes:
    """A request, or an answer with a port."""
    if direction == ORIGINAL:
        return random.choice((7, 7, 7, 0, 1, 2**32 - 1)).to_bytes(4, "big") + number(
            random, random.choice((4, 4, 4, 3, 5))
        )
    return random.choice((0, 0, 0, 1)).to_bytes(4, "big") + random.choice((b"\0\0", b"\0\1")) + number(random, 2)


def ber(random: Random, identifier: int, contents: bytes) -> bytes:
    """A value, whose length is written in one of the ways, sometimes wrongly."""
    length = len(contents) + (random.choice((-1, 1, 7)) if random.random() < 0.03 else 0)
    length = max(length, 0)
    form = random.random()
    if length < 128 and form < 0.8:
        head = bytes([length])
    elif form < 0.97:
        head = b"\x82" + (length & 0xFFFF).to_bytes(2, "big")
    else:
        head = random.choice((b"\x80", b"\x83\0\0\1", b"\x81" + bytes([length & 255])))
    return bytes([identifier]) + head + contents


def snmp(random: Random, _direction: int) -> bytes:
    """A message of SNMPv1 or v2c, or nearly one."""
    address = random.choice(
        (b"\x0a\0\1\2", b"\x0a\0\2\2", b"\x0a\0\2\1", random.randbytes(random.choice((4, 4, 3, 5))))
    )
    bindings = b""
    for _ in range(random.choice((0, 1, 1, 2, 3, 20))):
        kind = random.choice((0x40, 0x40, 2, 4, 5, 6, 0x41, 0x46, 0x80, 0x30, 0x9F))
        value = address if kind == 0x40 else random.randbytes(random.randrange(5))
        contents = ber(random, 6, b"\x2b\6\1\2\1") + (b"" if random.random() < 0.1 else ber(random, kind, value))
        bindings += ber(random, 0x30, contents)
    fields = b"".join(ber(random, 2, random.randbytes(random.choice((1, 4)))) for _ in range(3))
    pdu = ber(
        random, random.choice((0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA7, 0xA8)), fields + ber(random, 0x30, bindings)
    )
    version = random.choice((0, 1, 1, 2, 3)).to_bytes(1, "big")
    return ber(random, 0x30, ber(random, 2, version) + ber(random, 4, b"public") + pdu)


_PPTP_SIZES = {1: 144, 2: 144, 3: 4, 4: 4, 7: 156, 8: 20, 9: 208, 10: 12, 11: 16, 12: 4, 13: 136, 14: 28, 15: 12}
_PPTP_BY_SIDE = {ORIGINAL: (1, 7, 10, 12, 15, 3, 5), REPLY: (2, 8, 9, 11, 13, 14, 4)}


def pptp(random: Random, direction: int) -> bytes:
    """A control message; call ids are few, so that they meet."""
    side = direction if random.random() < 0.9 else 1 - direction
    kind = random.choice(_PPTP_BY_SIDE[side]) if random.random() < 0.97 else random.randrange(20)
    ids = (7, 7, 8, 0, 65535, 40000)
    message = _control(kind, random.choice(ids), random.choice(ids), random.choice((1, 1, 1, 0, 2)))
    return message if random.random() < 0.95 else message[: random.randrange(len(message) + 1)]


def _control(kind: int, one: int, other: int, result: int = 1) -> bytes:
    body = struct.pack(">HHBB", one, other, result, 0)
    if kind in {2, 4}:
        body = struct.pack(">HBB", 256, result, 0) if kind == 2 else bytes([result, 0, 0, 0])
    body = body.ljust(_PPTP_SIZES.get(kind, 4), b"\0")
    return struct.pack(">HH", 12 + len(body), 1) + b"\x1a\x2b\x3c\x4d" + struct.pack(">HH", kind, 0) + body


# A call that the server announces: what the sample captures lack.
_INCOMING_CALL: Conversation = [
    (ORIGINAL, _control(1, 256, 0)),
    (REPLY, _control(2, 256, 0)),
    (REPLY, _control(9, 7, 0)),
    (ORIGINAL, _control(10, 40_000, 7)),
    (REPLY, _control(11, 40_000, 0)),
    (ORIGINAL, _control(15, 7, 0)),
    (REPLY, _control(13, 40_000, 0)),
]


def text(grammar: Grammar) -> Callable[[Random, int], bytes]:
    """Makes messages of a grammar with the rules "client" and "server"."""
    versions = [[{**grammar, **own[direction]} for direction in (ORIGINAL, REPLY)] for own in (SELF, SELF6)]

    def make(random: Random, direction: int) -> bytes:
        return expand(random, versions[random.random() < 0.15][direction], "server" if direction else "client")

    return make


#: Makers of messages by helper; H.323 has none but its seeds.
MAKERS: dict[str, Callable[[Random, int], bytes]] = {
    "ftp": text(FTP),
    "tftp": tftp,
    "irc": text(IRC),
    "sip": text(SIP),
    "pptp": pptp,
    "amanda": text(AMANDA),
    "netbios-ns": netbios,
    "snmp": snmp,
    "sane": sane,
}

# ---------------------------------------------------------------- seeds


def seeds(helper: type[Helper]) -> list[Conversation]:
    """Conversations of the sample captures, and those that were held with the kernel's helper."""
    found = [*_captured(helper), *_recorded(helper)]
    if helper.name == "pptp":
        found.append(_INCOMING_CALL)
    walks = (json.loads(line) for line in (DATA / "helpers/h323_walks.jsonl").read_text().splitlines())
    found += [[(row["direction"], bytes.fromhex(row["payload"]))] for row in walks if row["helper"] == helper.name]
    return found


def _captured(helper: type[Helper]) -> Iterator[Conversation]:
    for path in sorted((DATA / "pcap").glob("*.pcap")):
        flows: dict[bytes, Conversation] = defaultdict(list)
        for frame in _frames(path.read_bytes()):
            packet = frame[14:]
            version = packet[0] >> 4 if packet else 0
            if version not in {4, 6}:
                continue
            size = (packet[0] & 15) * 4 if version == 4 else 40
            l4proto, addresses = (packet[9], packet[12:20]) if version == 4 else (packet[6], packet[8:40])
            segment = packet[size:]
            if l4proto not in helper.l4protos or len(segment) < 20:
                continue
            ports = segment[:4]
            payload = segment[(segment[12] >> 4) * 4 :] if l4proto == TCP else segment[8:]
            sport, dport = struct.unpack(">HH", ports)
            if payload and helper.port and helper.port in {sport, dport}:
                key = b"".join(sorted((addresses[: len(addresses) // 2], addresses[len(addresses) // 2 :])))
                flows[key].append((ORIGINAL if dport == helper.port else REPLY, payload))
        yield from flows.values()


def _frames(data: bytes) -> Iterator[bytes]:
    order = "<" if data[:4] in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"} else ">"
    at = 24
    while at + 16 <= len(data):
        (captured,) = struct.unpack_from(order + "I", data, at + 8)
        yield data[at + 16 : at + 16 + captured]
        at += 16 + captured


def _recorded(helper: type[Helper]) -> Iterator[Conversation]:
    """Conversations of tests/data/helpers that were held with the kernel's helper."""
    if helper.name == "sip":
        for case in json.loads((DATA / "helpers/sip_nat.json").read_text())["cases"]:
            yield [(step["direction"], step["in"].encode("latin-1")) for step in case["steps"]]
    for case in json.loads((DATA / "helpers/h323.json").read_text())["cases"]:
        if case["helper"] == helper.name:
            yield [(one["direction"], bytes.fromhex(one["payload"])) for one in case["packets"] if one["payload"]]


# ---------------------------------------------------------------- faults


def mutated(random: Random, payload: bytes, others: list[bytes]) -> bytes:
    """The payload with a few faults; text, numbers, pieces of others, octets."""
    out = bytearray(payload)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at = random.randrange(len(out) + 1)
        match random.randrange(9):
            case 0 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 1 if at < len(out):
                out[at] = random.choice(b"\0\x01\x7f\x80\xff \r\n,;:.|()<>@[]09")
            case 2:
                out[at:at] = random.randbytes(random.choice((1, 1, 2, 4)))
            case 3:
                del out[at : at + random.choice((1, 1, 2, 3, 9, 40))]
            case 4:
                other = random.choice(others)
                begins = random.randrange(len(other) + 1)
                out[at:at] = other[begins : begins + random.choice((2, 8, 30, 200))]
            case 5:
                length = random.choice((1, 2, 8, 30))
                out[at:at] = out[at : at + length] * random.choice((1, 1, 2, 20))
            case 6:
                digits = list(re.finditer(rb"[0-9]+", out))
                if digits:
                    chosen = random.choice(digits)
                    out[slice(*chosen.span())] = b"%d" % random.choice(NUMBERS)
            case 7 if at + 2 <= len(out):
                out[at : at + 2] = (random.choice(NUMBERS) & 0xFFFF).to_bytes(2, "big")
            case _:
                if random.random() < 0.3:
                    del out[at:]
    # The framing of H.323 over TCP is made right again, mostly.
    if out[:2] == b"\3\0" and len(out) >= 4 and random.random() < 0.8:
        out[2:4] = (len(out) & 0xFFFF).to_bytes(2, "big")
    return bytes(out[:65_000])
