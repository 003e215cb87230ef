"""What rules of iptables ask, as conditions."""

from __future__ import annotations

import pytest

from conntap.rules.iptables import grouped
from conntap.rules.iptables_matches import asked
from conntap.rules.iptables_words import options_of, words_of
from conntap.rules.model import ANY_PORT, Condition, Span


def conditions(line: str, nfproto: int = 4) -> list[Condition]:
    options, stray = options_of(words_of(line))
    assert stray == []
    return [one for kind, match, own in grouped(options) if kind == "-m" for one in asked(match, own, nfproto)]


def plain(line: str, nfproto: int = 4) -> tuple[str, list[object], bool, int | None]:
    """Of one condition on one field: field, values, whether it is negated, its mask."""
    [one] = conditions(line, nfproto)
    [field] = one.fields
    values = [
        ((value.first, value.last) if value.first != value.last else value.first) if isinstance(value, Span) else value
        for [row] in one.rows
        for value in row
    ]
    return field, values, one.negated, one.mask


NET = 10 << 24
LAN6 = 0x20010DB8 << 96


@pytest.mark.parametrize(
    ("line", "field", "values"),
    [
        ("-i lan", "iifname", ["lan"]),
        ("-o ppp+", "oifname", ["ppp*"]),
        ("-s 10.0.0.0/24", "saddr", [(NET, NET + 255)]),
        ("-s 10.0.0.0/255.255.255.0", "saddr", [(NET, NET + 255)]),
        ("-d 10.0.0.1,10.0.0.7", "daddr", [NET + 1, NET + 7]),
        ("-p tcp", "l4proto", [6]),
        ("-p 47", "l4proto", [47]),
        ("-m tcp --sport 20", "sport", [20]),
        ("-m udp --dport 1024:", "dport", [(1024, 65535)]),
        ("-m multiport --dports 21,2121:2125", "dport", [21, (2121, 2125)]),
        ("-m multiport --sports 53", "sport", [53]),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", "ct_state", ["related", "established"]),
        ("-m state --state INVALID,UNTRACKED", "ct_state", ["invalid", "untracked"]),
        ("-m conntrack --ctstate DNAT", "ct_status", ["dnat"]),
        ("-m conntrack --ctstatus EXPECTED,SEEN_REPLY", "ct_status", ["expected", "seen-reply"]),
        ("-m conntrack --ctdir REPLY", "ct_direction", ["reply"]),
        ("-m conntrack --ctproto 6", "ct_protocol", [6]),
        ("-m conntrack --ctorigdst 10.0.0.1", "ct_original_daddr", [NET + 1]),
        ("-m conntrack --ctorigdstport 443", "ct_original_dport", [443]),
        ("-m helper --helper ftp", "ct_helper", ["ftp"]),
        ("-m helper --helper ftp-2121", "ct_helper", ["ftp-2121", "ftp"]),
        ("-m icmp --icmp-type 8", "icmp_type", [8]),
        ("-m icmp --icmp-type echo-request", "icmp_type", [8]),
        ("-m icmp6 --icmpv6-type 135", "icmp_type", [135]),
        ("-m addrtype --dst-type LOCAL", "fib_daddr_type", ["local"]),
        ("-m pkttype --pkt-type multicast", "pkttype", ["multicast"]),
        ("-m iprange --src-range 10.0.0.1-10.0.0.9", "saddr", [(NET + 1, NET + 9)]),
        ("-m rpfilter --loose", "fib_saddr_oif", ["exists"]),
        ("--syn", "tcp_flags", ["syn / fin,syn,rst,ack"]),
        ("-m tcp --tcp-flags SYN,ACK NONE", "tcp_flags", ["0 / syn,ack"]),
        ("-m tcp --tcp-flags ALL SYN", "tcp_flags", ["syn / fin,syn,rst,psh,ack,urg"]),
    ],
)
def test_what_is_asked(line, field, values):
    assert plain(line) == (field, values, False, None)


@pytest.mark.parametrize(
    "line",
    ["! -i wan", "! -s 10.0.0.0/8", "! -p tcp", "-m tcp ! --dport 22", "-m multiport ! --dports 1:1023",
     "-m conntrack ! --ctstate NEW", "-m helper ! --helper irc", "-m rpfilter --invert"],
)  # fmt: skip
def test_not(line):
    [one] = conditions(line)
    assert one.negated
    assert one.fields


