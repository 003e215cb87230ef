"""Rules as text: what nft itself prints of the same rule set, but for numbers and what is counted."""

from __future__ import annotations

import re

from conntap.rules.nft import read_nft
from conntap.rules.text import expression_text, match_text, rule_text, statement_text

#: What is told otherwise here: nft's text → ours.
OTHERWISE = (
    (r"counter packets 0 bytes 0", "counter"),
    (r"0x0*([0-9a-f]+)", lambda found: str(int(found[1], 16))),
    (r"expiration > 10s", "expiration > 10"),
    (r'(21 : )"ftp-std", 2121 : "ftp-std"', r"\1ftp-std, 2121 : ftp-std"),
    (r'\{ "b" . "a" : jump ssh, "a" . "b" : accept \}', "{ b . a : jump ssh, a . b : accept }"),
    (r'"10:00"-"12:00"', "10:00-12:00"),
    (r'osf name "Linux"', "osf name Linux"),
    (r"meter m1 size 65535", "meter m1"),
    (r"mark set meta mark & 511 \| 256", "mark set (meta mark & 511) | 256"),
    (r"^reject$", "reject with icmpx port-unreachable"),
    (r"\{ ::1, 2001:db8::/32 \}", "{ ::1, 2001:db8::/32 }"),
)


def printed(text):
    """The rules of what `nft list ruleset` printed."""
    inside = False
    for line in text.splitlines():
        word = line.strip()
        if word.startswith("chain "):
            inside = True
        elif word == "}":
            inside = False
        elif inside and not word.startswith(("type ", "comment ")):
            for pattern, replacement in OTHERWISE:
                word = re.sub(pattern, replacement, word)
            yield word


def test_every_rule_reads_as_nft_prints_it(root):
    data = root / "tests/data/rules"
    rules = read_nft((data / "everything.nft.json").read_text())
    ours = [rule.place.text for chain in rules.chains.values() for rule in chain.rules]
    assert sorted(ours) == sorted(printed((data / "everything.nft").read_text()))


def test_what_is_not_known_is_told_as_json():
    assert statement_text({"frobnicate": {"x": [1, None]}}) == '{"frobnicate":{"x":[1,null]}}'
    assert expression_text({"odd": {"key": 1}}) == '{"odd":{"key":1}}'
    assert statement_text([1, 2]) == "[1,2]"
    assert match_text({}) == "null None null"


def test_a_comment_stands_at_the_end():
    assert rule_text(["tcp dport 22", "accept"], "ssh") == 'tcp dport 22 accept comment "ssh"'


def test_addresses_of_ipv6_with_ports_stand_in_brackets():
    text = statement_text({"dnat": {"family": "ip6", "addr": "2001:db8::1", "port": 80, "flags": ["random"]}})
    assert text == "dnat ip6 to [2001:db8::1]:80 random"
