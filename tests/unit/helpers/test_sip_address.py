"""Addresses in SIP text are what the kernel takes for one: in4_pton, in6_pton, and %pI6c the other way."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.helpers.sip_address import parse, parse_bracketed, text, text_with_port, unspecified


def read(written: str, family: int) -> tuple[str, str] | None:
    """The address, and what of the text is behind it."""
    data = b"<" + written.encode("latin-1")
    found = parse(data, 1, len(data), family)
    return found and (str(found[0]), data[found[1] :].decode("latin-1"))


@pytest.mark.parametrize(
    ("written", "behind"),
    [
        ("10.0.1.2", ""),
        ("10.0.1.2>", ">"),
        ("10.0.1.2:5060", ":5060"),
        ("010.000.01.00002;x", ";x"),
        ("10.0.1.2\0", "\0"),
        ("10.0.1.2g", "g"),
        ("10.0.1.2\xe4", "\xe4"),
    ],
)
def test_four_numbers_are_an_address_whatever_ends_it(written, behind):
    assert read(written, 4) == ("10.0.1.2", behind)


@pytest.mark.parametrize(
    "written",
    [
        "10.0.1",
        "10.0.1.",
        "10.0.1.2.",
        "10.0.1.2.3",
        "10.0.1.256",
        "10.0.1.2a",
        "10..1.2",
        ".10.0.1.2",
        "a",
        "1" * 9000,
    ],
)
def test_no_address(written):
    assert read(written, 4) is None


def test_the_text_ends_at_the_limit():
    assert parse(b"10.0.1.234", 0, 8, 4) == (IPv4Address("10.0.1.2"), 8)
    assert parse(b"10.0.1.234", 0, 7, 4) is None
    assert parse(b"2001:db8::1234", 0, 11, 6) == (IPv6Address("2001:db8::1"), 11)


@pytest.mark.parametrize(
    "written",
    [
        "1:2:3:4:5:6:7:8",
        "2001:DB8::1",
        "::",
        "::1",
        "1::",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1:2:3::5:6:7:8",
        "::ffff:10.0.1.2",
        "1:2:3:4:5:6:10.0.1.2",
        "1::10.0.1.2",
        "1::00000000002",
    ],
)
def test_groups_are_an_ipv6_address_in_every_short_form(written):
    wanted = ip_address(written.replace("00000000002", "2"))
    for behind in "", ">", "]", "/64", " ":
        assert read(written + behind, 6) == (str(wanted), behind)


@pytest.mark.parametrize(
    "written",
    [
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8",
        "1::2::3",
        "1:::2",
        ":::",
        ":1",
        "1:",
        "1:2:",
        "12345::",
        "10.0.1.2",
        "1:10.0.1.2",
        "1:2:3:4:5:6:7:10.0.1.2",
        "1:2:3:4:5::6:10.0.1.2",
        "1::10.0.1.256",
        "::.",
        "::g:",
        "",
    ],
)
def test_no_ipv6_address(written):
    found = read(written, 6)
    assert found is None or found[1] == "g:"  # "::" with something behind


@given(st.integers(0, (1 << 128) - 1).map(IPv6Address), st.sampled_from(["compressed", "exploded"]))
def test_every_ipv6_address_is_read_back(address, form):
    assert read(getattr(address, form) + "]", 6) == (str(address), "]")
    written = text(address)
    assert parse(written, 0, len(written), 6) == (address, len(written))


@given(st.text(alphabet="0123456789abf:.g]", max_size=45), st.sampled_from([4, 6]))
def test_what_python_reads_is_read_alike(written, family):
    try:
        wanted = (IPv4Address if family == 4 else IPv6Address)(written)
    except ValueError:
        return
    assert read(written, family) == (str(wanted), "")


@pytest.mark.parametrize(
    ("written", "must", "wanted"),
    [
        (b"[2001:db8::1]", True, 13),
        (b"[2001:db8::1]", False, 13),
        (b"2001:db8::1", False, 11),
        (b"2001:db8::1]", False, 12),
        (b"[2001:db8::1;", False, 12),
        (b"2001:db8::1", True, None),
        (b"[2001:db8::1;", True, None),
        (b"[]", False, None),
        (b"", False, None),
    ],
)
def test_brackets_are_part_of_the_address_where_it_has_them(written, must, wanted):
    found = parse_bracketed(written, 0, len(written), 6, must=must)
    assert found == (None if wanted is None else (IPv6Address("2001:db8::1"), wanted))


def test_an_ipv4_address_has_no_brackets():
    assert parse_bracketed(b"10.0.1.2]", 0, 9, 4, must=True) == (IPv4Address("10.0.1.2"), 8)
    assert parse_bracketed(b"[10.0.1.2]", 0, 10, 4, must=False) is None


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("10.0.1.2", b"10.0.1.2"),
        ("2001:db8:0:0:1:0:0:1", b"2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", b"2001:db8:0:1:1:1:1:1"),
        ("::", b"::"),
        ("::1", b"::1"),
        ("1::", b"1::"),
        ("::ffff:10.0.1.2", b"::ffff:10.0.1.2"),
        ("fe80::5efe:10.0.1.2", b"fe80::5efe:10.0.1.2"),
        ("2001:db8:1:2:200:5efe:a00:102", b"2001:db8:1:2:200:5efe:10.0.1.2"),
        ("::10.0.1.2", b"::a00:102"),
    ],
)
def test_an_address_is_written_as_the_kernel_writes_it(address, written):
    assert text(ip_address(address)) == written


def test_a_port_follows_the_brackets():
    assert text_with_port(ip_address("2001:db8::1"), 5060) == b"[2001:db8::1]:5060"
    assert text_with_port(ip_address("10.0.1.2"), 5060) == b"10.0.1.2:5060"
    assert text(ip_address("2001:db8::1"), bracketed=True) == b"[2001:db8::1]"


def test_nowhere_is_zeros():
    assert [str(unspecified(family)) for family in (4, 6)] == ["0.0.0.0", "::"]
