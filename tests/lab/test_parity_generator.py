"""Generated conversations are reproducible, well-formed where meant, apart from each other, and full of troubles."""

from __future__ import annotations

import collections
import itertools
import random
import struct
from collections.abc import Callable, Generator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import ICMP, IP, SCTP, TCP, UDP, IPv6, raw  # type: ignore[attr-defined]
from scapy.layers.inet6 import ICMPv6EchoRequest

from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.generate import (
    CAPACITY,
    LEFT,
    TROUBLES,
    Conversation,
    Sent,
    Weave,
    build,
    conversation,
    kinds,
    ruleset,
    run_to_end,
)
from conntap.lab.parity.generate.helpers_sip import compose
from conntap.lab.parity.generate.helpers_sip import port_of as sip_port
from conntap.lab.parity.generate.sites import HELPER_PORTS, SERVER, SHIFTED, SHIFTING, SNAT, VIRTUAL, Site
from conntap.lab.parity.generate.tcp import Tcp
from conntap.lab.parity.inject import KernelSubject
from conntap.lab.parity.rules import USUAL_HELPERS

A4, B4 = bytes((10, 0, 0, 1)), bytes((172, 0, 0, 1))
A6, B6 = bytes.fromhex("20010db8000100000000000000000001"), bytes.fromhex("20010db8000200000000000000000001")
PAIRS = [(A4, B4), (A6, B6)]
SIZES = (0, 1, 2, 99, 1460)
SEED = 20
MANY = 2000


def parsed(packet: bytes) -> IP | IPv6:
    return IP(packet) if packet[0] >> 4 == 4 else IPv6(packet)


def with_sums_by_scapy(packet: bytes) -> bytes:
    """The packet with every checksum computed anew, by another hand."""
    layers = parsed(packet)
    for layer in (IP, TCP, UDP, ICMP, SCTP):
        if layer in layers:
            layers[layer].chksum = None
    if ICMPv6EchoRequest in layers:
        layers[ICMPv6EchoRequest].cksum = None
    return raw(layers)


# ---- builders


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_tcp_udp_and_echo_have_the_sums_that_scapy_computes(source, target, size):
    data = random.Random(size).randbytes(size)
    echo = 8 if len(source) == 4 else 128
    for protocol, body in (
        (build.TCP, build.tcp(source, target, (5, 80), (2**32 + 3, 9), build.ACK, 500, data, options=b"\1\1\1\1")),
        (build.UDP, build.udp(source, target, (5, 80), data)),
        (build.ICMP if echo == 8 else build.ICMP6, build.icmp(source, target, echo, 0, b"\0\1\0\2", data)),
    ):
        packet = build.ip(source, target, protocol, body, ident=7)
        assert packet == with_sums_by_scapy(packet)


@pytest.mark.parametrize("size", SIZES)
def test_sctp_has_the_sum_that_scapy_computes(size):
    body = build.sctp((5, 80), 77, build.chunk(3, 0, bytes(size)))
    packet = build.ip(A4, B4, build.SCTP, body)
    assert packet == with_sums_by_scapy(packet)


def test_a_spoiled_sum_is_wrong_and_nothing_else_is():
    good = build.tcp(A4, B4, (5, 80), (1, 2), build.SYN, 500)
    bad = build.tcp(A4, B4, (5, 80), (1, 2), build.SYN, 500, spoil=1)
    assert [at for at in range(len(good)) if good[at] != bad[at]] == [17]


def test_a_sum_of_nothing_but_zeros_is_all_ones():
    assert build.internet_checksum(bytes(8)) == 0xFFFF
    assert build.internet_checksum(b"\xff\xff") == 0


def test_udplite_covers_what_it_says():
    whole = build.udplite(A4, B4, (1, 2), b"covered, not covered", coverage=16)
    changed = build.udplite(A4, B4, (1, 2), b"covered, NOT COVERED", coverage=16)
    assert whole[:8] == changed[:8]
    assert build.udplite(A4, B4, (1, 2), b"Covered, not covered", coverage=16)[:8] != whole[:8]


def test_gre_carries_key_and_number_in_their_order():
    assert build.gre(0x0800, b"x", key=5, number=6) == struct.pack("!HHII", 0x3000, 0x0800, 5, 6) + b"x"
    assert build.pptp_gre(0x1234, b"ab", number=9) == struct.pack("!HHHHI", 0x3001, 0x880B, 2, 0x1234, 9) + b"ab"


# ---- conversations


