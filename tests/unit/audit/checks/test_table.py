"""The table's size, its hash, timeouts, listeners (A014 to A017)."""

import pytest

from conntap.audit.checks import table
from conntap.audit.finding import Severity
from gateways import found, view

LISTENER = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n0 12 812 00000007 0 0 0 2 0 1\n"


def settings(**values):
    return "".join(f"net.netfilter.nf_conntrack_{name} = {value}\n" for name, value in values.items())


@pytest.mark.parametrize(("count", "severity"), [(799, None), (800, "medium"), (949, "medium"), (950, "high")])
def test_near_full(count, severity):
    assert found("good", sysctl=settings(count=count, max=1000)).get("A014") == ([severity] if severity else None)


def test_a_hash_is_small_when_chains_get_long():
    assert not list(table.small_hash(view("good", sysctl=settings(max=8000, buckets=1000))))
    (one,) = table.small_hash(view("good", sysctl=settings(max=8001, buckets=1000)))
    assert one.severity is Severity.LOW


@pytest.mark.parametrize(
    ("name", "value", "far"),
    [
        ("tcp_timeout_established", 432_000, False),
        ("tcp_timeout_established", 7_440, False),
        ("tcp_timeout_established", 3_600, True),
        ("udp_timeout", 60, False),
        ("udp_timeout", 6, True),
        ("udp_timeout_stream", 600, True),
    ],
)
def test_timeouts_that_are_far(name, value, far):
    assert [one.key for one in table.far_timeouts(view("good", sysctl=settings(**{name: value})))] == [name] * far


def test_events_and_accounting_matter_only_while_somebody_listens():
    off = settings(events=0, acct=0)
    assert found("good", sysctl=off, net_netlink=LISTENER) == {"A017": ["medium", "low"]}
    assert not found("good", sysctl=off)
    assert not found("good", sysctl=settings(events=1, acct=1), net_netlink=LISTENER)
