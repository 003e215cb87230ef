"""The SIP helper expects calls for who registered, and streams of sessions; it drops what the kernel drops."""

from __future__ import annotations

import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP
from scapy.utils import rdpcap

import pcap_transcript
from conntap.helpers.base import ORIGINAL, REPLY, TCP, UDP, Drop, Expect, Policy, Refused, Tuple
from conntap.helpers.sip import Sip
from conntap.helpers.testing import FakeConnection, FakeExpectation
from unit.helpers.sip_gateway import Gateway, Outcome
from unit.helpers.sip_messages import (
    ARBITRARY,
    OUTSIDE,
    PHONE,
    SERVER,
    answer,
    call,
    flow,
    message,
    register,
    request,
    session,
)

SAMPLES = Path(__file__).parents[2] / "data/pcap"
AUDIO = "audio 8000 RTP/AVP 0"


class Dialogue:
    """A phone and a server, and the gateway between them, which translates nothing."""

    def __init__(self, **options: int) -> None:
        self.gateway = Gateway(options)
        self.connection = self.gateway.connect(flow())

    def phone(self, payload: bytes) -> Outcome:
        return self.gateway.send(self.connection, ORIGINAL, payload)

    def server(self, payload: bytes) -> Outcome:
        return self.gateway.send(self.connection, REPLY, payload)

    @property
    def ports(self) -> list[int]:
        """Of the expectations in the table."""
        return [entry.wanted.dport for entry in self.gateway.table]


@pytest.fixture
def dialogue() -> Dialogue:
    return Dialogue()


# --- against the kernel


@pytest.mark.parametrize("name", ["sip_register", "sip_invite", "sip_corner", "sip_tcp", "helper_drop_first"])
def test_the_samples_are_read_as_the_kernel_reads_them(name):
    sections = pcap_transcript.read((SAMPLES / f"{name}.events.txt").read_text()).packets
    gateway = Gateway()
    messages = 0
    for packet, section in zip(rdpcap(str(SAMPLES / f"{name}.pcap")), sections, strict=True):
        outcome = gateway.arrive(*_taken_apart(packet[IP]))
        wanted = [line.split() for line in section.lines if line.startswith("EXP")]
        assert [_words(event) for event in outcome.events] == [_words_of(words) for words in wanted]
        assert (outcome.payload is not None) == bool(section.forwarded)
        messages += len(wanted)
    assert messages or name == "helper_drop_first"


def _taken_apart(packet: IP) -> tuple[Tuple, bytes]:
    layer = packet.payload
    return flow(packet.src, layer.sport, packet.dst, layer.dport, packet.proto), bytes(packet[layer.__class__].payload)


def _words(event: dict[str, object]) -> list[str]:
    shown = {0: "0x0()", 1: "0x1(PERMANENT)", 3: "0x3(PERMANENT|INACTIVE)"}[event["flags"]]
    timeout = event.get("timeout", 180)
    what = "DESTROY" if event["what"] == "destroy" else "NEW"
    return [what, event["src"], event["dst"], str(event["dport"]), f"{timeout}", shown, f"class={event['class']}"]


def _words_of(words: list[str]) -> list[str]:
    values = dict(word.split("=", 1) for word in reversed(words) if "=" in word)  # the tuple comes first
    timeout = int(values["timeout"])
    # A second or two have passed since.
    timeout = min((1800, 180, 50), key=lambda full: (full - timeout) % 10_000)
    end = [values["tuple[src"], values["dst"], values["dport"].rstrip("]")]
    return [words[1], *end, f"{timeout}", values["flags"], f"class={values['class']}"]


# --- registrations


def test_a_registration_opens_the_phones_port_to_the_registrar():
    connection = FakeConnection(PHONE, 40000, SERVER, 5060, l4proto=UDP)
    Sip().packet(connection.packet(register(f"<sip:a@{PHONE}:5061>"), state="new"))
    assert connection.table[0].wanted == Expect(
        src=ip_address(SERVER),
        dst=ip_address(PHONE),
        dport=5061,
        l4proto=UDP,
        permanent=True,
        inactive=True,
        helper="sip",
    )
    assert connection.log == [("refresh", 3600)]