def everything(conversations: Sequence[Conversation]) -> list[list[Sent]]:
    return [run_to_end(each, static_gateway(each)) for each in conversations]


@pytest.fixture(scope="module")
def spoken() -> list[tuple[Conversation, list[Sent]]]:
    """The first conversations of one seed, with what they said."""
    found = [conversation(SEED, number) for number in range(MANY)]
    return [(each, each.packets()) for each in found]


@pytest.mark.parametrize("nat", [False, True])
def test_the_same_seed_and_number_say_the_same(nat):
    first, second = (everything([conversation(3, number, nat=nat) for number in range(60)]) for _ in range(2))
    assert first == second
    assert first != everything([conversation(4, number, nat=nat) for number in range(60)])


def test_a_conversation_does_not_depend_on_the_others():
    together = [conversation(3, number) for number in range(40)]
    packets = {each.index: each.packets() for each in reversed(together)}
    assert all(packets[number] == conversation(3, number).packets() for number in range(0, 40, 7))


def test_naming_the_kind_that_would_be_drawn_changes_nothing():
    for number in range(30):
        drawn = conversation(5, number)
        assert conversation(5, number, drawn.kind).packets() == drawn.packets()


@given(seed=st.integers(0, 2**32), index=st.integers(0, 2**30), kind=st.sampled_from(sorted(kinds())))
@settings(max_examples=300, deadline=None)
def test_every_ip_header_is_well_formed(seed, index, kind):
    talk = conversation(seed, index, kind)
    packets = talk.packets()
    assert packets
    if talk.marked:
        return
    for delay, side, packet in packets:
        assert side in (0, 1)
        assert 0 < delay < 10_000_000
        if packet[0] >> 4 == 4:
            header, total = packet[: (packet[0] & 15) * 4], int.from_bytes(packet[2:4])
            assert len(header) >= 20
            assert build.internet_checksum(header) == 0
            assert len(header) <= total <= len(packet), "only padding may follow"
            assert packet[8] >= 64
            assert all(3 < packet[at] < 224 and packet[at] != 127 for at in (12, 16))
            assert all(packet[at] not in (0, 255) for at in (15, 19))
        else:
            assert packet[0] >> 4 == 6
            assert 40 + int.from_bytes(packet[4:6]) <= len(packet)
            assert packet[7] >= 64
            assert all(packet[at : at + 4] == b"\x20\x01\x0d\xb8" for at in (8, 24))
        assert len(packet) < 65536


def test_scapy_reads_every_packet(spoken):
    for _, packets in itertools.islice(spoken, 400):
        for sent in packets:
            parsed(sent.ip).summary()


def test_good_tcp_segments_have_good_sums(spoken):
    """Conversations without lies: whatever scapy computes anew is what was sent."""
    for talk, packets in spoken:
        if talk.kind != "tcp" or set(talk.notes) - {
            "handshake",
            "data",
            "loss",
            "reordering",
            "orderly-close",
            "silence",
        }:
            continue
        for sent in packets:
            assert sent.ip == with_sums_by_scapy(sent.ip)


def test_conversations_share_no_address(spoken):
    owners: dict[bytes, int] = {}
    for talk, packets in spoken:
        for sent in packets:
            packet = sent.ip
            pair = (packet[12:16], packet[16:20]) if packet[0] >> 4 == 4 else (packet[8:24], packet[24:40])
            for address in pair:
                if not talk.marked:
                    assert owners.setdefault(address, talk.index) == talk.index


def test_as_many_conversations_as_promised_have_their_own_addresses():
    rng = random.Random(0)
    for version, side in itertools.product((4, 6), (0, 1)):
        numbers = (0, 1, 255, 256, 4095, 65_535, CAPACITY - 1, CAPACITY)
        first, *others, again = (Site(rng, number, version).real(side) for number in numbers)
        assert len({first, *others}) == len(numbers) - 1
        assert again == first, "the round begins anew"


@pytest.mark.parametrize("kind", sorted(TROUBLES))
def test_every_listed_trouble_occurs(kind, spoken):
    notes = {note for talk, _ in spoken if talk.kind == kind for note in talk.notes}
    assert notes <= TROUBLES[kind], "an unlisted one"
    missing = TROUBLES[kind] - notes
    number = MANY
    while missing and number < 4 * MANY:  # rare ones of rare kinds
        missing -= set(_notes(conversation(SEED, number, kind)))
        number += 1
    assert not missing


def _notes(talk: Conversation) -> list[str]:
    talk.packets()
    return talk.notes


