"""A capture becomes packets with sides: link layers off, padding cut, unfit packets left out and counted."""

from __future__ import annotations

import gzip
import struct
from ipaddress import ip_address

import pytest
from scapy.all import IP, Ether  # type: ignore[attr-defined]
from scapy.utils import PcapNgWriter

from conftest import DATA
from conntap.errors import RecordingError
from conntap.lab.parity.capture import assign_sides, read, unforwardable
from conntap.lab.parity.subject import LEFT, RIGHT
from pcap_samples import SAMPLES

A, B, C = "192.0.2.1", "198.51.100.1", "203.0.113.1"


def ip4(source: str, target: str, payload: bytes = b"12345678") -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, 17, 0)
    head += ip_address(source).packed + ip_address(target).packed
    total = sum(struct.unpack(">10H", head))
    return head[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:] + payload


def ip6(source: str, target: str, payload: bytes = b"12345678") -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), 17, 64)
    return head + ip_address(source).packed + ip_address(target).packed + payload


def pcap(frames: list[bytes], *, link: int = 1, order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, frame in enumerate(frames):
        data += struct.pack(order + "IIII", 100, number, len(frame), len(frame)) + frame
    return data


@pytest.fixture
def packets(tmp_path):
    def load(frames: list[bytes], **how: object) -> list[bytes]:
        path = tmp_path / "x.pcap"
        path.write_bytes(pcap(frames, **how))
        return [packet.ip for packet in read(path).packets]

    return load


def sides(*pairs: tuple[str, str], left: tuple[str, ...] = ()) -> list[int]:
    records = [(n, 0, (ip6 if ":" in source else ip4)(source, target), "") for n, (source, target) in enumerate(pairs)]
    found = assign_sides(records, left={ip_address(address).packed for address in left})
    return [packet.side for packet in found.packets]


def test_who_speaks_first_of_two_hosts_is_left():
    assert sides((A, B), (B, A), (A, B)) == [LEFT, RIGHT, LEFT]


def test_a_host_may_be_left_of_one_and_right_of_another():
    assert sides((A, B), (C, A), (A, C), (B, A)) == [LEFT, LEFT, RIGHT, RIGHT]


def test_hosts_that_are_named_are_left_whoever_speaks_first():
    assert sides((B, A), (A, B), ("2001:db8::1", "2001:db8::2"), left=(A,)) == [RIGHT, LEFT, RIGHT]


def test_an_ethernet_frame_loses_header_tags_and_padding(packets):
    ip = ip4(A, B)
    mac = bytes(12)
    plain = mac + b"\x08\0" + ip + bytes(18)
    tagged = mac + b"\x88\xa8\0\1" + b"\x81\0\0\2" + b"\x08\0" + ip
    assert packets([plain, tagged]) == [ip, ip]


def test_an_ipv6_packet_loses_padding_too(packets):
    ip = ip6("2001:db8::1", "2001:db8::2")
    assert packets([bytes(12) + b"\x86\xdd" + ip + b"padding"]) == [ip]


def test_raw_ip_in_either_byte_order_and_unit(packets):
    ip = ip4(A, B)
    assert (
        packets([ip], link=101)
        == packets([ip], link=101, order=">")
        == packets([ip], link=12, magic=0xA1B23C4D)
        == [ip]
    )


def test_times_are_nanoseconds(tmp_path):
    path = tmp_path / "x.pcap"
    for magic, unit in ((0xA1B2C3D4, 1000), (0xA1B23C4D, 1)):
        path.write_bytes(pcap([ip4(A, B)] * 2, link=101, magic=magic))
        assert [packet.time_ns for packet in read(path).packets] == [100 * 10**9, 100 * 10**9 + unit]


def test_numbers_are_those_of_the_file_also_behind_what_was_left_out():
    records = [(1, 0, b"", "not IP"), (2, 0, ip4(A, "224.0.0.1"), ""), (3, 0, ip4(A, B), "")]
    found = assign_sides(records)
    assert [packet.number for packet in found.packets] == [3]
    assert found.skipped == {"not IP": 1, "to a multicast group": 1}


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        (ip4(A, B), ""),
        (ip6("2001:db8::1", "2001:db8::2"), ""),
        (ip4("127.0.0.1", "127.0.0.1"), ""),
        (ip4(A, "224.0.0.251"), "to a multicast group"),
        (ip4(A, "255.255.255.255"), "to an address that is no host's"),
        (ip4("0.0.0.0", B), "from an address that is no host's"),
        (ip4("239.1.1.1", B), "from an address that is no host's"),
        (ip6("2001:db8::1", "ff02::1"), "to a multicast group"),
        (ip6("::", "2001:db8::2"), "from an address that is no host's"),
        (ip6("::1", "::1"), "from an address that is no host's"),
        (ip6("fe80::1", "2001:db8::2"), "of one link alone"),
        (ip6("2001:db8::1", "fe80::2"), "of one link alone"),
        (ip4(A, B)[:-1], "cut short by the capture"),
        (ip6("2001:db8::1", "2001:db8::2")[:-1], "cut short by the capture"),
        (ip6("2001:db8::1", "2001:db8::2", bytes(65535 - 40)), ""),
        (ip6("2001:db8::1", "2001:db8::2", bytes(65535)), "too long for a device"),
        (b"\x44" + ip4(A, B)[1:], "with a bad IP header"),
        (b"\x45" + bytes(30), "with a bad IP header"),
        (b"", "not IP"),
        (bytes(60), "not IP"),
    ],
)
def test_what_no_router_forwards_is_left_out_with_its_reason(ip, reason):
    assert unforwardable(ip) == reason


