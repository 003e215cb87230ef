"""Ends of packets out of their first bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.doctor.packet import Ends, ends


def ipv4(protocol: int, body: bytes, *, fragment: int = 0, options: bytes = b"") -> bytes:
    size = 20 + len(options)
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | size // 4, 0, size + len(body), 1, fragment, 64, protocol, 0,
                       bytes([10, 0, 0, 5]), bytes([203, 0, 113, 1]))  # fmt: skip
    return head + options + body


def ipv6(next_header: int, body: bytes) -> bytes:
    src, dst = bytes.fromhex("20010db8" + "0" * 23 + "5"), bytes.fromhex("20010db8" + "0" * 23 + "9")
    return struct.pack(">IHBB", 0x60000000, len(body), next_header, 64) + src + dst + body


TCP = struct.pack(">HHIIBBHHH", 40_001, 80, 1, 2, 0x50, 0b000011, 1000, 0, 0)


def test_tcp_with_its_flags() -> None:
    assert ends(ipv4(6, TCP)) == Ends("10.0.0.5", "203.0.113.1", 6, 40_001, 80, "FS")
    assert str(ends(ipv4(6, TCP))) == "tcp 10.0.0.5:40001 → 203.0.113.1:80"


def test_options_of_the_ip_header_are_skipped() -> None:
    found = ends(ipv4(6, TCP, options=bytes(8)))
    assert found is not None
    assert found.sport == 40_001


def test_a_later_fragment_has_no_ports() -> None:
    found = ends(ipv4(17, TCP, fragment=100))
    assert found is not None
    assert (found.sport, found.dport) == (None, None)


def test_extension_headers_of_ipv6_are_walked() -> None:
    hop = bytes([6, 0, 1, 4, 0, 0, 0, 0])
    found = ends(ipv6(0, hop + TCP))
    assert found is not None
    assert (found.src, found.protocol, found.dport) == ("2001:db8::5", 6, 80)
    assert str(found) == "tcp [2001:db8::5]:40001 → [2001:db8::9]:80"
    fragment = ends(ipv6(44, bytes([17, 0, 0, 8, 0, 0, 0, 1]) + TCP))
    assert fragment == Ends("2001:db8::5", "2001:db8::9", 17)


def test_icmp_has_no_ports() -> None:
    assert str(ends(ipv4(1, b"\x08\0"))) == "icmp 10.0.0.5 → 203.0.113.1"
    assert str(ends(ipv4(99, b""))) == "protocol 99 10.0.0.5 → 203.0.113.1"


@pytest.mark.parametrize("data", [b"", b"\x45", b"\x60" + bytes(30), bytes(40)])
def test_too_short_or_no_ip(data: bytes) -> None:
    assert ends(data) is None


@given(st.binary(max_size=120), st.sampled_from([0x45, 0x4F, 0x60, 0x40]))
def test_rubbish_never_raises(data: bytes, first: int) -> None:
    ends(bytes([first]) + data)