def test_a_registration_over_tcp_is_for_tcp():
    connection = FakeConnection(PHONE, 40000, SERVER, 5060)
    Sip().packet(connection.packet(register()))
    assert connection.table[0].wanted.l4proto == TCP


def test_without_direct_signalling_anyone_may_call():
    dialogue = Dialogue(sip_direct_signalling=0)
    dialogue.phone(register())
    assert dialogue.gateway.table[0].wanted.src is None


@pytest.mark.parametrize(
    "registration",
    [
        pytest.param(register(expires=0), id="ends at once"),
        pytest.param(register(expires="x"), id="no time"),
        pytest.param(register(expires="4294967296"), id="a time of more than 32 bits"),
        pytest.param(request("REGISTER", f"Contact: <sip:a@{PHONE}>"), id="no time at all"),
        pytest.param(register(f"<sip:a@{PHONE}>;expires=0"), id="the Contact ends at once"),
        pytest.param(register("<sip:a@10.0.1.3>"), id="for another host"),
        pytest.param(register("<sip:a@host>"), id="for a name"),
        pytest.param(register(f"<sip:a@{PHONE}:1023>"), id="a low port"),
        pytest.param(register(f"<sip:a@{PHONE};transport=tcp>"), id="for another transport"),
        pytest.param(register(f"<sip:a@{PHONE};transport=sctp>"), id="for an unknown transport"),
        pytest.param(register("*"), id="for all"),
    ],
)
def test_a_registration_that_is_let_pass_without_effect(dialogue, registration):
    outcome = dialogue.phone(registration)
    assert (outcome.payload, outcome.events) == (registration, [])


@pytest.mark.parametrize(
    "contact", [f"<sip:a@{PHONE};transport=udp>", f"<sip:a@{PHONE}>;expires=007", f"<sip:{PHONE}>"]
)
def test_a_contact_may_say_more(dialogue, contact):
    assert dialogue.phone(register(contact)).made == [5060]


def test_the_first_header_that_begins_with_an_address_counts(dialogue):
    assert dialogue.phone(register(f"<sip:b@host>, <sip:a@{PHONE}:5061>", f"m: <sip:a@{PHONE}:5062>")).made == [5062]


@pytest.mark.parametrize("expires", ["x", "", "4294967296", "000000000060"])
def test_a_contacts_time_that_is_no_number_drops_the_registration(dialogue, expires):
    assert dialogue.phone(register(f"<sip:a@{PHONE}>;expires={expires}")).payload is None


def test_an_expected_connection_does_not_register(dialogue):
    dialogue.connection.expected = True
    assert not dialogue.phone(register()).events