def test_the_kernel_agrees_on_what_is_forwarded(session_lab):
    """Each packet that `unforwardable` lets through comes out, and each that it holds back does not."""
    from conntap.lab.parity.gateway import Gateway
    from conntap.lab.parity.inject import KernelSubject

    pairs = [
        *((A, B), ("127.0.0.1", "127.0.0.1"), (A, "224.0.0.251"), (A, "255.255.255.255"), ("0.0.0.0", B)),
        *(("239.1.1.1", B), ("240.0.0.1", "240.0.0.2"), (A, "0.0.0.1"), ("255.255.255.255", B), (A, A), ("0.1.2.3", B)),
        *(("2001:db8::1", "2001:db8::2"), ("2001:db8::1", "ff02::1"), ("::", "2001:db8::2"), ("::1", "2001:db8::2")),
        *(
            ("::ffff:192.0.2.1", "2001:db8::2"),
            ("fe80::1", "2001:db8::2"),
            ("2001:db8::1", "::1"),
            ("fc00::1", "fd00::1"),
        ),
        *(
            ("2001:db8::1", "::"),
            ("2002::1", "64:ff9b::1"),
            ("2001:db8::1", "::ffff:192.0.2.1"),
            ("ff02::1", "2001:db8::1"),
        ),
    ]
    with Gateway() as gateway, KernelSubject(gateway) as subject:
        for source, target in pairs:
            ip = (ip6 if ":" in source else ip4)(source, target)
            forwarded = subject.packet(0, LEFT, ip).forwarded
            assert forwarded == ([] if unforwardable(ip) else [ip]), f"{source} > {target}"


def test_a_file_that_is_no_capture_of_packets_is_refused(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(b"hello, this is no capture")
    with pytest.raises(RecordingError, match=r"x\.pcap"):
        read(path)
    with pytest.raises(RecordingError, match="a recording of events, not of packets"):
        read(DATA / "recordings/samples.pcapng")


def test_packets_of_an_unknown_link_type_are_left_out(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([bytes(60)], link=147))
    assert read(path).skipped == {"of a link type that is not read": 1}


def test_what_the_ip_layer_refuses_is_left_out(tmp_path):
    path = tmp_path / "x.pcap"
    good = ip4(A, B)
    path.write_bytes(pcap([good[:10] + b"\0\0" + good[12:], good], link=101))
    found = read(path)
    assert [packet.number for packet in found.packets] == [2]
    assert found.skipped == {"bad header checksum": 1}


@pytest.mark.parametrize("link", [0, 113, 276], ids=["loopback", "cooked", "cooked, second version"])
def test_other_link_types_are_read(packets, link):
    ip = ip4(A, B)
    header = {0: b"\2\0\0\0", 113: bytes(14) + b"\x08\0", 276: b"\x08\0" + bytes(18)}
    assert packets([header[link] + ip], link=link) == [ip]


@pytest.mark.parametrize("ending", ["pcapng", "pcap.gz"])
def test_pcapng_and_compressed_files_are_read(tmp_path, ending):
    ip = ip4(A, B)
    path = tmp_path / f"x.{ending}"
    if ending == "pcapng":
        with PcapNgWriter(str(path)) as file:
            file.write(Ether() / IP(ip))
    else:
        path.write_bytes(gzip.compress(pcap([ip], link=101)))
    assert [packet.ip for packet in read(path).packets] == [ip]


def test_a_file_that_ends_within_a_packet_gives_those_before(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(SAMPLES["tcp_basic"].path.read_bytes()[:-3])
    found = read(path)
    assert len(found.packets) == 10
    assert found.skipped == {"stretches that are no packets": 1}
