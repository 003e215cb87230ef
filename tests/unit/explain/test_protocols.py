"""Names of what ICMP, SCTP and GRE packets are."""

from __future__ import annotations

from conntap.explain.protocols import SCTP_STATES, TCP_STATES, gre, icmp, protocol_name, sctp
from conntap.filter import Filter

UDP4 = bytes.fromhex("4500002400050000401163c1 0a000102 0a000202 1b58829a")


def test_every_state_is_one_that_the_filter_knows():
    """The filter has the core's names: one that is misspelt here does not parse there."""
    for names, word in ((TCP_STATES, "tcp_state"), (SCTP_STATES, "sctp_state")):
        for name in names:
            Filter(f"{word} {name.lower()}")


def test_an_unreachable_says_what_and_about_which_packet():
    assert icmp(1, 3, 3, UDP4) == "port unreachable about udp 10.0.1.2:7000 → 10.0.2.2:33434"
    assert icmp(1, 11, 0, UDP4[:20]) == "time exceeded about udp 10.0.1.2 → 10.0.2.2"
    assert icmp(1, 3, 3, UDP4[:19]) == "port unreachable"


def test_echo_quotes_nothing():
    assert icmp(1, 8, 0, UDP4) == "echo request"
    assert icmp(58, 129, 0, UDP4) == "echo reply"


def test_icmpv6_quotes_ipv6():
    header = bytes([0x60]) + bytes(5) + bytes([17, 64]) + bytes(15) + b"\1" + bytes(15) + b"\2"
    assert icmp(58, 1, 4, header + bytes([0, 9, 0, 53])) == "port unreachable about udp [::1]:9 → [::2]:53"
    assert icmp(58, 137, 0, header) == "redirect"


def test_an_unknown_kind_is_said_by_number():
    assert icmp(1, 40, 7, b"") == "ICMP type 40 code 7"
    assert protocol_name(201) == "protocol 201"


def test_all_chunks_of_an_sctp_packet_are_named_up_to_four():
    chunk = bytes([11, 0, 0, 4])
    assert sctp(bytes(4) + chunk) == "COOKIE ACK"
    assert sctp(bytes(4) + bytes([3, 0, 0, 6, 1, 2, 0, 0]) + chunk) == "SACK, COOKIE ACK"
    assert sctp(bytes(4) + chunk * 9) == "COOKIE ACK, COOKIE ACK, COOKIE ACK, COOKIE ACK, …"


def test_a_chunk_without_a_length_ends_the_packet():
    assert sctp(bytes(4) + bytes([99, 0, 0, 0]) * 1000) == "chunk 99"
    assert sctp(b"\0") == "no chunk"


def test_gre_of_pptp_names_its_call():
    assert gre(bytes([0x30, 0x01, 0x88, 0x0B, 0, 4, 0x11, 0x11])) == "GRE call 0x1111"
    assert gre(bytes([0, 0, 8, 0])) == "GRE of type 0x0800"
    assert gre(b"\0") == "GRE"