def test_a_registration_is_active_for_as_long_as_the_registrar_says(dialogue):
    dialogue.phone(register())
    (entry,) = dialogue.gateway.table
    assert (entry.inactive, entry.left) == (True, 180)
    assert not dialogue.server(answer(100, "REGISTER")).events
    assert not dialogue.server(answer(199, "REGISTER")).events
    assert entry.inactive
    assert not dialogue.server(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>;expires=30", "Expires: 60")).events
    assert (entry.inactive, entry.left) == (False, 30)
    dialogue.server(answer(299, "REGISTER", f"Contact: <sip:a@{PHONE}>", "Expires: 60"))
    assert entry.left == 60


def test_one_of_several_contacts_confirms(dialogue):
    dialogue.phone(register())
    values = f"<sip:a@10.0.1.3>;expires=1, <sip:a@{PHONE}:5061>;expires=2, <sip:a@{PHONE};transport=tcp>;expires=3"
    dialogue.server(answer(200, "REGISTER", f"Contact: {values}", f"m: <sip:a@{PHONE}>;expires=4"))
    assert dialogue.gateway.table[0].left == 4


def test_a_time_beyond_the_kernels_clock_wraps_around(dialogue):
    dialogue.phone(register())
    dialogue.server(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>;expires=17179970"))
    assert dialogue.gateway.table[0].left == 100  # 2 to the power of 32 ticks of 4 ms are 17179869.184 s


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(answer(403, "REGISTER"), id="refused"),
        pytest.param(answer(99, "REGISTER"), id="no final code"),
        pytest.param(answer(200, "REGISTER"), id="no Contact"),
        pytest.param(answer(200, "REGISTER", "Contact: <sip:a@10.0.1.3>;expires=60"), id="another Contact"),
        pytest.param(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}:5061>;expires=60"), id="another port"),
        pytest.param(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>;expires=0"), id="for no time"),
        pytest.param(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>"), id="for an unknown time"),
    ],
)
def test_a_registration_ends_where_the_registrar_does_not_confirm_it(dialogue, refusal):
    dialogue.phone(register())
    assert dialogue.server(refusal).removed == [5060]


def test_a_confirmation_with_a_malformed_time_is_dropped(dialogue):
    dialogue.phone(register())
    assert dialogue.server(answer(200, "REGISTER", f"Contact: <sip:a@{PHONE}>;expires=x")).payload is None
    assert dialogue.ports == [5060]


def test_the_answer_to_an_older_registration_is_passed_over(dialogue):
    dialogue.phone(register(cseq=1))
    assert [event["what"] for event in dialogue.phone(register(cseq=2)).events] == ["destroy", "new"]
    assert not dialogue.server(answer(403, "REGISTER", cseq=1)).events
    assert dialogue.server(answer(403, "REGISTER", cseq=2)).removed == [5060]


def test_an_end_of_registration_is_remembered_one_for_others_is_not(dialogue):
    dialogue.phone(register(cseq=1))
    dialogue.phone(register("<sip:a@10.0.1.3>", cseq=2))
    assert not dialogue.server(answer(200, "REGISTER", cseq=2)).events
    dialogue.phone(register(cseq=3, expires=0))
    assert dialogue.server(answer(200, "REGISTER", cseq=3)).removed == [5060]


def test_only_the_signalling_ends_with_the_registration(dialogue):
    dialogue.phone(register())
    dialogue.phone(call(AUDIO))
    assert dialogue.server(answer(403, "REGISTER")).removed == [5060]
    assert dialogue.ports == [8000, 8001]


def test_a_second_registration_for_the_same_is_dropped_on_another_connection(dialogue):
    dialogue.phone(register())
    other = dialogue.gateway.connect(flow(sport=6000))
    assert dialogue.gateway.send(other, ORIGINAL, register()).payload is None


# --- sessions


def test_a_media_line_is_two_streams_at_an_even_port_and_the_next():
    connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=UDP)
    Sip().packet(connection.packet(call("audio 8001 RTP/AVP 0"), state="new"))
    rtp = Expect(
        src=ip_address(SERVER), dst=ip_address(PHONE), dport=8000, l4proto=UDP, expect_class=1, any_master=True
    )
    assert [entry.wanted for entry in connection.table] == [rtp, Expect(**{**_fields(rtp), "dport": 8001})]


def _fields(wanted: Expect) -> dict[str, object]:
    return {name: getattr(wanted, name) for name in Expect.__slots__}


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "ACK", "PRACK", "invite"])
def test_requests_that_bring_a_session(dialogue, method):
    assert dialogue.phone(call(AUDIO, method=method)).made == [8000, 8001]


@pytest.mark.parametrize("method", ["BYE", "REGISTER", "OPTIONS", "MESSAGE", "INVITE2", "INFO"])
def test_requests_that_bring_none(dialogue, method):
    assert not dialogue.phone(call(AUDIO, method=method)).events


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
@pytest.mark.parametrize("code", [100, 183, 200, 299])
def test_answers_that_bring_a_session(dialogue, method, code):
    dialogue.phone(request(method))
    made = dialogue.server(answer(code, method, body=session(SERVER, "audio 9000"))).events
    assert [(event["src"], event["dst"], event["dport"]) for event in made] == [
        (PHONE, SERVER, 9000),
        (PHONE, SERVER, 9001),
    ]


