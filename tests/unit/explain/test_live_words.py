"""Ends and masks in words, from real messages."""

from __future__ import annotations

from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from conntap.explain.live_rules import Ends
from conntap.explain.live_words import arrow, end, ends_of, key_of, lookup_fields, mask_bits, translation, who
from live_stories import expectation, flow


def test_ends() -> None:
    assert end("10.0.0.5", 80) == "10.0.0.5:80"
    assert end("2001:db8::1", 80) == "[2001:db8::1]:80"
    assert end("10.0.0.5", None) == "10.0.0.5"


def test_a_tuple() -> None:
    original = flow().original
    assert arrow(original) == "tcp 192.0.2.1:40001 → 203.0.113.5:80"
    assert ends_of(original) == Ends("192.0.2.1", "203.0.113.5", 6, 40_001, 80)
    assert lookup_fields(original, 3) == {
        "orig_src": "192.0.2.1", "orig_dst": "203.0.113.5", "orig_sport": 40_001, "orig_dport": 80, "l4proto": 6,
        "zone": 3,
    }  # fmt: skip
    assert key_of(original) != key_of(flow().reply)


def test_nat_in_words() -> None:
    assert translation(flow()) == [
        "the source 192.0.2.1:40001 is shown as 198.51.100.100:40000",
        "the destination 203.0.113.5:80 is led to 192.0.2.10:8080",
    ]


def test_one_address_alone() -> None:
    assert who(expectation()) == ("192.0.2.10 alone, from any port", "192.0.2.10")


def masked(
    source: str, mask: str, *, sport: int | None = 0, mask_sport: int = 0, anyone: bool = False
) -> SimpleNamespace:
    return SimpleNamespace(
        tuple=SimpleNamespace(src=ip_address(source), sport=sport),
        mask=SimpleNamespace(src=ip_address(mask), sport=mask_sport),
        any_source=anyone,
    )


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (masked("0.0.0.0", "0.0.0.0", anyone=True), "anyone, from any port"),
        (masked("10.1.2.3", "255.255.255.0"), "10.1.2.0/24 (256 addresses), from any port"),
        (masked("10.1.2.3", "255.0.255.0"), "addresses that equal 10.1.2.3 under the mask 255.0.255.0, from any port"),
        (masked("10.1.2.3", "255.255.255.255", sport=137, mask_sport=65_535), "10.1.2.3 alone, from port 137"),
        (masked("2001:db8::5", "ffff:ffff:ffff:ffff::"),
         "2001:db8::/64 (18,446,744,073,709,551,616 addresses), from any port"),
    ],
)  # fmt: skip
def test_masks(expected: SimpleNamespace, said: str) -> None:
    text, source = who(expected)  # type: ignore[arg-type]
    assert text == said
    assert (source is None) == ("alone" not in said)


def test_lengths_of_masks() -> None:
    assert [mask_bits(ip_address(mask)) for mask in ("0.0.0.0", "255.255.255.255", "255.128.0.0", "255.0.255.0")] == [
        0, 32, 9, None,
    ]  # fmt: skip
