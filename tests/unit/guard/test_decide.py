"""Who may come in, by which line, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntap.guard.decide import Judge, NoState, decide
from conntap.guard.policy import Policy
from conntap.guard.read import read_policy_text
from unit.guard.subjects import ANYBODY, CLIENT, EXACT, OUTSIDE, SERVER, STRANGER, anybody, subject


class Table:
    """A table of flows in which every master is translated to OUTSIDE."""

    def __init__(self, count=0):
        self.count = count

    def open_of(self, subject):
        return self.count

    def reply_of(self, subject):
        return SERVER, OUTSIDE


def decided(one, text="", state=None):
    return decide(read_policy_text(text, name="guard.toml") if text else Policy(), one, state or NoState())


@pytest.mark.parametrize(
    ("one", "allowed", "reason"),
    [
        (subject(), True, "nothing speaks against it"),
        (subject(src=CLIENT, dst=SERVER), True, "nothing speaks against it"),  # passive
        (subject(dport=1024), True, ""),
        (subject(dport=1023), False, "its port is not in 1024-65535"),
        (anybody(), False, "anyone may connect to 10.0.0.5: its source is a wildcard"),
        (subject(src=STRANGER), False, "203.0.113.99 is not the other end"),
        (subject(dst=STRANGER), False, "it leads to 203.0.113.99, a third party"),
        (subject(helper="wonder"), False, "helper 'wonder' is not known"),
        (subject(helper="ftp-2121"), True, ""),
        (subject(src_mask=b"\xff\xff\xff\0"), False, "a whole network may connect"),
        (subject(protocol=47, dport=7), True, ""),  # GRE has keys and no ports
    ],
)
def test_without_a_policy(one, allowed, reason):
    found = decided(one)
    assert found.allowed is allowed
    assert reason in found.reason
    assert found.rule.startswith("built-in default")


def test_the_client_as_it_is_seen_outside_is_the_client():
    one = subject(dst=OUTSIDE)
    assert not decided(one).allowed  # nobody knows that it is
    assert decided(one, state=Table()).allowed


def test_how_many_at_once():
    assert decided(subject(), state=Table(63)).allowed
    assert "64 open already" in decided(subject(), state=Table(64)).reason


@pytest.mark.parametrize(
    ("text", "one", "allowed", "rule"),
    [
        ('[[helper]]\nname = "irc"\nsources = ["any"]', anybody(), True, "guard.toml:1 section of irc"),
        ('[[helper]]\nname = "ftp"\nallow = false', subject(), False, "guard.toml:3 allow"),
        ('[[helper]]\nname = "ftp"\nmasters = ["10.1.0.0/16"]', subject(), False, "guard.toml:3 masters"),
        ('[[helper]]\nname = "ftp"\nservers = ["198.51.100.0/24"]', subject(), True, "guard.toml:1 section of ftp"),
        ('[[helper]]\nname = "ftp"\nservers = ["192.0.2.0/24"]', subject(), False, "guard.toml:3 servers"),
        ('[deny]\nports = ["50000"]', subject(), False, "guard.toml:2 deny.ports"),
        ('[deny]\nhelpers = ["ftp"]', subject(), False, "guard.toml:2 deny.helpers"),
        ('[default]\nports = ["1-65535"]', subject(dport=22), True, "guard.toml:1 default"),
        ('[default]\nsources = ["203.0.113.0/24"]', subject(src=STRANGER), True, "guard.toml:1 default"),
    ],
)
def test_the_line_that_decides(text, one, allowed, rule):
    found = decided(one, text)
    assert (found.allowed, found.rule) == (allowed, rule)


def test_whose_translation():
    text = '[[helper]]\nname = "ftp"\nnat = ["203.0.113.1"]'
    assert decided(subject(), text, Table()).allowed
    assert "its NAT is not known" in decided(subject(), text).reason
    assert "none of its networks" in decided(subject(), text.replace("113.1", "113.2"), Table()).reason


ADDRESSES = st.sampled_from([CLIENT, SERVER, STRANGER, OUTSIDE])
SUBJECTS = st.builds(
    subject,
    helper=st.sampled_from(["ftp", "irc", "sip", "wonder"]),
    protocol=st.sampled_from([6, 17, 47]),
    src=ADDRESSES,
    src_mask=st.sampled_from([EXACT, ANYBODY]),
    dst=ADDRESSES,
    dport=st.sampled_from([0, 22, 1023, 1024, 5000, 5001, 65535]),
    master_src=ADDRESSES,
)
POLICY = '[[helper]]\nname = "irc"\nsources = ["any"]\nports = ["5000-5000"]\n[deny]\nports = ["1024"]'


@given(st.lists(SUBJECTS, min_size=1, max_size=30))
def test_a_judge_that_remembers_says_the_same(subjects):
    policy = read_policy_text(POLICY)
    judge = Judge(policy, Table())
    for one in [*subjects, *subjects]:
        assert judge.decide(one) == decide(policy, one, Table())
