"""What rules of iptables do, as statements."""

from __future__ import annotations

import pytest

from conntap.rules.iptables_targets import done
from conntap.rules.iptables_words import options_of, words_of
from conntap.rules.model import Assign, Change, Notrack, Span, Translate, Unread, Verdict

MARK = 0xFFFFFFFF
ONE = 0x0A000001


def statements(line: str, nfproto: int = 4):
    target, *words = words_of(line)
    return done(target, options_of(words)[0], 6, nfproto)


@pytest.mark.parametrize(
    ("line", "statement"),
    [
        ("ACCEPT", Verdict("accept")),
        ("DROP", Verdict("drop")),
        ("REJECT --reject-with tcp-reset", Verdict("reject")),
        ("RETURN", Verdict("return")),
        ("NFQUEUE --queue-num 3 --queue-bypass", Verdict("queue")),
        ("NOTRACK", Notrack()),
        ("CT --notrack", Notrack()),
        ("CT --helper ftp", Assign("ftp", 6, 4)),
        ("CT --zone 7", Change("ct_zone", 7)),
        ("CT --zone mark", Change("ct_zone", None)),
        ("MARK --set-xmark 0x1/0xff", Change("mark", 1, MARK & ~0xFF)),
        ("MARK --set-mark 5", Change("mark", 5, 0)),
        ("MARK --or-mark 4", Change("mark", 4, MARK & ~4)),
        ("MARK --and-mark 4", Change("mark", 0, 4)),
        ("CONNMARK --set-xmark 0x10/0xffffffff", Change("ct_mark", 16, 0)),
        ("CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", Change("ct_mark", 0, MARK, "mark")),
        ("CONNMARK --restore-mark --mask 0xff", Change("mark")),
        ("MASQUERADE", Translate("masquerade")),
        ("MASQUERADE --to-ports 1024-65535 --random", Translate("masquerade", ports=Span(1024, 65535))),
        ("REDIRECT --to-ports 3128", Translate("redirect", ports=Span(3128, 3128))),
        ("SNAT --to-source 10.0.0.1", Translate("snat", (Span(ONE, ONE),))),
        ("DNAT --to-destination 10.0.0.1-10.0.0.3:80-90", Translate("dnat", (Span(ONE, ONE + 2),), Span(80, 90))),
        ("DNAT --to-destination :8080", Translate("dnat", (), Span(8080, 8080))),
    ],
)
def test_what_is_done(line, statement):
    assert statements(line) == (statement,)


def test_translation_of_ipv6():
    one = 0x20010DB8 << 96 | 1
    assert statements("DNAT --to-destination [2001:db8::1]:80", 6) == (
        Translate("dnat", (Span(one, one),), Span(80, 80)),
    )
    assert statements("SNAT --to-source 2001:db8::1", 6) == (Translate("snat", (Span(one, one),)),)


@pytest.mark.parametrize("line", ["LOG --log-prefix x", "NFLOG --nflog-group 2", "TCPMSS --clamp-mss-to-pmtu", "TRACE"])
def test_what_lets_the_packet_go_on_is_no_statement(line):
    assert statements(line) == ()


@pytest.mark.parametrize(
    "line",
    ["TPROXY --on-port 1", "SYNPROXY --wscale 7", "NETMAP --to 10.0.0.0/8", "NONSENSE", "CT --nonsense 1",
     "CT --zone 70000", "MARK --set-mark x", "MARK --nonsense 1", "SNAT --to-source host", "DNAT --nonsense 1",
     "CONNMARK --nonsense 4", "CT --helper"],
)  # fmt: skip
def test_what_is_not_understood_says_so(line):
    [one] = statements(line)
    assert one == Unread(f"-j {line}")