@pytest.mark.parametrize(("code", "method"), [(99, "INVITE"), (300, "INVITE"), (200, "ACK"), (200, "BYE")])
def test_answers_that_bring_none(dialogue, code, method):
    dialogue.phone(request("OPTIONS"))
    assert not dialogue.server(answer(code, method, cseq=7, body=session(SERVER, "audio 9000"))).events


def test_classes_are_audio_video_and_image(dialogue):
    events = dialogue.phone(call("audio 8000", "image 8002", "video 8004")).events
    assert [event["class"] for event in events] == [1, 1, 3, 3, 2, 2]


@pytest.mark.parametrize(
    ("media", "made"),
    [
        pytest.param(
            [f"audio {port}" for port in (1024, 2000, 3000, 4000)], [1024, 1025, 2000, 2001, 3000, 3001], id="3"
        ),
        pytest.param(["audio 0", "text 1", "audio 8000"], [8000, 8001], id="inactive and unknown ones do not count"),
        pytest.param(["Audio 8000"], [], id="words are in lower case"),
        pytest.param(["audio  8000"], [], id="one blank"),
        pytest.param(["audio 08000"], [8000, 8001], id="a zero leads"),
        pytest.param(["audio 000000008000"], [], id="twelve digits are no number"),
        pytest.param(["audio 65535"], [65534, 65535], id="the last pair"),
        pytest.param(["audio 8000\r\nm=audio 8000"], [8000, 8001, 8000, 8001], id="the same again"),
    ],
)
def test_media_lines_that_count(dialogue, media, made):
    assert dialogue.phone(call(*media)).made == made


@pytest.mark.parametrize("port", ["1", "1023", "65536", "99999"])
def test_a_port_out_of_range_drops_the_session(dialogue, port):
    assert dialogue.phone(call(AUDIO, f"audio {port}")).payload is None


def test_a_stream_without_an_address_drops_the_session(dialogue):
    body = session(PHONE, AUDIO, shared=False)
    assert dialogue.phone(request("INVITE", body=body)).payload is None


def test_streams_may_have_addresses_of_their_own(dialogue):
    body = session(PHONE, f"{AUDIO}\r\nc=IN IP4 {PHONE}", "video 8002", shared=False)
    assert dialogue.phone(request("INVITE", body=body)).payload is None  # the video has none
    dialogue.phone(request("BYE"))
    body = session(PHONE, f"{AUDIO}\r\nc=IN IP4 10.0.1.77", "video 8002")
    assert dialogue.phone(request("INVITE", body=body)).made == [8002, 8003]


def test_streams_of_other_hosts_are_not_expected(dialogue):
    assert not dialogue.phone(call(AUDIO, address="10.0.1.77")).events
    assert not dialogue.phone(call(AUDIO, address=SERVER)).events


def test_without_direct_media_streams_come_from_anyone_to_anywhere():
    dialogue = Dialogue(sip_direct_media=0)
    dialogue.phone(call(AUDIO, address="10.0.1.77"))
    entry = dialogue.gateway.table[0].wanted
    assert (entry.src, str(entry.dst), entry.dport) == (None, "10.0.1.77", 8000)


def test_external_media_is_not_expected_where_it_leaves_as_the_signalling_does():
    dialogue = Dialogue(sip_direct_media=0, sip_external_media=1)
    dialogue.connection.outside = {ip_address("10.0.2.9")}
    assert not dialogue.phone(call(AUDIO, address="10.0.2.9")).events
    assert dialogue.phone(call(AUDIO, address="10.0.1.77")).made == [8000, 8001]


def test_external_media_matters_only_without_direct_media():
    dialogue = Dialogue(sip_external_media=1)
    dialogue.connection.outside = {ip_address(PHONE)}
    assert dialogue.phone(call(AUDIO)).made == [8000, 8001]


def test_a_description_without_a_version_is_none(dialogue):
    body = session(PHONE, AUDIO).replace("v=0\r\n", "v=x\r\n")
    assert not dialogue.phone(request("INVITE", body=body)).events