def test_each_kind_comes_about_as_often_as_its_weight_says(spoken):
    seen = collections.Counter(talk.kind for talk, _ in spoken)
    weights = kinds()
    total = sum(weights.values())
    assert set(seen) == set(weights)
    for kind, weight in weights.items():
        assert seen[kind] == pytest.approx(MANY * weight / total, rel=0.7)


def test_both_sides_open_connections_and_both_versions_are_spoken(spoken):
    first = collections.Counter((packets[0].side, talk.version) for talk, packets in spoken)
    assert all(first[side, version] > MANY / 20 for side in (0, 1) for version in (4, 6))


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no kind of conversation: gopher"):
        conversation(1, 1, "gopher")
    with pytest.raises(ValueError, match="nat-headers"):
        conversation(1, 1, "nat-headers")


# ---- peers


def speak(script: Generator[Sent, Sequence[bytes] | None, object]) -> list[bytes]:
    """Run a script of TCP without losses."""
    packets: list[bytes] = []
    forwarded: Sequence[bytes] | None = None
    try:
        while True:
            packets.append(script.send(forwarded).ip)
            forwarded = (packets[-1],)
    except StopIteration:
        return packets


@pytest.fixture
def peers() -> Tcp:
    return Tcp(Site(random.Random(1), 1, 4), 80)


def test_peers_acknowledge_what_arrived(peers):
    speak(peers.open())
    speak(peers.say(peers.client, b"hello"))
    client, server = (peers.peers[side] for side in (peers.client, peers.server))
    assert server.heard == client.seq == (client.isn + 6) % 2**32
    assert client.heard == server.seq == (server.isn + 1) % 2**32


def test_a_gap_is_acknowledged_selectively_and_closed_by_the_late_segment(peers):
    for peer in peers.peers:
        peer.sack = True
    speak(peers.open())
    late = peers.make(peers.client, build.ACK, b"late")
    start = peers.peers[peers.server].heard
    speak(peers.emit(peers.client, build.ACK, b"early"))
    assert peers.peers[peers.server].heard == start
    answer = parsed(peers.make(peers.server, build.ACK))
    assert dict(answer[TCP].options)["SAck"] == ((start + 4) % 2**32, (start + 9) % 2**32)
    speak(peers.put(peers.client, late))
    assert peers.peers[peers.server].heard == (start + 9) % 2**32


def test_a_rewritten_payload_moves_the_acknowledgement_by_its_new_length():
    t = Tcp(Site(random.Random(1), 1, 4, "snat"), 21)
    t.peers[1].heard = t.peers[0].seq
    script = t.emit(LEFT, build.ACK, b"PORT 10,0,0,17,4,1\r\n")
    packet = next(script).ip
    longer = build.ip(SNAT[4], packet[16:20], build.TCP, packet[20:] + b"four")
    with pytest.raises(StopIteration) as result:
        script.send((longer,))
    assert result.value.value == b"PORT 10,0,0,17,4,1\r\nfour"
    assert t.peers[1].heard == (t.peers[0].seq + 4) % 2**32


def test_an_answer_goes_to_the_contact_that_arrived():
    headers = ["From: <sip:a@10.0.0.1>;tag=1", "m: <sip:a@203.0.113.1:2345>;expires=9"]
    assert sip_port(compose("REGISTER sip:x SIP/2.0", headers), 1) == 2345
    assert sip_port(compose("REGISTER sip:x SIP/2.0", ["Contact: <sip:a@[2001:db8::1]:77>"]), 1) == 77
    assert sip_port(None, 1) == 1


# ---- weaving


def test_a_weave_keeps_each_conversations_order_and_time():
    numbers = range(30)
    alone = {number: conversation(7, number).packets() for number in numbers}
    weave = Weave((conversation(7, number) for number in numbers), width=5)
    now, begun, said = 0, {}, collections.defaultdict(list)
    turns: list[int] = []
    sent = weave.next()
    while sent is not None:
        now += sent.delay_ns
        index = weave.turn.index
        turns.append(index)
        begun.setdefault(index, now - alone[index][0].delay_ns)
        said[index].append((now - begun[index], sent.side, sent.ip))
        sent = weave.next((sent.ip,))
    for number in numbers:
        times = itertools.accumulate(each.delay_ns for each in alone[number])
        assert said[number] == [(at, each.side, each.ip) for at, each in zip(times, alone[number])]
    open_at_once = max(len({*turns[:at]} & {*turns[at:]}) for at in range(len(turns)))
    assert 1 < open_at_once <= 5


# ---- translation


