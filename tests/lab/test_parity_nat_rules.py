"""The kernel is told the engine's NAT rules: as text, as nft takes them, and to the same effect."""

from __future__ import annotations

import pytest

from conntap.errors import UsageError
from conntap.lab.parity.engine import EngineSubject, generated_nat
from conntap.lab.parity.gateway import Gateway
from conntap.lab.parity.generate import run_to_end
from conntap.lab.parity.generate.kinds import conversation
from conntap.lab.parity.harness import Options, compare_packets
from conntap.lab.parity.nat_rules import nft_text
from conntap.lab.parity.run import AT_ONCE
from conntap.lab.parity.subject import LEFT, Packet
from conntap.nat import NatRule, dnat, masquerade, snat


def lines(*rules: NatRule) -> list[str]:
    return [line.strip() for line in nft_text(rules).splitlines() if "meta nfproto" in line]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (snat("to 203.0.113.1"), "snat ip to 203.0.113.1"),
        (snat("src 10.0.0.0/8 to 203.0.113.1"), "ip saddr 10.0.0.0/8 snat ip to 203.0.113.1"),
        (
            snat("tcp and dport 80-90 to 203.0.113.1-203.0.113.9:1024-2047 persistent"),
            "meta l4proto 6 th dport 80-90 snat ip to 203.0.113.1-203.0.113.9:1024-2047 persistent",
        ),
        (dnat("dport 80 and tcp to [2001:db8::2]:8080"), "meta l4proto 6 th dport 80 dnat ip6 to [2001:db8::2]:8080"),
        (dnat("to 10.0.0.2:80"), "meta l4proto { tcp, udp, udplite, sctp } dnat ip to 10.0.0.2:80"),
        (dnat("l4proto 132 and dst 192.0.2.1 to 10.0.0.2"), "meta l4proto 132 ip daddr 192.0.2.1 dnat ip to 10.0.0.2"),
    ],
)  # fmt: skip
def test_a_rule_in_the_words_of_nft(rule, text):
    assert lines(rule) == [f"meta nfproto ipv{rule.family} {text}"]


def test_alternatives_are_rules_of_their_own():
    assert len(lines(masquerade("203.0.113.1"))) == 4
    assert all(line.endswith("snat ip to 203.0.113.1") for line in lines(masquerade("203.0.113.1")))


@pytest.mark.parametrize("where", ["mark 7", "not tcp", "(src 10.0.0.1 or tcp) and udp", "assured"])
def test_what_nft_cannot_be_told_is_refused(where):
    with pytest.raises(UsageError, match="cannot be told to the kernel"):
        nft_text([snat(f"{where} to 203.0.113.1")])


def test_nft_takes_every_form(session_lab):
    rules = [
        snat("src 10.0.0.0/8 and udp and sport 5-9 to 203.0.113.1-203.0.113.9:1024-2047 persistent"),
        snat("to 2001:db8::1"),
        snat("to [2001:db8::1-2001:db8::9]:1024-2047"),
        masquerade("2001:db8::1"),
        dnat("tcp and dst 203.0.113.1 and dport 80 to 10.0.0.2:8080"),
        dnat("dst 2001:db8::1 to [2001:db8::2]:80"),
        *generated_nat(),
    ]
    with Gateway(nft=nft_text(rules)):
        pass


@pytest.mark.parametrize("kind", ["tcp", "icmp", "ftp", "udp"])
def test_kernel_and_engine_translate_alike(session_lab, kind):
    """One direction alone: an answer to the address before translation clashes, and gets another port at random."""
    rules = [snat("src 10.0.0.0/8 to 203.0.113.7"), snat("src 2001:db8::/32 to 2001:db8::7"), dnat("udp to 192.0.2.9")]
    sent = [packet for number in range(8) for packet in run_to_end(conversation(5, number, kind), lambda s: (s.ip,))]
    packets = [Packet(n, n, each.side, each.ip) for n, each in enumerate(sent, 1) if each.side == LEFT]
    helpers = {"ftp": (("tcp", 21),)}
    options = Options(helpers=helpers, nft=nft_text(rules), pacing=AT_ONCE)
    report = compare_packets(packets, EngineSubject(helpers=helpers, nat=rules), options)
    assert report.equal, report.text()
    kernel, _ = report.runs
    assert any(step.answer.forwarded not in ([], [step.packet.ip]) for step in kernel.steps)