def test_an_ipv6_session_names_ipv6_addresses():
    gateway = Gateway()
    phone = gateway.connect(flow("2001:db8:1::2", 5060, "2001:db8:2::2"))
    assert gateway.send(phone, ORIGINAL, call(AUDIO, address="2001:db8:1::2")).made == [8000, 8001]
    assert not gateway.send(phone, ORIGINAL, call(AUDIO, address=PHONE)).made


# --- the end of a call


def test_a_hangup_takes_media_back_newest_first(dialogue):
    dialogue.phone(register())
    dialogue.phone(call(AUDIO))
    dialogue.server(answer(200, "INVITE", body=session(SERVER, "audio 9000")))
    assert dialogue.phone(request("BYE")).removed == [9001, 9000, 8001, 8000]
    assert dialogue.ports == [5060]


def test_a_new_call_takes_media_back_before_it_announces(dialogue):
    dialogue.phone(call(AUDIO))
    outcome = dialogue.phone(call("audio 8002", cseq=2))
    assert (outcome.removed, outcome.made) == ([8001, 8000], [8002, 8003])
    assert dialogue.phone(request("INVITE", cseq="x")).payload is None
    assert dialogue.ports == [8002, 8003]  # a number comes first


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "PRACK"])
def test_a_refusal_of_the_last_call_takes_media_back(dialogue, method):
    dialogue.phone(call(AUDIO, cseq=5))
    assert not dialogue.server(answer(486, method, cseq=4)).events
    assert dialogue.server(answer(486, method, cseq=5)).removed == [8001, 8000]


def test_a_call_that_was_dropped_is_not_remembered(dialogue):
    dialogue.phone(call(AUDIO, cseq=5))
    assert dialogue.phone(call("audio 80", cseq=6)).payload is None
    dialogue.phone(call(AUDIO, method="ACK"))
    assert not dialogue.server(answer(486, "INVITE", cseq=6)).events
    assert dialogue.server(answer(486, "INVITE", cseq=5)).removed == [8001, 8000]


def test_before_any_call_the_number_is_0(dialogue):
    dialogue.phone(call(AUDIO, method="ACK"))
    assert dialogue.server(answer(486, "INVITE", cseq=0)).removed == [8001, 8000]


# --- expectations that are there already


def test_the_same_stream_of_another_connection_is_not_expected_twice(dialogue):
    dialogue.phone(call(AUDIO))
    other = dialogue.gateway.connect(flow(sport=6000))
    outcome = dialogue.gateway.send(other, ORIGINAL, call(AUDIO))
    assert outcome.payload is not None
    assert not outcome.events


@pytest.mark.parametrize("refusals", [["already"], [None, "already"], ["already", "already"]])
def test_a_stream_that_is_expected_already_is_fine(refusals):
    connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=UDP)
    connection.refuse = [*refusals]
    Sip().packet(connection.packet(call(AUDIO)))
    assert len(connection.table) == 2 - refusals.count("already")


@pytest.mark.parametrize(
    ("refusals", "why"), [(["busy"], "busy"), ([None, "full"], "full"), (["already", "busy"], "busy")]
)
def test_a_stream_that_is_refused_drops_the_session_and_leaves_nothing(refusals, why):
    connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=UDP)
    connection.refuse = [*refusals]
    with pytest.raises(Refused) as refused:
        Sip().packet(connection.packet(call(AUDIO)))
    assert refused.value.why == why
    assert not connection.table


@pytest.mark.parametrize("changed", [{"mine": True}, {"same_helper": False}, {}])
def test_only_another_connection_of_this_helper_makes_a_stream_known(changed):
    connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=UDP)
    known = Expect(src=ip_address(SERVER), dst=ip_address(PHONE), dport=8000, l4proto=UDP, expect_class=1)
    connection.table.append(FakeExpectation(connection.table, known, **{"mine": False, **changed}))
    Sip().packet(connection.packet(call(AUDIO, method="ACK")))
    assert len(connection.table) == (3 if changed else 1)