def test_addresses_of_ipv6():
    assert plain("-s 2001:db8::/64", 6) == ("saddr", [(LAN6, LAN6 + (1 << 64) - 1)], False, None)
    assert plain("-d 2001:db8::/ffff:ffff::", 6) == ("daddr", [(LAN6, LAN6 + (1 << 96) - 1)], False, None)


def test_marks_are_compared_under_a_mask():
    assert plain("-m mark --mark 0x1/0xff") == ("mark", [1], False, 255)
    assert plain("-m connmark --mark 0x10") == ("ct_mark", [16], False, None)


def test_either_port():
    [one] = conditions("-m multiport --ports 53")
    assert one.fields == ("sport", "dport")
    assert one.rows == (((Span(53, 53),), (ANY_PORT,)), ((ANY_PORT,), (Span(53, 53),)))


def test_a_state_or_a_translation():
    [one] = conditions("-m conntrack --ctstate RELATED,ESTABLISHED,DNAT")
    assert one.fields == ("ct_state", "ct_status")
    assert [row[1] for row in one.rows] == [("*",), ("dnat",)]


@pytest.mark.parametrize(
    "line", ["-m comment --comment hello", "-p all", "-i +", "! -f", "-m tcp", "-m recent --set --name x --rsource"]
)
def test_what_every_packet_fits_is_no_condition(line):
    assert conditions(line) == []


@pytest.mark.parametrize(
    "line",
    ["-m limit --limit 3/min", "-m hashlimit --hashlimit-upto 1/sec --hashlimit-name x", "-m quota --quota 100",
     "-m statistic --mode random --probability 0.5", "-m time --timestart 08:00", "-m connlimit --connlimit-above 4",
     "-m recent --update --seconds 60 --name x", "-m rt --rt-type 0", "-m hl --hl-eq 255"],
)  # fmt: skip
def test_chance(line):
    [one] = conditions(line)
    assert one.chance
    assert one.text == line


def test_an_ipset_is_not_known_and_grows():
    [one] = conditions("-m set ! --match-set servers dst")
    assert (one.fields, one.grows, one.negated) == ((), True, True)


@pytest.mark.parametrize(
    "line",
    ["-m length --length 100:200", "-m mac --mac-source 02:00:00:00:00:01", "-m owner --uid-owner 0",
     "-m physdev --physdev-in eth1", "-m nonsense", "-m nonsense --a 1 --b", "-s host.example", "-s 2001:db8::1",
     "-s 10.0.0.0/255.0.255.0", "-s 10.0.0.1%lan", "-i eth*", "-f", "-p nonsense", "-p 256", "-m tcp --dport 70000",
     "-m tcp --dport 9:1", "-m tcp --dport ftp", "-m conntrack --ctstate WHAT",
     "-m conntrack ! --ctstate RELATED,DNAT", "-m conntrack --ctstate INVALID,DNAT", "-m conntrack --ctstatus NONE",
     "-m conntrack --ctexpire 10", "-m addrtype --src-type LOCAL", "-m addrtype --dst-type PROHIBIT",
     "-m rpfilter --nonsense", "-m tcp --tcp-flags SYN", "-m tcp --tcp-option 5", "-m mark --mark 0x1ffffffff"],
)  # fmt: skip
def test_what_is_not_understood_says_so(line):
    found = conditions(line)
    assert any(not one.fields and one.text for one in found)


@pytest.mark.parametrize(
    "before", ["-m comment --comment x", "-m conntrack --ctstate NEW", "-m limit --limit 1/s", "-j LOG"]
)
def test_ports_may_stand_behind_another_match(before):
    assert [one.rows for one in conditions(f"-p tcp {before} --dport 21") if one.fields == ("dport",)] == [
        (((Span(21, 21),),),)
    ]


def test_a_code_of_icmp_is_not_known_but_its_type_is():
    kind, code = conditions("-m icmp --icmp-type 3/4")
    assert kind.fields == ("icmp_type",)
    assert not code.fields