def static_gateway(talk: Conversation) -> Callable[[Sent], Sequence[bytes]]:
    """A gateway that translates addresses and shifted ports as `ruleset` says, and reads no payloads."""
    if not talk.nat:
        return lambda sent: (sent.ip,)
    version = talk.version
    start, size = (12, 4) if version == 4 else (8, 16)

    def forward(sent: Sent) -> Sequence[bytes]:
        packet = sent.ip
        source, target = packet[start : start + size], packet[start + size : start + 2 * size]
        rest = packet[start + 2 * size :]
        if sent.side == LEFT:
            source = SNAT[version] if talk.nat == "snat" else VIRTUAL[version] if source == SERVER[version] else source
        elif target == SNAT[version]:
            target = Site(random.Random(0), talk.index, version).real(LEFT)
        elif target in (VIRTUAL[version], SHIFTING[version]):
            target = SERVER[version]
        return (packet[:start] + source + target + rest,)

    return forward


@given(seed=st.integers(0, 2**32), index=st.integers(0, 2**30), kind=st.sampled_from(sorted(kinds(nat=True))))
@settings(max_examples=200, deadline=None)
def test_behind_a_gateway_nobody_names_an_address_of_the_other_side_that_is_hidden(seed, index, kind):
    talk = conversation(seed, index, kind)
    hidden = Site(random.Random(0), index, talk.version).real(LEFT)[:-1] if talk.nat == "snat" else SERVER[talk.version]
    start = 16 if talk.version == 4 else 24
    for sent in run_to_end(talk, static_gateway(talk)):
        if sent.side != LEFT:
            assert not sent.ip[start:].startswith(hidden)


def test_what_the_gateway_keeps_is_not_answered():
    """A call whose INVITE never arrives gets no answer."""
    for number in range(200):
        talk = conversation(9, number, "nat-sip")
        sent = run_to_end(talk, lambda _: ())
        if talk.notes == ["sip-call"]:
            assert all(b"SIP/2.0 200" not in each.ip for each in sent)


def test_the_rules_name_every_translated_place():
    text = ruleset("r1")
    for address in ("203.0.113.1", "203.0.113.2", "203.0.113.3", "192.168.200.2", "2001:db8:ffff:0:0:0:0:1"):
        assert address in text
    assert all(f":{port}\n" in text for port in SHIFTED.values())


def test_no_port_is_shared_that_anybody_may_be_expected_at():
    rng = random.Random(0)
    seen: set[int] = set()
    for number in range(2048):
        site = Site(rng, number, 4, "snat")
        ports = {site.own_port() for _ in range(16)}
        assert len(ports) == 16
        assert not ports & seen
        seen |= ports
        assert site.port() not in HELPER_PORTS | seen


@pytest.fixture
def forwarded_twice(session_lab) -> Callable[..., list[list[tuple[bytes, list[bytes] | None, str]]]]:
    """What the kernel makes of the same conversations at two new gateways."""

    def run(count: int, nat: bool) -> list[list[tuple[bytes, list[bytes] | None, str]]]:
        found: list[list[tuple[bytes, list[bytes] | None, str]]] = []
        for _ in range(2):
            rows: list[tuple[bytes, list[bytes] | None, str]] = []
            weave = Weave(conversation(11, number, nat=nat) for number in range(count))
            with Gateway(helpers=USUAL_HELPERS, nft=ruleset("r1") if nat else "") as box, KernelSubject(box) as kernel:
                forwarded: Sequence[bytes] = ()
                while (sent := weave.next(forwarded)) is not None:
                    answer = kernel.packet(0, sent.side, sent.ip)
                    forwarded = answer.forwarded or ()
                    rows.append((sent.ip, answer.forwarded, answer.verdict))
            found.append(rows)
        return found

    return run


def test_nothing_that_the_kernel_picks_at_random_enters_a_translated_conversation(forwarded_twice):
    """Ports are kept, so two gateways forward the same bytes; a peer that answers what it got says the same twice."""
    first, second = forwarded_twice(300, nat=True)
    assert first == second


def test_what_is_not_translated_is_forwarded_as_it_came(forwarded_twice):
    first, second = forwarded_twice(300, nat=False)
    assert [row[2] for row in first] == [row[2] for row in second]
    states = collections.Counter(verdict for _, _, verdict in first)
    assert all(states[word] for word in ("new", "established", "related", "invalid", "untracked"))
    whole = sum(forwarded == [packet] for packet, forwarded, _ in first)
    assert whole > 0.9 * len(first)