def test_another_class_does_not_make_a_stream_known():
    connection = FakeConnection(PHONE, 5060, SERVER, 5060, l4proto=UDP)
    known = Expect(src=ip_address(SERVER), dst=ip_address(PHONE), dport=8000, l4proto=UDP, expect_class=2)
    connection.table.append(FakeExpectation(connection.table, known, mine=False))
    connection.refuse = ["already"]
    Sip().packet(connection.packet(call(AUDIO)))
    assert [entry.wanted.dport for entry in connection.table] == [8000, 8001]


# --- what is read, and what is dropped


def test_what_is_no_sip_is_let_pass(dialogue):
    for payload in (b"\r\n\r\n", b"x", b"\0" * 50, b"GET / HTTP/1.1\r\n\r\n"):
        outcome = dialogue.phone(payload)
        assert (outcome.payload, outcome.events, outcome.log) == (payload, [], [("refresh", 3600)])


def test_nothing_at_all_does_not_keep_the_connection(dialogue):
    assert dialogue.phone(b"").log == []


def test_the_time_that_a_connection_lives_is_a_parameter():
    assert Dialogue(sip_timeout=60).phone(b"x").log == [("refresh", 60)]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(message("INVITE sip:x SIP/2.0"), id="no CSeq"),
        pytest.param(request("BYE", cseq="x"), id="no number"),
        pytest.param(request("ACK", cseq="4294967296"), id="more than 32 bits"),
        pytest.param(answer("x", "OPTIONS"), id="no code"),
        pytest.param(answer("000", "OPTIONS"), id="a code of 0"),
        pytest.param(answer("000000000200", "OPTIONS"), id="a code of twelve digits"),
        pytest.param(message("SIP/2.0 200 OK"), id="an answer without a CSeq"),
        pytest.param(answer(200, "OPTIONS", cseq="x"), id="an answer to no number"),
    ],
)
def test_messages_that_are_dropped(dialogue, payload):
    dialogue.phone(request("OPTIONS"))
    assert dialogue.phone(payload).payload is None


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(message("OPTIONS sip:x SIP/2.0"), id="another method"),
        pytest.param(message("INVITE  sip:x SIP/2.0"), id="two blanks"),
        pytest.param(message("SIP/2.0x 200 OK"), id="another version"),
        pytest.param(b"SIP/2.0 2", id="too short"),
    ],
)
def test_messages_that_need_no_number(dialogue, payload):
    assert dialogue.phone(payload).payload == payload


# --- TCP


class Stream:
    """A connection over TCP."""

    def __init__(self) -> None:
        self.connection = FakeConnection(PHONE, 40000, SERVER, 5060)
        self.helper = Sip()

    def send(self, payload: bytes, **more: object) -> list[int]:
        """Ports of the expectations made."""
        before = len(self.connection.table)
        self.helper.packet(self.connection.packet(payload, **more))
        return [entry.wanted.dport for entry in self.connection.table[before:]]


def test_every_whole_message_of_a_segment_is_read():
    assert Stream().send(request("OPTIONS") + call(AUDIO) + call("audio 8002", method="ACK")) == [
        8000,
        8001,
        8002,
        8003,
    ]


def test_a_message_ends_after_its_content():
    text = call(AUDIO).replace(b"Content-Length: ", b"l: ")
    assert Stream().send(text + b"m=audio 8002 RTP\r\n") == [8000, 8001]
    assert Stream().send(text.replace(b"\r\n\r\n", b"\r\n\r\n\r\n")) == [8000, 8001]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(call(AUDIO)[:-1], id="the content is cut off"),
        pytest.param(call(AUDIO).replace(b"Content-Length", b"Content"), id="no length"),
        pytest.param(call(AUDIO).replace(b"Length: ", b"Length: x"), id="a length that is no number"),
        pytest.param(call(AUDIO).replace(b"Length: ", b"Length: 99999"), id="more than the segment has"),
        pytest.param(request("INVITE").replace(b"\r\n\r\n", b"\n\n") + b"v=0", id="headers do not end"),
        pytest.param(b"INVITE a\r\n", id="too short"),
    ],
)
def test_a_message_that_is_not_whole_is_let_pass(payload):
    assert Stream().send(payload) == []


