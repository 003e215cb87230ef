"""Options that select become tests of the filter language, and the core reads them."""

from __future__ import annotations

import shlex

import pytest

from conntap._core import Filter
from conntap.dropin.parse import parse
from conntap.dropin.selection import selection, words


def plan(text: str):
    return parse(["conntrack", *shlex.split(text)], lambda _: None)


@pytest.mark.parametrize(
    ("options", "tests"),
    [
        ("-L", []),
        ("-L -f ipv6", ["ip6"]),
        ("-L -s 10.0.0.9/8", ["ip", "orig src 10.0.0.9 mask 255.0.0.0"]),
        ("-L -d 2001:db8::1 --mask-dst ffff::", ["ip6", "orig dst 2001:db8::1 mask ffff::"]),
        ("-L -r 10.1 -q 10.2", ["ip", "reply src 10.0.0.1", "reply dst 10.0.0.2"]),
        ("-L -p tcp --sport 1 --reply-port-dst 2", ["proto 6", "orig sport 1", "reply dport 2"]),
        ("-E -p icmp --icmp-type 8", ["proto 1", "icmptype 8"]),
        ("-E -p gre --srckey 0x10", ["proto 47", "orig sport 16"]),
        ("-L -w 5 --orig-zone 6 --reply-zone 7", ["zone 5", "orig zone 6", "reply zone 7"]),
        ("-L -n -g", ["snat", "dnat"]),
        ("-L -j 1.2.3.4:5", ["ip", "nat to 1.2.3.4:5"]),
        ("-L -n [::1]:5", ["ip6", "snat to [::1]:5"]),
        ("-L -m 0x10/0xf0", ["mark 16/240"]),
        ("-D -u ASSURED,UNREPLIED", ["status 4/6"]),
        ("-D -t 7", ["timeout 7"]),
        ("-L -p tcp --state LISTEN", ["proto 6", "state 9"]),
        ("-D -i 9", ["id 9"]),
    ],
)
def test_options_become_tests(options, tests):
    made = plan(options)
    assert words(made) == tests
    assert selection(made) == (Filter(" and ".join(tests)) if tests else None)


@pytest.mark.parametrize("options", ["-m 5", "-t 30", "-u ASSURED", "-p tcp --state CLOSE"])
def test_what_update_sets_does_not_select(options):
    assert not {"mark", "timeout", "status", "state"} & {test.split()[0] for test in words(plan(f"-U {options}"))}


def test_a_bit_wanted_both_set_and_clear_selects_nothing():
    assert words(plan("-L -u ASSURED,!ASSURED")) == ["status 4/4", "not status 4/4"]
