"""Words and numbers of nft's JSON."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from conntap.rules.model import Span
from conntap.rules.nft_values import catch_all, element, known, largest, values

SIX = int(IPv6Address("2001:db8::1"))


@pytest.mark.parametrize(
    ("kind", "value", "number"),
    [
        ("ip", "10.0.0.1", 0x0A000001),
        ("ip6", "2001:db8::1", SIX),
        ("port", 80, 80),
        ("port", "443", 443),
        ("number", "0x10", 16),
        ("l4proto", "ipv6-icmp", 58),
        ("l4proto", 47, 47),
        ("nfproto", "ipv6", 6),
        ("nfproto", 2, 4),
        ("ethertype", "ip6", 6),
        ("icmp", "echo-request", 8),
        ("icmpv6", "nd-neighbor-solicit", 135),
        ("link", "ether", 1),
    ],
)
def test_one_value(kind, value, number):
    assert known(kind, value) == number
    assert values(kind, value) == (Span(number, number),)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ip", "10.0.0"),
        ("ip", "2001:db8::1"),
        ("ip6", "10.0.0.1"),
        ("port", 65536),
        ("port", -1),
        ("port", True),
        ("port", "ssh"),
        ("port", None),
        ("port", 1.5),
        ("nfproto", 7),
        ("l4proto", 256),
        ("name", 7),
        ("index", "77"),
        ("port", {"range": [9, 1]}),
        ("port", {"range": [9]}),
        ("port", {"prefix": {"addr": "10.0.0.0", "len": 8}}),
        ("ip", {"prefix": {"addr": "10.0.0.0", "len": 33}}),
        ("ip", {"prefix": {"addr": "10.0.0.0", "len": True}}),
        ("ip", {"prefix": {"addr": "10.0.0.0"}}),
        ("ip", {"range": ["10.0.0.9", "10.0.0.1"]}),
        ("ip", {"range": ["10.0.0.1", "10.0.0.9"], "more": 1}),
        ("", 5),
    ],
)
def test_what_is_none(kind, value):
    assert values(kind, value) is None


def test_prefixes_and_ranges():
    assert values("ip", {"prefix": {"addr": "10.0.0.7", "len": 24}}) == (Span(0x0A000000, 0x0A0000FF),)
    assert values("ip6", {"prefix": {"addr": "::", "len": 0}}) == (Span(0, (1 << 128) - 1),)
    assert values("port", {"range": [1, 9]}) == (Span(1, 9),)
    assert values("name", "wg*") == ("wg*",)


def test_whatever_it_is():
    assert catch_all("port") == (Span(0, 65535),)
    assert catch_all("name") == ("*",)
    assert values("ip", "*") == (Span(0, (1 << 32) - 1),)
    assert largest("name") is None


def test_an_element_without_what_stands_beside_it():
    assert element(5) == (5, False)
    assert element({"elem": {"val": 5, "comment": "x", "counter": {}}}) == (5, False)
    assert element({"elem": {"val": 5, "timeout": 60, "expires": 3}}) == (5, True)