def test_what_is_whole_before_a_message_that_is_not_is_read():
    assert Stream().send(call(AUDIO) + call("audio 8002", method="ACK")[:-1]) == [8000, 8001]


def test_nothing_is_read_before_the_handshake_is_over():
    stream = Stream()
    assert stream.send(call(AUDIO), state="new") == []
    assert stream.connection.log == []


def test_a_malformed_message_drops_the_segment():
    with pytest.raises(Drop, match="CSeq"):
        Stream().send(request("OPTIONS") + request("INVITE", cseq="x"))


# --- the helper itself


def test_a_connection_has_one_registration_and_two_streams_of_each_kind_in_each_direction():
    assert Sip.policies == (
        Policy("signalling", 1, 180),
        Policy("audio", 4, 180),
        Policy("video", 4, 180),
        Policy("image", 2, 180),
    )
    assert (Sip.name, Sip.port, set(Sip.l4protos), Sip.families) == ("sip", 5060, {TCP, UDP}, (4, 6))
    parameters = {"sip_timeout": 3600, "sip_direct_signalling": 1, "sip_direct_media": 1, "sip_external_media": 0}
    assert Sip.parameters == parameters


STEPS = st.lists(st.tuples(st.sampled_from([ORIGINAL, REPLY]), ARBITRARY), max_size=5)


@given(STEPS, st.sampled_from([TCP, UDP]), st.booleans(), st.booleans())
def test_nothing_worse_than_a_drop_comes_of_any_text(steps, l4proto, is_ipv6, direct):
    ends = ("2001:db8:1::2", 5060, "2001:db8:2::2") if is_ipv6 else (PHONE, 5060, SERVER)
    gateway = Gateway({} if direct else {"sip_direct_media": 0, "sip_direct_signalling": 0})
    connection = gateway.connect(flow(*ends, l4proto=l4proto))
    for direction, payload in steps:
        outcome = gateway.send(connection, direction, payload)
        assert outcome.payload in (payload, None)
        assert len(gateway.table) <= 11
        assert all(1024 <= port <= 65535 for port in outcome.made)


N = 60_000
HOSTILE = {
    "line feeds": b"OPTIONS sip:x SIP/2.0" + b"\n" * N,
    "Contacts without addresses": answer(200, "REGISTER", "Contact: " + "sip:," * (N // 5), cseq=0),
    "Contacts that all name the last user": b"SIP/2.0 200 OK\r\nCSeq: 0 REGISTER\r\nm: "
    + b"sip:," * (N // 10)
    + b"@"
    + b"0" * (N // 2),
    "Contacts": answer(200, "REGISTER", "Contact: " + "sip:1.1.1.1," * (N // 12), cseq=0),
    "Contacts to be rewritten": request("OPTIONS", "Contact: " + f"sip:a@{PHONE}," * (N // 40)),
    "Contact headers": answer(200, "REGISTER", *["m:a"] * (N // 5), cseq=0),
    "continuations": b"OPTIONS sip:x SIP/2.0\r\nContact: " + b"\n a" * (N // 3),
    "Vias": request("OPTIONS", *["v: x"] * (N // 6)),
    "media": request("INVITE", body="v=0\r\n" + "m=audio 0\n" * (N // 10)),
    "zeros": request("OPTIONS", "Contact: <sip:" + ("0" * (N // 4) + ".") * 4),
    "messages": b"\nl:0\r\n\r\n" * (N // 8),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("l4proto", [UDP, TCP])
def test_the_cost_of_a_packet_grows_no_faster_than_its_length(payload, l4proto):
    def cost(of: bytes) -> float:
        gateway = Gateway()
        outside = flow(SERVER, 5060, OUTSIDE, l4proto=l4proto)
        connection = gateway.connect(flow(l4proto=l4proto), outside)
        connection.answered = True
        began = time.process_time()
        gateway.send(connection, ORIGINAL, of)
        return time.process_time() - began

    # Quadratic cost would be 64 times as much, and seconds; a fifth of a second hides what the clock and others add.
    assert cost(payload) < 20 * cost(payload[: N // 8]) + 0.2
