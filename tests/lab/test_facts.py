"""A claim matches what it says and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conntap.lab.scenarios.facts import TCP, Claim, Ends, Facts, Seen
from lab.conntrack_text import expectation_seen, flow_seen

SEEN = Seen(
    kind="NEW",
    protocol=TCP,
    original=Ends("10.0.0.5", "198.51.100.9", 40000, 21),
    reply=Ends("198.51.100.9", "203.0.113.1", 21, 40000),
    related=False,
    helper="ftp",
)
CLAIM = Claim(
    says="control",
    kind="NEW",
    protocol=TCP,
    original=Ends("10.0.0.5", "198.51.100.9", None, 21),
    reply=Ends("198.51.100.9", "203.0.113.1", 21),
    related=False,
    helper="ftp",
)


def test_claim_matches_the_event_it_describes():
    assert CLAIM.matches(SEEN)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "UPDATE"},
        {"protocol": 17},
        {"original": Ends("10.0.0.6", "198.51.100.9", 40000, 21)},
        {"original": Ends("10.0.0.5", "198.51.100.9", 40000, 22)},
        {"reply": Ends("198.51.100.9", "10.0.0.5", 21, 40000)},
        {"related": True},
        {"helper": "tftp"},
    ],
)
def test_claim_does_not_match_another_event(change):
    assert not CLAIM.matches(replace(SEEN, **change))


def test_what_the_source_does_not_tell_is_not_held_against_it():
    assert CLAIM.matches(replace(SEEN, related=None, helper=None))


def test_missing_names_the_claims_without_event():
    other = replace(CLAIM, kind="DESTROY", says="the end")
    assert Facts(summary="", claims=(CLAIM, other)).missing([SEEN]) == [other]


def test_judge_reads_the_original_tools_lines():
    """Lines of conntrack 1.4.7 on Linux 6.18."""
    flow = flow_seen(
        "    [NEW] tcp      6 120 SYN_SENT src=10.0.0.5 dst=198.51.100.9 sport=40000 dport=21 [UNREPLIED] "
        "src=198.51.100.9 dst=203.0.113.1 sport=21 dport=40000 helper=ftp"
    )
    assert flow == replace(SEEN, related=None)
    expectation = expectation_seen(
        "[DESTROY] 300 proto=6 src=198.51.100.9 dst=203.0.113.1 sport=0 dport=43853 mask-src=255.255.255.255 "
        "mask-dst=255.255.255.255 sport=0 dport=65535 master-src=10.0.0.5 master-dst=198.51.100.9 sport=50372 "
        "dport=21 class=0 helper=ftp"
    )
    assert expectation == Seen(
        kind="EXP_DESTROY",
        protocol=TCP,
        original=Ends("198.51.100.9", "203.0.113.1", 0, 43853),
        helper="ftp",
        master=Ends("10.0.0.5", "198.51.100.9", 50372, 21),
    )
