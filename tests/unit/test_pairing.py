"""Captures of both sides of a gateway, read from files."""

from __future__ import annotations

import gzip
import os
import struct
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest

from conntap.captures import Capture
from conntap.errors import UsageError
from conntap.lab.scenarios.packets import internet_checksum
from conntap.model import Status
from conntap.pairing import Seen, describe, pair
from conntap.recording import replay
from conntap.tracker import Setup

CLIENT, GATEWAY, SERVER = "10.0.0.5", "203.0.113.1", "198.51.100.9"
TCP, UDP, ICMP, GRE = 6, 17, 1, 47


def packet(src: str, dst: str, l4proto: int, l4: bytes, *, ttl: int = 64, number: int = 77) -> bytes:
    """An IP packet; the layer-4 checksum is nobody's business here."""
    ends = ip_address(src).packed + ip_address(dst).packed
    if len(ends) == 32:
        return struct.pack("!IHBB", 6 << 28, len(l4), l4proto, ttl) + ends + l4
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), number, 0, ttl, l4proto, 0) + ends
    return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:] + l4


def udp(sport: int, dport: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def syn(sport: int, dport: int) -> bytes:
    return struct.pack("!HHIIBBHHH", sport, dport, 0x1234567, 0, 0x50, 2, 0x7210, 0, 0)


def echo(identifier: int) -> bytes:
    return struct.pack("!BBHHH", 8, 0, 0, identifier, 1) + b"a ping with a payload"


def pcap(*packets: tuple[int, bytes]) -> bytes:
    """A capture of raw IP packets with their times in microseconds."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    return head + b"".join(struct.pack("<IIII", 0, time, len(data), len(data)) + data for time, data in packets)


def pcapng(*packets: tuple[int, int, bytes]) -> bytes:
    """One file of two interfaces: interface, time in microseconds, packet. Source: draft-ietf-opsawg-pcapng."""

    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))

    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += 2 * block(1, struct.pack("<HHI", 101, 0, 0))
    for interface, time, data in packets:
        out += block(6, struct.pack("<IIIII", interface, 0, time, len(data), len(data)) + data)
    return out


def sides(tmp_path: Path, came: bytes, left: bytes) -> Seen:
    inside, outside = tmp_path / "inside.pcap", tmp_path / "outside.pcap"
    inside.write_bytes(pcap((1000, came)))
    outside.write_bytes(pcap((1040, left)))
    return pair(inside, outside)


def told(tmp_path: Path, came: bytes, left: bytes) -> str:
    (binding,) = sides(tmp_path, came, left).bindings
    return describe(binding)


def test_a_masqueraded_connection_leaves_as_the_gateway(tmp_path):
    came = packet(CLIENT, SERVER, TCP, syn(40000, 80))
    left = packet(GATEWAY, SERVER, TCP, syn(1025, 80), ttl=63)
    assert told(tmp_path, came, left) == "tcp 10.0.0.5:40000 leaves as 203.0.113.1:1025 towards 198.51.100.9:80"


def test_a_forwarded_port_leads_elsewhere(tmp_path):
    came = packet(SERVER, GATEWAY, TCP, syn(4000, 8080))
    left = packet(SERVER, CLIENT, TCP, syn(4000, 80), ttl=63)
    assert told(tmp_path, came, left) == "tcp 203.0.113.1:8080 leads to 10.0.0.5:80 for 198.51.100.9:4000"


def test_both_ends_can_be_translated(tmp_path):
    came = packet(CLIENT, "192.0.2.7", UDP, udp(5000, 53, b"a long enough question"))
    left = packet(GATEWAY, SERVER, UDP, udp(5000, 53, b"a long enough question"), ttl=63)
    text = told(tmp_path, came, left)
    assert text == "udp 10.0.0.5:5000 leaves as 203.0.113.1:5000, and 192.0.2.7:53 leads to 198.51.100.9:53"


def test_a_plain_router_translates_nothing(tmp_path):
    data = syn(40000, 80)
    came, left = (
        packet("2001:db8::5", "2001:db8::9", TCP, data),
        packet("2001:db8::5", "2001:db8::9", TCP, data, ttl=63),
    )
    assert told(tmp_path, came, left) == "tcp [2001:db8::5]:40000 → [2001:db8::9]:80 passes untranslated"
    assert sides(tmp_path, came, left).translated == []


def test_an_echo_request_has_an_id_where_others_have_a_port(tmp_path):
    came = packet(CLIENT, SERVER, ICMP, echo(7))
    left = packet(GATEWAY, SERVER, ICMP, echo(9), ttl=63)
    assert told(tmp_path, came, left) == "icmp 10.0.0.5 id 7 leaves as 203.0.113.1 id 9 towards 198.51.100.9"


def test_protocols_without_ports_have_addresses_alone(tmp_path):
    came = packet(CLIENT, SERVER, GRE, b"\0\0\x08\0an inner packet of some kind")
    left = packet(GATEWAY, SERVER, GRE, b"\0\0\x08\0an inner packet of some kind", ttl=63)
    assert told(tmp_path, came, left) == "gre 10.0.0.5 leaves as 203.0.113.1 towards 198.51.100.9"


def test_rewritten_payload_is_said(tmp_path):
    came = packet(CLIENT, SERVER, UDP, udp(5060, 5060, b"REGISTER sip:a SIP/2.0\r\nVia: 10.0.0.5"))
    left = packet(GATEWAY, SERVER, UDP, udp(5060, 5060, b"REGISTER sip:a SIP/2.0\r\nVia: 203.0.113.1"), ttl=63)
    assert told(tmp_path, came, left).endswith("198.51.100.9:5060; payload rewritten in 1 packet, +3 bytes")


def test_a_guess_is_said_to_be_one(tmp_path):
    inside, outside = tmp_path / "inside.pcap", tmp_path / "outside.pcap"
    asks = [packet(f"10.0.0.{host}", SERVER, UDP, udp(5000, 7, b"hello"), number=0) for host in (5, 6)]
    left = [packet(GATEWAY, SERVER, UDP, udp(port, 7, b"hello"), number=0, ttl=63) for port in (1111, 2222)]
    inside.write_bytes(pcap((0, asks[0]), (5, asks[1])))
    outside.write_bytes(pcap((40, left[0]), (45, left[1])))
    assert all(describe(binding).endswith("had fitted as well)") for binding in pair(inside, outside).bindings)


def test_each_frame_has_a_verdict_in_the_order_of_its_file(tmp_path):
    seen = sides(tmp_path, packet(CLIENT, SERVER, TCP, syn(1, 2)), packet(GATEWAY, SERVER, TCP, syn(1, 2), ttl=63))
    assert [seen.pairing.take(0), seen.pairing.take(0)] == ["arrived", None]
    assert [seen.pairing.take(1), seen.pairing.take(1)] == ["departed", None]
    assert (seen.counters["pairs"], seen.counters["alone"]) == (1, 0)


def test_one_file_of_two_interfaces_will_do_compressed_or_not(tmp_path):
    data = pcapng(
        (0, 1000, packet(CLIENT, SERVER, TCP, syn(1, 2))), (1, 1040, packet(GATEWAY, SERVER, TCP, syn(1, 2), ttl=63))
    )
    plain, packed = tmp_path / "both.pcapng", tmp_path / "both.pcapng.gz"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    for path in (plain, packed):
        (binding,) = pair(path).bindings
        assert (binding.came_by, binding.went_by, binding.since_ns) == (0, 1, 1_000_000)


def test_what_cannot_be_read_is_named(tmp_path):
    broken, good = tmp_path / "broken.pcap", tmp_path / "good.pcap"
    whole = pcap((0, packet(CLIENT, SERVER, TCP, syn(1, 2))), (9, packet(CLIENT, SERVER, TCP, syn(3, 4))))
    broken.write_bytes(whole[:-7])
    good.write_bytes(pcap((40, packet(GATEWAY, SERVER, TCP, syn(1, 2), ttl=63))))
    seen = pair(broken, good)
    assert [path for path, _ in seen.faults] == [str(broken)]
    assert (seen.counters["frames"], seen.counters["pairs"]) == (2, 1)


def test_a_capture_of_both_sides_tracks_each_packet_once_translated_as_it_was(tmp_path):
    inside, outside = tmp_path / "inside.pcap", tmp_path / "outside.pcap"
    question, answer = udp(5000, 53, b"a long enough question"), udp(53, 5000, b"a long enough answer")
    inside.write_bytes(
        pcap((0, packet(CLIENT, SERVER, UDP, question)), (540, packet(SERVER, CLIENT, UDP, answer, ttl=56)))
    )
    outside.write_bytes(
        pcap((40, packet(GATEWAY, SERVER, UDP, question, ttl=63)), (500, packet(SERVER, GATEWAY, UDP, answer, ttl=57)))
    )
    seen = pair(inside, outside)
    capture = Capture([inside, outside], Setup(settings={"checksum": 0}), seen=seen)
    told = [
        (event.kind, str(event.flow.original.src), str(event.flow.reply.dst), event.flow.status)
        for event in capture.events()
        if event.flow is not None
    ]
    done = Status.CONFIRMED | Status.SRC_NAT | Status.SRC_NAT_DONE | Status.DST_NAT_DONE
    assert told == [
        ("NEW", CLIENT, GATEWAY, done),
        ("UPDATE", CLIENT, GATEWAY, done | Status.SEEN_REPLY),
    ]
    assert (capture.counters["packets"], capture.counters["departed"]) == (2, 2)
    assert len(list(Capture([inside, outside]).events())) > 2, "without it each side makes its own flow"
    assert len(list(replay(inside, outside, setup=Setup(settings={"checksum": 0}), both_sides=True).events())) == 2


def test_what_can_be_read_only_once_is_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=[pcap((0, packet(CLIENT, SERVER, TCP, syn(1, 2))))])
    writer.start()
    with pytest.raises(UsageError, match="can be read only once"):
        replay(pipe, both_sides=True)
    writer.join()


def test_a_window_that_is_no_time_is_refused(tmp_path):
    with pytest.raises(UsageError, match="makes no sense"):
        pair(tmp_path / "x", window_seconds=0)
    with pytest.raises(UsageError, match="no capture"):
        pair()
