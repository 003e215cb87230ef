"""What is said over SIP: `helpers_sip` has the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conntap.lab.parity.generate.build import ACK, PSH, SYN
from conntap.lab.parity.generate.helpers_sip import Dialog, compose, port_of
from conntap.lab.parity.generate.sites import as_text
from conntap.lab.parity.generate.talk import pick
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.generate.udp import Udp

if TYPE_CHECKING:
    from conntap.lab.parity.generate.sites import Site
    from conntap.lab.parity.generate.talk import Script, Table

__all__ = ["SIP_TROUBLES", "sip"]


def _even(site: Site) -> int:
    """A media port, even, whose successor belongs to it."""
    return site.port() & ~1 | 0x400


def _register(d: Dialog) -> Script[None]:
    """A registration, its answer, a request through the hole, and perhaps its end."""
    rng, site = d.site.rng, d.site
    expires, lasts = rng.choice((60, 3600, 1)), rng.choice((50, 1800))
    by_header = rng.random() < 0.6
    where = f"<sip:a@{d.address(d.client)}:{d.port(d.client)}>"
    contact = where if by_header else f"{where};expires={expires}"
    more = (f"Expires: {expires}",) if by_header else ()
    request = yield from d.ask(d.client, "REGISTER", more=more, contact=contact)
    if rng.random() < 0.4:
        yield from d.answer(d.server, request, "100 Trying")
    status = rng.choice(("200 OK", "200 OK", "200 OK", "401 Unauthorized", "500 Error", "302 Moved"))
    known = request or b""
    lines = [line for line in known.decode(errors="replace").split("\r\n") if line.startswith(("Contact:", "m:"))]
    line = (lines or ["Contact: *"])[0].partition(";expires")[0]
    granted = (line, f"Expires: {lasts}") if rng.random() < 0.5 else (f"{line};expires={lasts}",)
    yield from d.answer(d.server, request, status, more=granted)
    if rng.random() < 0.6:
        public = port_of(request, d.port(d.client))
        caller = Udp(site, d.port(d.client), client=d.server, source=site.port(), public=public)
        if d.tcp:
            t = Tcp(site, d.port(d.client), client=d.server, public=public)
            yield from t.emit(d.server, SYN)
        else:
            text = compose("OPTIONS sip:a@x SIP/2.0", ["CSeq: 1 OPTIONS", f"Call-ID: x{d.call}"])
            yield from caller.emit(d.server, text)
            yield from caller.emit(d.client, compose("SIP/2.0 200 OK", ["CSeq: 1 OPTIONS"]))
    if rng.random() < 0.5:
        site.note("sip-unregister")
        request = yield from d.ask(d.client, "REGISTER", more=("Expires: 0",), contact=where)
        yield from d.answer(d.server, request, "200 OK")


def _registered_again(d: Dialog) -> Script[None]:
    """A registration that is refreshed, with and without waiting for the answer."""
    for _ in range(d.site.rng.randrange(2, 4)):
        request = yield from d.ask(d.client, "REGISTER", more=("Expires: 300",))
        if d.site.rng.random() < 0.6:
            yield from d.answer(d.server, request, "200 OK", more=("Expires: 200",))


def _odd_register(d: Dialog) -> Script[None]:
    """Contacts that are names, other hosts, low ports, several, other transports; no expiry; wrong numbers."""
    rng = d.site.rng
    own, other = d.address(d.client), d.address(d.client, 2)
    port = d.port(d.client)
    contacts = (
        "<sip:a@host.example>",
        f"<sip:a@{own}:80>",
        f"<sip:a@{own}:65536>",
        f"<sip:a@{other}:{port}>",
        f"<sip:a@{other}:{port}>, <sip:a@{own}:{port}>",
        f"<sip:a@{own}:{port};transport=tcp>",
        f"<sip:a@{own}:{port};transport=udp>",
        f"sip:{own}",
        f"<SIP:a@{own}:{port}>;expires=77",
        f"<sip:a@{own}:{port}>;expires=x",
        f"<sip:a@{own}:{port}>;expires=99999999999",
        f'"A ""sip:"" B" <sip:{own}:{port}>',
        "*",
        "",
    )
    for _ in range(rng.randrange(1, 3)):
        more = rng.choice((("Expires: 60",), ("Expires: 60",), (), ("Expires: x",), ("Expires: 4294967296",)))
        request = yield from d.ask(d.client, "REGISTER", more=more, contact=rng.choice(contacts))
        yield from d.answer(d.server, request, "200 OK", more=(f"Contact: {rng.choice(contacts)}", "Expires: 50"))


def _call(d: Dialog) -> Script[None]:
    """INVITE, 100, 180, 200, ACK, media, BYE: some of it left out."""
    rng, site = d.site.rng, d.site
    caller = d.client if rng.random() < 0.8 else d.server
    other = 1 - caller
    mine, theirs = _even(site), _even(site)
    media = [("audio", mine + rng.choice((0, 0, 0, 1)))]
    if rng.random() < 0.3:
        media.append((rng.choice(("video", "image", "application")), _even(site)))
    if caller == d.server:
        request = yield from d.ask(d.client, "OPTIONS")
        yield from d.answer(d.server, request, "200 OK")
    offered = yield from d.ask(caller, "INVITE", body=d.offer(caller, media))
    if rng.random() < 0.5:
        yield from d.answer(other, offered, "100 Trying")
    body = d.offer(other, [("audio", theirs)])
    if rng.random() < 0.3:
        site.note("sip-early-media")
        yield from d.answer(other, offered, "183 Progress", body=body)
    contact = (f"Contact: <sip:b@{d.address(other)}:{d.port(other)}>",)
    answered = yield from d.answer(other, offered, "200 OK", more=contact, body=body)
    yield from d.ask(caller, "ACK", number=d.number)
    if caller == d.client and rng.random() < 0.8:
        yield from d.media(offered, mine, answered, theirs)
    if rng.random() < 0.3:
        site.note("sip-reinvite")
        again = yield from d.ask(caller, "INVITE", body=d.offer(caller, [("audio", _even(site))]))
        status = rng.choice(("200 OK", "488 Not here", "491 Pending"))
        yield from d.answer(
            other, again, status, body=d.offer(other, [("audio", _even(site))]) if status[0] == "2" else ""
        )
    if rng.random() < 0.6:
        who = rng.choice((caller, other))
        bye = yield from d.ask(who, "BYE")
        yield from d.answer(1 - who, bye, "200 OK")


def _refused(d: Dialog) -> Script[None]:
    """The call is busy, cancelled, moved, or the refusal belongs to another request."""
    rng, site = d.site.rng, d.site
    offered = yield from d.ask(d.client, "INVITE", body=d.offer(d.client, [("audio", _even(site))]))
    if rng.random() < 0.4:
        site.note("sip-cancel")
        cancel = yield from d.ask(d.client, "CANCEL", number=d.number)
        yield from d.answer(d.server, cancel, "200 OK")
    if rng.random() < 0.3 and offered is not None:
        offered = offered.replace(b"CSeq: ", b"CSeq: 9")
    yield from d.answer(d.server, offered, rng.choice(("486 Busy", "487 Terminated", "302 Moved", "603 Decline")))
    yield from d.ask(d.client, "ACK", number=d.number)


def _in_dialog(d: Dialog) -> Script[None]:
    """UPDATE, PRACK, ACK with descriptions, and their answers."""
    rng, site = d.site.rng, d.site
    for _ in range(rng.randrange(1, 4)):
        method = rng.choice(("UPDATE", "PRACK", "ACK", "OPTIONS", "INFO", "MESSAGE"))
        request = yield from d.ask(d.client, method, body=d.offer(d.client, [("audio", _even(site))]))
        if rng.random() < 0.7:
            yield from d.answer(d.server, request, "200 OK", body=d.offer(d.server, [("audio", _even(site))]))


def _odd_media(d: Dialog) -> Script[None]:
    """Descriptions with other hosts, low ports, port 0, many media, no address, no version, broken lines."""
    rng, site = d.site.rng, d.site
    own = as_text(site.real(d.client))
    port = _even(site)
    good = d.offer(d.client, [("audio", port)])
    bodies = (
        d.offer(d.client, [("audio", port)], address=as_text(site.real(d.client, 2))),
        d.offer(d.client, [("audio", port)], address=as_text(site.real(d.server))),
        d.offer(d.client, [("audio", 80)]),
        d.offer(d.client, [("audio", 0)]),
        d.offer(d.client, [("audio", 65536 + port)]),
        d.offer(d.client, [("audio", 0), ("video", port)]),
        d.offer(d.client, [("audio", port), ("audio", port + 2), ("video", port + 4), ("image", port + 6)]),
        d.offer(d.client, [("text", port), ("audio", port + 2)]),
        good.replace("c=IN", "x=IN"),
        good.replace("v=0\r\n", ""),
        good.replace("\r\n", "\n"),
        good.replace("c=IN IP4", "c=IN IP6"),
        good.replace(own, "host.example"),
        good.replace("m=audio ", "m=audio"),
        good.replace(" RTP/AVP 0", "/2 RTP/AVP 0"),
        good[: rng.randrange(1, len(good))],
    )
    for _ in range(rng.randrange(1, 3)):
        offered = yield from d.ask(d.client, "INVITE", body=rng.choice(bodies))
        yield from d.answer(d.server, offered, "200 OK", body=d.offer(d.server, [("audio", _even(site))]))


def _bad_messages(d: Dialog) -> Script[None]:
    """No sequence number, wrong codes, unknown methods, too short, lying lengths, folded lines; good ones between."""
    rng, site = d.site.rng, d.site
    body = d.offer(d.client, [("audio", _even(site))])
    own = d.address(d.client)
    texts = (
        compose("REGISTER sip:x SIP/2.0", ["CSeq: x", f"Contact: <sip:a@{own}>", "Expires: 9"]),
        compose("REGISTER sip:x SIP/2.0", [f"Contact: <sip:a@{own}>", "Expires: 9"]),
        compose("INVITE sip:b SIP/2.0", ["CSeq: 5 REGISTER"], body),
        compose("INVITE sip:b SIP/2.0", ["CSeq: 5INVITE"], body),
        compose("INVITE sip:b SIP/2.0", ["CSeq:5 INVITE"], body),
        compose("INVITE sip:b SIP/2.0", ["cseq : 5 INVITE"], body),
        compose("INVITE sip:b SIP/2.0", ["CSeq:\r\n 6 INVITE"], body),
        compose("INVITE sip:b SIP/2.0", ["CSeq: 7 INVITE"], body, length=5),
        compose("INVITE sip:b SIP/2.0", ["CSeq: 8 INVITE"], body, length=5000),
        compose("INVITE 1 SIP/2.0", ["CSeq: 8 INVITE"], body),
        compose("invite sip:b SIP/2.0", ["CSeq: 8 INVITE"], body),
        compose("INVITES sip:b SIP/2.0", ["CSeq: 8 INVITE"], body),
        compose("FOO sip:b SIP/2.0", ["CSeq: 8 FOO"], body),
        compose("SIP/2.0 abc x", ["CSeq: 1 INVITE"]),
        compose("SIP/2.0 0 x", ["CSeq: 1 INVITE"]),
        compose("SIP/2.0 200 OK", ["CSeq: INVITE"]),
        compose("SIP/2.0 200 OK", []),
        compose("sip/2.0 200 OK", ["CSeq: 1 INVITE"], body),
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"0123456789",
        b"01234567890",
        b"INVITE ",
        b"INVITE sip:b SIP/2.0\r\nCSeq: 5 INVITE",
    )
    for number, text in enumerate(rng.sample(texts, 3)):
        yield from d.say(d.server if number and rng.random() < 0.3 else d.client, text)
    request = yield from d.ask(d.client, "OPTIONS")
    yield from d.answer(d.server, request, "200 OK")


_TALKS: Final[Table[Dialog]] = {
    "sip-register": (10, _register),
    "sip-register-again": (4, _registered_again),
    "sip-odd-register": (6, _odd_register),
    "sip-call": (14, _call),
    "sip-refused": (5, _refused),
    "sip-in-dialog": (4, _in_dialog),
    "sip-odd-media": (6, _odd_media),
    "sip-bad-messages": (6, _bad_messages),
}


def _framing(site: Site) -> Script[None]:
    """Over TCP: several messages in a segment, one message in several, no length, a length past the segment."""
    rng = site.rng
    d = Dialog(site, over_tcp=True)
    yield from d.start()
    request = compose(
        "INVITE sip:b SIP/2.0",
        d.headers(d.client, "INVITE"),
        d.offer(d.client, [("audio", _even(site))]),
    )
    options = compose("OPTIONS sip:b SIP/2.0", ["CSeq: 7 OPTIONS"])
    at = rng.randrange(1, len(request))
    nowhere = request.replace(b"Content-Length", b"X-Length")
    for parts in rng.sample(
        (
            (request + options,),
            (options + request,),
            (request[:at], request[at:]),
            (request + options[:20], options[20:]),
            (nowhere,),
            (b"\r\n\r\n", request),
            (options + b"junk",),
            (request.replace(b"Content-Length", b"l"),),
        ),
        2,
    ):
        for part in parts:
            yield from d.say(d.client, part)
    again = d.flow
    if isinstance(again, Tcp):
        yield from again.emit(d.client, PSH | ACK, request)
        yield from again.emit(d.server, ACK)


SIP_TROUBLES: Final = frozenset(
    {*_TALKS, "sip-framing", "sip-over-tcp", "sip-unregister", "sip-early-media", "sip-reinvite", "sip-cancel"}
)


def sip(site: Site) -> Script[None]:
    """One flow of SIP."""
    rng = site.rng
    kind = rng.random()
    if kind < 0.08:
        site.note("sip-framing")
        yield from _framing(site)
        return
    over_tcp = kind < 0.3
    if over_tcp:
        site.note("sip-over-tcp")
    d = Dialog(site, over_tcp=over_tcp, source=5060 if rng.random() < 0.4 else None)
    yield from d.start()
    for _ in range(rng.choice((1, 1, 2))):
        name, script = pick(rng, _TALKS)
        site.note(name)
        yield from script(d)
    if isinstance(d.flow, Tcp) and rng.random() < 0.5:
        yield from d.flow.close(d.client)
