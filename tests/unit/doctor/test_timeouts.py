"""Timeouts: what is far from the kernel's own value, below a standard, or a burden to a full table."""

from __future__ import annotations

import pytest

from conntap.doctor.model import Entry
from conntap.doctor.reading import Reading
from conntap.doctor.timeouts import TIMEOUTS, judge_timeout, words

KNOWN = {timeout.name: timeout for timeout in TIMEOUTS}
ESTABLISHED = "nf_conntrack_tcp_timeout_established"


def judged(name: str, value: int, **settings: int) -> Entry:
    named = {f"netfilter/nf_conntrack_{key}": str(number) for key, number in settings.items()}
    return judge_timeout(KNOWN[name], value, Reading(settings=named))


def test_the_kernels_own_value_is_fine() -> None:
    assert judged(ESTABLISHED, 432_000).level == "fine"


def test_a_little_different_is_worth_knowing() -> None:
    assert judged(ESTABLISHED, 86_400).level == "note"
    assert judged("nf_conntrack_icmp_timeout", 10).level == "note"


@pytest.mark.parametrize(
    ("name", "value", "least"), [(ESTABLISHED, 600, 7_440), ("nf_conntrack_udp_timeout_stream", 60, 120)]
)
def test_below_what_a_standard_asks_for_is_to_do(name: str, value: int, least: int) -> None:
    entry = judged(name, value)
    assert entry.level == "todo"
    assert "RFC" in entry.why
    assert entry.todo == f"sysctl -w net.netfilter.{name}={least}"


def test_ten_times_shorter_or_longer_is_far() -> None:
    assert judged("nf_conntrack_tcp_timeout_syn_sent", 12).level == "todo"
    assert judged("nf_conntrack_tcp_timeout_time_wait", 1_200).level == "todo"
    assert judged("nf_conntrack_tcp_timeout_time_wait", 1_199).level == "note"


def test_five_days_are_a_burden_when_the_table_is_half_full() -> None:
    entry = judged(ESTABLISHED, 432_000, count=60, max=100)
    assert (entry.level, entry.todo) == ("todo", f"sysctl -w net.netfilter.{ESTABLISHED}=7440")
    assert "stay 5 d" in entry.why
    assert judged(ESTABLISHED, 7_440, count=60, max=100).level == "note"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (30, "30 s"), (7_440, "2 h 4 min"), (432_000, "5 d"), (90_061, "1 d 1 h 1 min 1 s")],
)
def test_words(seconds: int, said: str) -> None:
    assert words(seconds) == said
